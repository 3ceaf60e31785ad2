"""The machine: cores, ports, versions, and processes whose CPU time, memory and descriptors can be read.

Everything about a process comes from /proc, for the process and all its descendants together, so that
nginx's master and worker count as one proxy. Linux only.
"""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_LIMIT_SECONDS = 10
STOP_LIMIT_SECONDS = 10


class Cores:
    """Who runs where: backend and load on one core each, the proxy on one or two of the others."""

    def __init__(self, proxy_cores):
        available = sorted(os.sched_getaffinity(0))
        needed = 2 + proxy_cores
        if len(available) < needed:
            raise SystemExit(f"{needed} cores are needed for {proxy_cores} proxy core(s), {len(available)} are there")
        self.backend = available[:1]
        self.proxy = available[1 : 1 + proxy_cores]
        self.load = available[-1:]


class Process:
    """A child process pinned to cores; a context manager that ends it."""

    def __init__(self, command, cores, log, cwd=None):
        pinned = ["taskset", "-c", ",".join(map(str, cores)), *map(str, command)]
        self.name = Path(str(command[0])).name
        self.log = Path(log)
        with open(log, "wb") as output:
            self.child = subprocess.Popen(pinned, stdout=output, stderr=output, cwd=cwd, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """SIGTERM, and SIGKILL for the whole process group if that is not obeyed."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()

    def wait_for_port(self, port):
        """Returns once somebody accepts on the port; fails with the log if the process ended or took too long."""
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise SystemExit(f"{self.name} does not listen on port {port}:\n{self.log.read_text()[-4000:]}")

    def signal(self, number):
        self.child.send_signal(number)

    def _tree(self):
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(stat.parent.name)] = int(fields[1])
        tree, size = {self.child.pid}, 0
        while len(tree) != size:
            size = len(tree)
            tree |= {pid for pid, parent in parents.items() if parent in tree}
        return tree

    def cpu_seconds(self):
        """User and system time of all threads, also of those that ended."""
        ticks = 0
        for pid in self._tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS_PER_SECOND

    def _status_sum(self, key):
        total = 0
        for pid in self._tree():
            found = re.search(rf"^{key}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
            total += int(found.group(1)) if found else 0
        return total

    def memory_mb(self):
        """Resident memory now and at its highest, in MB (10^6 bytes)."""
        return tuple(self._status_sum(key) * 1024 / 1e6 for key in ("VmRSS", "VmHWM"))

    def threads(self):
        return self._status_sum("Threads")

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._tree())


def free_ports(count):
    """Ports that nobody listens on; all are held until all are known, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def first_line(*command):
    """What a program says about its version."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return next(iter((done.stdout + done.stderr).strip().splitlines()), "unknown")


def describe(root):
    """Hardware and versions, as pairs, for the head of the report."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)
    return [
        ("CPU", cpu.group(1) if cpu else os.uname().machine),
        ("Cores", str(len(os.sched_getaffinity(0)))),
        ("Memory", f"{int(memory.group(1)) * 1024 / 1e9:.0f} GB"),
        ("Kernel", os.uname().release),
        ("Figway", commit(root)),
        ("Compiler", first_line("rustc", "--version")),
        ("nginx", first_line("nginx", "-v").removeprefix("nginx version: ")),
        ("HAProxy", first_line("haproxy", "-v")),
        ("wrk", first_line("wrk", "-v").split(" Copyright")[0]),
        ("h2load", first_line("h2load", "--version")),
    ]


def commit(root):
    """The commit that is measured; `-dirty` when the tree differs from it."""
    return first_line("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10")
