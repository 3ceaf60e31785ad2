"""Load and its outcome. wrk for HTTP/1.1, h2load for HTTP/2, h2_close_load for a connection per h2 request.

Every proxy gets the very same request, token included, whether it looks at the token or not.
"""

import json
import re
import subprocess
from dataclasses import dataclass

H1_CONNECTIONS = 64
H2_CONNECTIONS = 16
H2_STREAMS = 8
UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


@dataclass
class Outcome:
    """`failed` counts statuses other than 2xx and 3xx, broken connections and time-outs."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float


def _run(cores, command):
    pinned = ["taskset", "-c", ",".join(map(str, cores)), *map(str, command)]
    done = subprocess.run(pinned, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def wrk(setup, port, path, seconds, *, close=False, script=None):
    """HTTP/1.1; `script` is a Lua file that replaces the one path by many."""
    command = ["wrk", "-t1", f"-c{H1_CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command += ["-H", f"Authorization: Bearer {setup.token}"]
    command += ["-H", "Connection: close"] if close else []
    command += ["-s", script] if script else []
    return parse_wrk(_run(setup.cores.load, [*command, f"http://127.0.0.1:{port}{path}"]))


def parse_wrk(text):
    requests, seconds, unit = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text).groups()
    failed = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    for kinds in re.findall(r"Socket errors: (.*)", text):
        failed += sum(map(int, re.findall(r"\d+", kinds)))
    percentiles = {
        percent: float(value) * UNIT_MS[unit]
        for percent, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)$", text, re.M)
    }
    return Outcome(int(requests), float(seconds) * UNIT_MS[unit] / 1000, failed, percentiles["50"], percentiles["99"])


def h2load(setup, port, path, seconds):
    """HTTP/2 by prior knowledge over a few long connections. The log of single requests gives the percentiles."""
    log = setup.folder / "h2load.log"
    log.unlink(missing_ok=True)
    command = ["h2load", "-t1", "-c", H2_CONNECTIONS, "-m", H2_STREAMS, "-D", seconds, f"--log-file={log}"]
    command += ["-H", f"authorization: Bearer {setup.token}"]
    text = _run(setup.cores.load, [*command, f"http://127.0.0.1:{port}{path}"])
    micros, failed = [], 0
    with open(log, encoding="ascii") as lines:
        for line in lines:
            _, status, elapsed = line.split("\t")
            if 200 <= int(status) < 400:
                micros.append(int(elapsed))
            else:
                failed += 1
    lost = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", text)
    # h2load counts a failed request among the errored as well; the larger of its numbers is the honest one.
    failed = max(failed, *map(int, lost.groups()))
    micros.sort()
    return Outcome(len(micros), float(seconds), failed, _percentile(micros, 50) / 1000, _percentile(micros, 99) / 1000)


def h2_close(setup, port, path, seconds):
    """HTTP/2 with a new connection for each request."""
    command = [setup.binaries / "examples/h2_close_load", f"127.0.0.1:{port}", path, seconds, H1_CONNECTIONS]
    report = json.loads(_run(setup.cores.load, [*command, f"authorization:Bearer {setup.token}"]))
    return Outcome(report["requests"], report["seconds"], report["errors"], report["p50_ms"], report["p99_ms"])


def _percentile(ordered, percent):
    return ordered[len(ordered) * percent // 100] if ordered else 0.0
