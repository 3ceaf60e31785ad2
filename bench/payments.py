#!/usr/bin/env python3
"""The payment benchmark: what the distributor adds to a payment, and what a provider that goes silent costs.

`make bench-payments` calls this with --write. Rounds of the embedded ledger and of PostgreSQL alternate; numbers are
medians over the rounds. PostgreSQL runs only while it is measured, because its own background work would share the disk
with the other. Providers are simulated (src/simulator) and in the same process, so that no other program's time is
measured; both ledgers sync every commit to disk. By hand, a short one:

    bench/payments.py --rounds 1 --seconds 3 --outage 10
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path

import machine

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/benchmarks.md"
# bench/run.py keeps what stands between them.
BEGIN, END = "<!-- payments: begin -->", "<!-- payments: end -->"
LOAD = "payment_load"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=int, default=10, help="of steady load a round (default 10)")
    parser.add_argument("--rate", type=int, default=2000, help="payments a second (default 2,000)")
    parser.add_argument("--outage", type=int, default=60, help="seconds without an answer of one provider (default 60)")
    parser.add_argument("--outage-rate", type=int, default=40, help="payments a second meanwhile (default 40)")
    parser.add_argument("--profile", choices=["release", "dev"], default="release",
                        help="cargo profile; dev is for work on the harness, its numbers mean nothing")
    parser.add_argument("--write", action="store_true", help="write the section on payments of docs/benchmarks.md")
    options = parser.parse_args()
    if options.write and options.profile != "release":
        parser.error("--write takes no --profile dev: its numbers mean nothing")
    return options


def build(profile):
    subprocess.run(["cargo", "build", "--locked", "--example", LOAD, "--profile", profile], cwd=ROOT, check=True)
    return ROOT / "target" / ("release" if profile == "release" else "debug") / "examples" / LOAD


class Postgres:
    """A server of our own in a temporary folder, with PostgreSQL's own settings: it syncs each commit."""

    def __init__(self):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        located = shutil.which("initdb")
        if not found and not located:
            raise SystemExit("PostgreSQL's server is not installed; `make test-tools` installs it")
        self.programs = (found[-1] if found else Path(located).resolve()).parent
        self.folder = Path(tempfile.mkdtemp(prefix="figway-bench-pg-"))
        # It refuses to run as root.
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.as_user:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "--username=figway", "--auth=trust", "--encoding=UTF8", "--locale=C")

    def _run(self, program, *arguments):
        command = [*self.as_user, self.programs / program, *arguments, "-D", self.folder / "data"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    @contextmanager
    def database(self, name):
        """The URL of a new, empty database; the server runs as long as it is used."""
        host = str(self.folder)
        self._run("pg_ctl", "start", "-w", "-l", self.folder / "log", "-o", f"-c listen_addresses= -k {host}")
        try:
            subprocess.run([self.programs / "createdb", "-h", host, "-U", "figway", name], check=True)
            yield f"postgres://figway@/{name}?host={host.replace('/', '%2F')}"
        finally:
            self._run("pg_ctl", "stop", "-m", "fast")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)


def measure(load, what, ledger, rate, seconds):
    os.sync()  # What earlier rounds have left for the disk is not this one's.
    output = subprocess.run([load, what, ledger, str(rate), str(seconds)], check=True, capture_output=True, text=True)
    return json.loads(output.stdout)


def rounds(options, load):
    """Results by (what, ledger), one a round."""
    results = {}
    with Postgres() as postgres, tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
        places = {
            "SQLite": lambda name: nullcontext(f"embedded:{folder}/{name}.db"),
            "PostgreSQL": postgres.database,
        }
        for number in range(options.rounds):
            for ledger, place in places.items():
                for what, rate, seconds in (
                    ("steady", options.rate, options.seconds),
                    ("outage", options.outage_rate, options.outage),
                ):
                    with place(f"{what}_{number}") as address:
                        result = measure(load, what, address, rate, seconds)
                    print(f"round {number + 1}, {ledger}, {what}: {json.dumps(result)}", flush=True)
                    results.setdefault((what, ledger), []).append(result)
    return results


def hour_lines(options):
    """What the simulation prints about an hour without a provider, in virtual time."""
    test = ["cargo", "test", "--locked", "--lib", "payments::simulation::dead_for_an_hour", "--", "--nocapture"]
    output = subprocess.run(test, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return re.findall(r"^HOUR (.*)$", output, re.MULTILINE)


def median(results, key):
    return statistics.median(result[key] for result in results)


def section(options, results, hour):
    steady, outage = (lambda ledger: results["steady", ledger]), (lambda ledger: results["outage", ledger])
    ledgers = ("SQLite", "PostgreSQL")
    twice = sum(result["charged_twice"] for some in results.values() for result in some)
    lines = [
        "## Payments",
        "",
        f"`bench/payments.py --rounds {options.rounds} --seconds {options.seconds} --rate {options.rate}"
        f" --outage {options.outage}`; "
        + ", ".join(f"{name} {value}" for name, value in machine.describe(ROOT)),
        "",
        "What the distributor adds to a payment beside waiting for its provider, every ledger write durable:",
        "",
        "| ledger | payments/s | p50 ms | p99 ms | p99.9 ms | slowest ms |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for ledger in ledgers:
        values = [median(steady(ledger), key) for key in ("p50_ms", "p99_ms", "p999_ms", "max_ms")]
        lines.append(f"| {ledger} | {options.rate:,} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    log = max(result["log_mb"] for result in steady("SQLite"))
    lines += [
        "",
        f"SQLite's write-ahead log took {log:.0f} MB at most.",
        "",
        f"One of two providers swallows every request for {options.outage} s, at {options.outage_rate} payments a second:",
        "",
        "| ledger | breaker open after s | payments pending when it heals | all settled after s |",
        "|---|---:|---:|---:|",
    ]
    for ledger in ledgers:
        opened, pending, settled = (
            median(outage(ledger), key) for key in ("breaker_open_after_s", "pending_when_healed", "settled_after_s"))
        lines.append(f"| {ledger} | {opened:.1f} | {pending:.0f} | {settled:.1f} |")
    lines += ["", "One of two providers is gone for an hour, in virtual time (`cargo test --lib dead_for_an_hour`):", ""]
    lines += [f"- {line}" for line in hour]
    lines += ["", f"Payments that were charged twice, by the simulated providers' own books, in all of these rounds: {twice}."]
    return "\n".join(lines) + "\n"


def write(text):
    """Replaces the section on payments; the rest of the page belongs to bench/run.py."""
    page = DOCUMENT.read_text()
    marked = f"{BEGIN}\n{text}{END}\n"
    if BEGIN in page:
        before, rest = page.split(BEGIN, 1)
        after = rest.split(END, 1)[1].lstrip("\n")
        page = before + marked + after
    else:
        page = page.rstrip("\n") + "\n\n" + marked
    DOCUMENT.write_text(page)


def main():
    options = parse_options()
    load = build(options.profile)
    results = rounds(options, load)
    text = section(options, results, hour_lines(options))
    print(text)
    if options.write:
        write(text)


if __name__ == "__main__":
    main()
