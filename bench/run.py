#!/usr/bin/env python3
"""The benchmark: builds, starts everything, measures, prints tables and (with --write) docs/benchmarks.md.

`make bench` installs nginx, HAProxy, wrk and h2load and calls this with --write. By hand, a subset:

    bench/run.py --case h1-1k-keepalive --proxy nginx,figway --rounds 4
    bench/run.py --case flag-change,reloads --quick
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import cases
import machine
import report
import scenarios
from proxies import PROXIES

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench/out/results.json"
DOCUMENT = ROOT / "docs/benchmarks.md"
PROGRAMS = ("nginx", "haproxy", "wrk", "h2load", "taskset", "openssl")
DESCRIPTORS_BESIDE_CONNECTIONS = 500
QUICK = {"rounds": 2, "seconds": 1, "reloads": 20, "connections": 1000}


def parse_options():
    names = [case.name for case in cases.CASES] + list(scenarios.SCENARIOS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=_subset(names), default=names, help="comma-separated: " + ", ".join(names))
    parser.add_argument("--proxy", type=_subset(PROXIES), default=list(PROXIES), dest="proxies",
                        help="comma-separated: " + ", ".join(PROXIES))
    parser.add_argument("--cores", type=_subset(["1", "2"]), default=["1", "2"],
                        help="proxy cores of the matrix, one after the other (default 1,2)")
    parser.add_argument("--rounds", type=int, default=8, help="interleaved rounds a case (default 8)")
    parser.add_argument("--seconds", type=int, default=2, help="load of one proxy in one round (default 2)")
    parser.add_argument("--reloads", type=int, default=1000, help="good and as many bad reloads (default 1,000)")
    parser.add_argument("--connections", type=int, default=10_000, help="idle connections (default 10,000)")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: does it work at all?")
    parser.add_argument("--profile", choices=["release", "dev"], default="release",
                        help="cargo profile; dev is for work on the harness, its numbers mean nothing")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md from all results of this commit")
    options = parser.parse_args()
    options.meaningful = options.profile == "release" and not options.quick
    if options.write and not options.meaningful:
        parser.error("--write takes neither --quick nor --profile dev: their numbers mean nothing")
    if options.quick:
        vars(options).update(QUICK)
    return options


def _subset(names):
    def parse(text):
        chosen = text.split(",")
        for name in chosen:
            if name not in names:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(names)}")
        return chosen

    return parse


def check_requirements(options):
    """Says all at once what is missing, before half an hour is spent."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; `make bench` installs what it can (Debian packages)")
    machine.Cores(max(map(int, options.cores)))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = options.connections + DESCRIPTORS_BESIDE_CONNECTIONS
    if "idle-connections" in options.case and hard < needed:
        raise SystemExit(f"{needed} descriptors are needed, the hard limit is {hard}: raise it or lower --connections")
    # Children inherit it; the soft limit is often 1,024.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def build(options):
    """Returns the folder of the binaries."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    if not options.no_build:
        wanted = ["--bin", "figway", "--example", "bench_backend", "--example", "tcp_forwarder"]
        wanted += ["--example", "h2_close_load"]
        subprocess.run(["cargo", "build", "--locked", "--profile", options.profile, *wanted], cwd=ROOT, check=True)
    return target / ("debug" if options.profile == "dev" else "release")


def measure(options, binaries):
    """Yields (title, command to repeat it, rows) as they are known."""
    flags = f"--rounds {options.rounds} --seconds {options.seconds}"
    matrix = [case for case in cases.CASES if case.name in options.case]
    for count in map(int, options.cores):
        if not matrix:
            break
        options.proxy_cores = count
        with tempfile.TemporaryDirectory(prefix="figway-bench-") as folder:
            for case, rows in cases.run(binaries, folder, matrix, options.proxies, options):
                title = f"{case.title}, {count} proxy core{'s' if count > 1 else ''}"
                yield title, f"bench/run.py --case {case.name} --cores {count} {flags}", rows
    for name, (title, scenario) in scenarios.SCENARIOS.items():
        if name not in options.case:
            continue
        with tempfile.TemporaryDirectory(prefix="figway-bench-") as folder:
            rows = scenario(binaries, Path(folder), options)
        if name == "idle-connections":
            flags = f"--connections {options.connections}"
        elif name == "reloads":
            flags = f"--reloads {options.reloads}"
        yield title, f"bench/run.py --case {name} {flags}", rows


def kept():
    """Results of former runs, so that a subset can be repeated without losing the rest."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def main():
    options = parse_options()
    # What was started is ended by context managers, which only an exception runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    check_requirements(options)
    binaries = build(options)
    commit = machine.commit(ROOT)
    if not options.meaningful:
        print("These numbers show that the harness works, nothing else.", file=sys.stderr)
    results = kept()
    for title, command, rows in measure(options, binaries):
        print(f"\n{title}\n\n{report.table(rows)}", flush=True)
        results[title] = {"commit": commit, "command": command, "rows": rows}
        if options.meaningful:
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1))
    if options.write:
        current = {title: result for title, result in results.items() if result["commit"] == commit}
        DOCUMENT.parent.mkdir(exist_ok=True)
        payments = re.search(r"<!-- payments: begin -->.*<!-- payments: end -->\n", DOCUMENT.read_text(), re.DOTALL)
        DOCUMENT.write_text(report.document(machine.describe(ROOT), current) + ("\n" + payments[0] if payments else ""))
        print(f"\nwrote {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
