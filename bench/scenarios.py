"""What the matrix can't show: flag changes and reloads under load, many routes, idle memory, idle connections.

Each scenario yields its findings as a table: a list of rows, each a dictionary with the same keys.
"""

import random
import signal
import socket
import threading
import time
from statistics import median

import load
from machine import Cores
from proxies import Figway, Haproxy, Nginx, PlainFigway, Setup, render

PATH = "/api/v1/members/1k"
PERIOD_BETWEEN_CHANGES = 0.25
LIMIT_SECONDS = 10
IDLE_SECONDS = 3
RELOADS_BEFORE_MEASURING = 50


def wait_until(condition, what, pause=0.005):
    """Asks until the condition holds; returns how long it took."""
    begun = time.monotonic()
    while time.monotonic() - begun < LIMIT_SECONDS:
        if condition():
            return time.monotonic() - begun
        time.sleep(pause)
    raise SystemExit(f"{what} did not happen within {LIMIT_SECONDS} s")


class Probe:
    """A keep-alive HTTP/1.1 client that asks which backend answers."""

    def __init__(self, setup, port):
        self.request = (
            f"GET {PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {setup.token}\r\n\r\n".encode()
        )
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_SECONDS)

    def answer(self):
        """Sends the request and returns the whole answer's bytes; any status but 200 ends the benchmark."""
        self.connection.sendall(self.request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the probe was answered {head.decode()}")
        return head

    def _more(self):
        chunk = self.connection.recv(65536)
        if not chunk:
            raise SystemExit("the probe's connection was closed")
        return chunk

    def served_by(self):
        return int(self.answer().lower().split(b"x-served-by:")[1].split(b"\r\n")[0])


def flag_change(binaries, folder, options):
    """Rounds of load with and without the flag going to and fro four times a second."""
    with Setup(binaries, folder, Cores(1)) as setup:
        gateway = setup.start(Figway)
        probe = Probe(setup, gateway.port)
        effects, rows = [], {False: [], True: []}
        load.wrk(setup, gateway.port, PATH, 1)
        for _ in range(options.rounds):
            for changing in random.sample([False, True], 2):
                stop = threading.Event()
                changer = threading.Thread(target=_change_flags, args=(setup, gateway, probe, effects, stop))
                if changing:
                    changer.start()
                rows[changing].append(load.wrk(setup, gateway.port, PATH, options.seconds))
                stop.set()
                if changing:
                    changer.join()
        return [
            {
                "load": "flag changes" if changing else "quiet",
                "changes": len(effects) if changing else 0,
                "failed": sum(outcome.failed for outcome in rows[changing]),
                "rps": median(outcome.requests / outcome.seconds for outcome in rows[changing]),
                "p50_ms": median(outcome.p50_ms for outcome in rows[changing]),
                "p99_ms": median(outcome.p99_ms for outcome in rows[changing]),
                "effect_ms": median(effects) * 1000 if changing else 0.0,
                "slowest_effect_ms": max(effects) * 1000 if changing else 0.0,
            }
            for changing in (False, True)
        ]


def _change_flags(setup, gateway, probe, effects, stop):
    while not stop.is_set():
        for percent, port in ((100, setup.backend.second_port), (0, setup.backend.port)):
            gateway.write_flag(percent)
            effects.append(wait_until(lambda port=port: probe.served_by() == port, "the flag's effect"))
            time.sleep(PERIOD_BETWEEN_CHANGES)


def route_count(binaries, folder, options):
    """Ten routes and a thousand: ten of them asked in turn, and all of them; nginx with as many locations beside it."""
    with Setup(binaries, folder, Cores(1)) as setup:
        proxies = {}
        for count in (10, 1000):
            numbers = range(1, count + 1)
            routes = "\n".join(map(_route, numbers))
            locations = [f"/api/v1/domain-{number}/things/" for number in numbers]
            proxies[Figway, count] = setup.start(Figway, name=f"routes-{count}", extra_routes=routes)
            proxies[Nginx, count] = setup.start(Nginx, name=f"locations-{count}", extra_routes=locations)
            render("routes.lua", setup.folder / f"routes-{count}.lua", count=count)
        samples = {(proxy, *counts): [] for proxy in (Nginx, Figway) for counts in ((10, 10), (1000, 10), (1000, 1000))}
        for _ in range(options.rounds):
            for kind, count, asked in random.sample(list(samples), len(samples)):
                proxy = proxies[kind, count]
                before = proxy.process.cpu_seconds()
                script = setup.folder / f"routes-{asked}.lua"
                outcome = load.wrk(setup, proxy.port, "/", options.seconds, script=script)
                spent = proxy.process.cpu_seconds() - before
                samples[kind, count, asked].append((outcome, spent / outcome.requests * 1e6))
        return [
            {
                "proxy": kind.label,
                "routes": count,
                "asked": asked,
                "failed": sum(outcome.failed for outcome, _ in taken),
                "rps": median(outcome.requests / outcome.seconds for outcome, _ in taken),
                "cpu_s_per_million": median(cpu for _, cpu in taken),
                "p99_ms": median(outcome.p99_ms for outcome, _ in taken),
            }
            for (kind, count, asked), taken in samples.items()
        ]


def _route(number):
    path = f"/api/{{version}}/domain-{number}/things/{{id}}"
    return f'  - {{name: route-{number}, path: "{path}", auth: required, backend: monolith}}'


def idle_memory(binaries, folder, options):
    """Memory after the start and one request."""
    rows = []
    with Setup(binaries, folder, Cores(1)) as setup:
        for proxy in _memory_proxies(options):
            started = setup.start(proxy)
            Probe(setup, started.port).answer()
            time.sleep(IDLE_SECONDS)
            rss, peak = started.process.memory_mb()
            rows.append({"proxy": proxy.label, "rss_mb": rss, "peak_mb": peak})
    return rows


def idle_connections(binaries, folder, options):
    """Memory with many idle keep-alive connections, each of which has had one answer."""
    rows = []
    with Setup(binaries, folder, Cores(1)) as setup:
        for proxy in _memory_proxies(options):
            started = setup.start(proxy)
            before, _ = started.process.memory_mb()
            probes = []
            for _ in range(options.connections):
                probes.append(Probe(setup, started.port))
                probes[-1].answer()
            time.sleep(IDLE_SECONDS)
            rss, peak = started.process.memory_mb()
            # Whoever closed idle connections to save memory is found out here.
            for probe in probes:
                probe.answer()
                probe.connection.close()
            rows.append(
                {
                    "proxy": proxy.label,
                    "connections": options.connections,
                    "rss_before_mb": before,
                    "rss_mb": rss,
                    "peak_mb": peak,
                    "kb_per_connection": (rss - before) * 1000 / options.connections,
                }
            )
            started.stop()
    return rows


def _memory_proxies(options):
    known = {"nginx": Nginx, "haproxy": Haproxy, "figway": Figway, "figway-plain": PlainFigway}
    return [proxy for name, proxy in known.items() if name in options.proxies]


def reloads(binaries, folder, options):
    """Good and bad reloads in turn, of flags and of config, while the gateway is under load."""
    rows = []
    with Setup(binaries, folder, Cores(1)) as setup:
        gateway = setup.start(Figway)
        stop, outcomes = threading.Event(), []
        loader = threading.Thread(target=_keep_loading, args=(setup, gateway, stop, outcomes))
        loader.start()
        try:
            for done in range(options.reloads + 1):
                if done in (min(RELOADS_BEFORE_MEASURING, options.reloads // 4), options.reloads // 2, options.reloads):
                    rows.append(_state_after(gateway, done))
                if done < options.reloads:
                    _reload_badly_and_well(gateway, done)
        finally:
            stop.set()
            loader.join()
        for row in rows:
            row["requests"] = sum(outcome.requests for outcome in outcomes)
            row["failed"] = sum(outcome.failed for outcome in outcomes)
    return rows


def _keep_loading(setup, gateway, stop, outcomes):
    while not stop.is_set():
        outcomes.append(load.wrk(setup, gateway.port, PATH, 5))


def _reload_badly_and_well(gateway, number):
    """The success metric falls with the bad one and rises with the good one; SIGHUP spares the watcher's pause.

    The flag goes all the way to and fro, so that the pools of both backends are full long before the first look.
    """
    extra = f"{_route(number)}\n"
    if number % 2:
        bad, good = ("a-lot", ""), (100 if number % 4 == 1 else 0, "")
    else:
        bad, good = (10, extra + extra), (10, extra)
    for success, (percent, routes) in ((0, bad), (1, good)):
        gateway.write_flag(percent)
        gateway.write_config(routes)
        gateway.process.signal(signal.SIGHUP)
        wait_until(
            lambda success=success: gateway.metric("figway_config_last_reload_success") == success,
            f"figway_config_last_reload_success {success} after reload {number}",
        )


def _state_after(gateway, done):
    process = gateway.process
    rss, _ = process.memory_mb()
    return {
        "good_reloads": done,
        "bad_reloads": done,
        "rss_mb": rss,
        "descriptors": process.descriptors(),
        "threads": process.threads(),
    }


SCENARIOS = {
    "flag-change": ("A flag changed under full load", flag_change),
    "route-count": ("1,000 routes against 10", route_count),
    "idle-memory": ("Idle memory", idle_memory),
    "idle-connections": ("Idle keep-alive connections", idle_connections),
    "reloads": ("Good and bad reloads under load", reloads),
}
