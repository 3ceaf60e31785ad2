"""The matrix: {1 KB, 10 KB} x {keep-alive, close} x {HTTP/1.1, h2}, in interleaved rounds of random order.

A round loads each proxy once, so a machine that is slower for a minute is slower for all of them. Ratios
are taken within a round and only then is their median taken.
"""

import random
from dataclasses import dataclass
from statistics import median

import load
from machine import Cores
from proxies import PROXIES, Setup

WARM_UP_SECONDS = 1
REFERENCE = "nginx"


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    protocol: str
    size: str
    connections: str

    @property
    def name(self):
        return f"{self.protocol}-{self.size}-{self.connections}"

    @property
    def title(self):
        protocol = {"h1": "HTTP/1.1", "h2": "HTTP/2 (prior knowledge, no TLS)"}[self.protocol]
        size = {"1k": "1 KB", "10k": "10 KB"}[self.size]
        connections = {"keepalive": "keep-alive", "close": "a connection per request"}[self.connections]
        return f"{protocol}, {size}, {connections}"

    def run(self, setup, proxy, seconds):
        path = f"/api/v1/members/{self.size}"
        if self.protocol == "h1":
            return load.wrk(setup, proxy.port, path, seconds, close=self.connections == "close")
        generator = load.h2_close if self.connections == "close" else load.h2load
        return generator(setup, proxy.h2_port, path, seconds)


CASES = [
    Case(protocol, size, connections)
    for protocol in ("h1", "h2")
    for connections in ("keepalive", "close")
    for size in ("1k", "10k")
]


def measure(setup, case, proxy, seconds):
    """One sample of one proxy."""
    before = proxy.process.cpu_seconds() if proxy.process else 0.0
    outcome = case.run(setup, proxy, seconds)
    spent = proxy.process.cpu_seconds() - before if proxy.process else 0.0
    return {
        "rps": outcome.requests / outcome.seconds,
        "cpu_s_per_million": spent / max(outcome.requests, 1) * 1e6,
        "p50_ms": outcome.p50_ms,
        "p99_ms": outcome.p99_ms,
        "failed": outcome.failed,
    }


def run(binaries, folder, cases, names, options):
    """Runs the cases with one number of proxy cores; yields each case with its result as soon as it is known."""
    with Setup(binaries, folder, Cores(options.proxy_cores)) as setup:
        proxies = {name: setup.start(PROXIES[name]) for name in names}
        for case in cases:
            taking_part = [name for name in names if case.protocol == "h1" or proxies[name].h2_port]
            samples = {name: [] for name in taking_part}
            for name in taking_part:
                case.run(setup, proxies[name], WARM_UP_SECONDS)
            for _ in range(options.rounds):
                for name in random.sample(taking_part, len(taking_part)):
                    samples[name].append(measure(setup, case, proxies[name], options.seconds))
            memory = {name: proxies[name].process.memory_mb() for name in taking_part if proxies[name].process}
            yield case, summarize(samples, memory)


def summarize(samples, memory):
    """Medians by proxy, and medians of the ratios to nginx within a round."""
    rows = []
    for name, taken in samples.items():
        row = {"proxy": PROXIES[name].label, "failed": sum(sample["failed"] for sample in taken)}
        for key in ("rps", "cpu_s_per_million", "p50_ms", "p99_ms"):
            row[key] = median(sample[key] for sample in taken)
        if REFERENCE in samples and name in memory:
            for key in ("rps", "cpu_s_per_million"):
                pairs = zip(taken, samples[REFERENCE], strict=True)
                row[f"{key}_ratio"] = median(own[key] / reference[key] for own, reference in pairs if reference[key])
        if name in memory:
            row["rss_mb"], row["peak_mb"] = memory[name]
        rows.append(row)
    return rows
