"""What is measured: each proxy is a class that knows its configuration and how it is started.

All of them forward to the same backend, listen on ports of their own and are pinned to the same cores;
only one has load at a time. `h2_port` is None where a proxy can't speak HTTP/2 by itself.
"""

import os
import urllib.request
from pathlib import Path
from string import Template

import access_token
from machine import Process, free_ports

TEMPLATES = Path(__file__).parent / "templates"


def render(name, target, **values):
    """Fills a template of bench/templates and writes it."""
    target.write_text(Template((TEMPLATES / name).read_text()).substitute(values))
    return target


class Backend(Process):
    """Answers on two ports, one for each variant of the flag."""

    def __init__(self, binaries, folder, cores):
        self.port, self.second_port = free_ports(2)
        addresses = [f"127.0.0.1:{port}" for port in (self.port, self.second_port)]
        super().__init__([binaries / "examples/bench_backend", *addresses], cores.backend, folder / "backend.log")
        self.wait_for_port(self.port)


class Direct:
    """No proxy at all: shows how far the backend and the load generator themselves go."""

    label = "no proxy"

    def __init__(self, setup):
        self.process = None
        self.port, self.h2_port = setup.backend.port, None

    def stop(self):
        pass


class Nginx:
    """nginx as a plain proxy; `extra_routes` are paths that get a location of their own."""

    label = "nginx"

    def __init__(self, setup, name="nginx", extra_routes=()):
        self.port, self.h2_port = free_ports(2)
        folder = setup.folder / name
        folder.mkdir()
        config = render(
            "nginx.conf",
            folder / "nginx.conf",
            threads=setup.threads,
            folder=folder,
            extra_locations="\n".join(f"        location {path} {{ proxy_pass http://backend; }}" for path in extra_routes),
            backend_port=setup.backend.port,
            port=self.port,
            h2_port=self.h2_port,
            reuseport="reuseport" if setup.threads > 1 else "",
        )
        self.process = Process(
            ["nginx", "-p", folder, "-e", folder / "nginx-error.log", "-c", config],
            setup.cores.proxy,
            folder / "nginx.log",
        )
        self.process.wait_for_port(self.port)

    def stop(self):
        self.process.stop()


class Haproxy:
    label = "HAProxy"

    def __init__(self, setup):
        self.port, self.h2_port = free_ports(2)
        config = render(
            "haproxy.cfg",
            setup.folder / "haproxy.cfg",
            threads=setup.threads,
            backend_port=setup.backend.port,
            port=self.port,
            h2_port=self.h2_port,
        )
        self.process = Process(["haproxy", "-db", "-f", config], setup.cores.proxy, setup.folder / "haproxy.log")
        self.process.wait_for_port(self.port)

    def stop(self):
        self.process.stop()


class Forwarder:
    label = "TCP forwarder"

    def __init__(self, setup):
        (self.port,) = free_ports(1)
        self.h2_port = None
        self.process = Process(
            [
                setup.binaries / "examples/tcp_forwarder",
                f"127.0.0.1:{self.port}",
                f"127.0.0.1:{setup.backend.port}",
                setup.threads,
            ],
            setup.cores.proxy,
            setup.folder / "forwarder.log",
        )
        self.process.wait_for_port(self.port)

    def stop(self):
        self.process.stop()


class Figway:
    """The gateway with everything on; `extra_routes` is YAML text for further routes."""

    label = "figway"
    template = "gateway-full.yaml"

    def __init__(self, setup, name="figway", extra_routes=""):
        self.folder = setup.folder / name
        (self.folder / "flags").mkdir(parents=True)
        # Not beside the configuration: the gateway watches that folder, and each line would wake the watcher.
        (self.folder / "log").mkdir()
        self.setup = setup
        self.port, self.admin_port = free_ports(2)
        self.h2_port = self.port
        (self.folder / "jwks.json").write_text((setup.folder / "jwks.json").read_text())
        self.write_flag(10)
        self.write_config(extra_routes)
        self.process = Process(
            [setup.binaries / "figway", "serve", "--config", self.folder / "gateway.yaml"],
            setup.cores.proxy,
            self.folder / "figway.log",
        )
        self.process.wait_for_port(self.port)

    def write_config(self, extra_routes):
        """Replaces the configuration by rename, as a careful editor would."""
        new = render(
            self.template,
            self.folder / "gateway.yaml.new",
            port=self.port,
            admin_port=self.admin_port,
            threads=self.setup.threads,
            issuer=access_token.ISSUER,
            audience=access_token.AUDIENCE,
            backend_port=self.setup.backend.port,
            second_backend_port=self.setup.backend.second_port,
            extra_routes=extra_routes,
        )
        os.replace(new, self.folder / "gateway.yaml")

    def write_flag(self, percent):
        """Replaces the flag's file by rename. A `percent` that is no percentage makes the file bad."""
        new = render("flag.yaml", self.folder / "flag.new", percent=percent)
        os.replace(new, self.folder / "flags" / "bench.yaml")

    def metric(self, name):
        """A metric without labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
        raise SystemExit(f"figway has no metric {name}")

    def stop(self):
        self.process.stop()


class PlainFigway(Figway):
    label = "figway, plain"
    template = "gateway-plain.yaml"

    def __init__(self, setup):
        super().__init__(setup, name="figway-plain")


PROXIES = {
    "direct": Direct,
    "forwarder": Forwarder,
    "nginx": Nginx,
    "haproxy": Haproxy,
    "figway": Figway,
    "figway-plain": PlainFigway,
}


class Setup:
    """One folder, one backend and one token, shared by the proxies of a run; a context manager."""

    def __init__(self, binaries, folder, cores):
        self.binaries, self.folder, self.cores = binaries, Path(folder), cores
        self.threads = len(cores.proxy)
        self.token = access_token.make(self.folder)
        self.backend = Backend(binaries, self.folder, cores)
        self.running = []

    def start(self, proxy, *arguments, **options):
        started = proxy(self, *arguments, **options)
        self.running.append(started)
        return started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for proxy in reversed(self.running):
            proxy.stop()
        self.backend.stop()
