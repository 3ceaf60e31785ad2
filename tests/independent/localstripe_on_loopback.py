"""localstripe on a free port of the loopback interface, its data in memory only; prints the port.

Its own command listens on every interface and keeps its data in one file for all of this machine. It refuses parameters
that it does not know with 400; of those that the adapter sends it does not know one, which is left out here. And it
lacks a field that every intent of Stripe's has, which is added.
"""

import socket

from aiohttp import web
from localstripe import resources

CONFIRM = "/v1/payment_intents/{id}/confirm"


def confirm(id, error_on_requires_action=None, **others):
    return resources.PaymentIntent._api_confirm(id, **others)


resources.PaymentIntent.amount_received = property(lambda intent: intent.amount if intent.status == "succeeded" else 0)

# The server makes its routes of this list when it is imported.
resources.extra_apis[:] = [
    (method, url, confirm if url == CONFIRM else function) for method, url, function in resources.extra_apis
]

from localstripe import server  # noqa: E402

resources.store.dump_to_disk = lambda: None

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
web.run_app(server.app, sock=listener, access_log=None, print=None)
