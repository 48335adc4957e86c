"""The servers compared, each one process on one CPU with a directory of its own, and the load upon them."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.bench import workload
from tests.bench.workload import Mix
from tools.embedded_etcd import free_port

START_TIMEOUT: Final = 30.0
"""Seconds until a server must answer."""

OUTSTANDING: Final = 200
"""Queries without a response yet that dnsperf allows itself: some full batches, below what sockets hold."""

SERVER_CPU: Final = min(os.sched_getaffinity(0))
LOAD_CPU: Final = max(os.sched_getaffinity(0))

_ROOT: Final = Path(__file__).parents[2]

_KNOT_CONF: Final = """\
server:
    listen: 127.0.0.1@{port}
    rundir: {directory}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {directory}
control:
    listen: {directory}/control
log:
  - target: stderr
    any: warning
zone:
  - domain: {zone}
    file: {directory}/zone
"""


class BenchError(Exception):
    """The run cannot go on. The text is one line for the user."""


def find_tool(name: str) -> str:
    """Return the path of a program.

    Raises:
        BenchError: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise BenchError(f"missing tool: {name}")
    return found


class Server:
    """A running server: `with Knot(directory) as knot: knot.cpu_seconds()`. It ends with the block."""

    name: str

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory / self.name
        self._directory.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        command = self._command()
        log = self._directory / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                _pinned(SERVER_CPU, command), cwd=_ROOT, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
                self.__exit__(None, None, None)
                raise BenchError(f"{self.name} did not start: {last}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self) -> bool:
        labels = workload.FIRST.encode().split(b".")
        name = b"".join(bytes((len(label),)) + label for label in labels)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.1)
            client.connect(("127.0.0.1", self.port))
            try:
                client.send(b"\0\0\0\0\0\1\0\0\0\0\0\0" + name + b"\0\0\1\0\1")
                reply = client.recv(512)
            except OSError:
                time.sleep(0.1)
                return False
        return reply[3] & 15 == 0

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, that it and its children have used."""
        assert self._process
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in _descendants(self._process.pid))


class Knot(Server):
    name = "knot"

    def _command(self) -> list[str]:
        (self._directory / "zone").write_text(workload.zone_file())
        conf = self._directory / "conf"
        conf.write_text(_KNOT_CONF.format(port=self.port, directory=self._directory, zone=workload.ZONE))
        return [find_tool("knotd"), "--config", str(conf)]


class Dnsserver(Server):
    name = "dnsserver"

    def __init__(self, directory: Path, etcd: str = "") -> None:
        super().__init__(directory)
        self._etcd = etcd
        """URL of an etcd with the records; empty: they are in the configuration."""

    def _command(self) -> list[str]:
        conf = self._directory / "zone.yaml"
        conf.write_text(workload.zone_yaml(static=not self._etcd))
        flags = ["--config", str(conf), "--listen", f"127.0.0.1:{self.port}"]
        if self._etcd:
            flags += ["--etcd-endpoints", self._etcd, "--etcd-prefix", workload.PREFIX]
        return [sys.executable, "-m", "dnsserver", *flags]


class Load(NamedTuple):
    """What one run of dnsperf brought."""

    answered: int
    lost: int
    octets: int
    """Of a response, on average."""
    cpu: float
    """Microseconds of the server's CPU time for a response."""


def drive(server: Server, mix: Mix, queries: Path, seconds: float, *, passes: int = 0) -> Load:
    """Ask a server for some seconds, or until the file is through `passes` times, and return what it cost.

    Raises:
        BenchError: dnsperf failed, or there were no responses, or not those that the mix is about.
    """
    command = [find_tool("dnsperf"), "-s", "127.0.0.1", "-p", str(server.port), "-d", str(queries), "-t", "1"]
    command += ["-q", str(OUTSTANDING), "-l", str(seconds), *mix.flags]
    if passes:
        command += ["-n", str(passes)]
    before = server.cpu_seconds()
    run = subprocess.run(_pinned(LOAD_CPU, command), capture_output=True, text=True, check=False)
    used = server.cpu_seconds() - before
    answered, lost = _number("Queries completed", run.stdout), _number("Queries lost", run.stdout)
    rcodes = re.findall(r"([A-Z]+) \d+ \(", run.stdout)
    if run.returncode or not answered or rcodes != [mix.rcode]:
        reason = run.stderr.strip().rpartition("\n")[2] or f"responses: {', '.join(rcodes) or 'none'}"
        raise BenchError(f"dnsperf, {mix.name} on {server.name}: {reason}")
    return Load(answered, lost, _number(r"request \d+, response", run.stdout), used / answered * 1e6)


def _number(label: str, output: str) -> int:
    found = re.search(rf"{label}:?\s+(\d+)", output)
    return int(found[1]) if found else 0


def _pinned(cpu: int, command: list[str]) -> list[str]:
    return [find_tool("taskset"), "--cpu-list", str(cpu), *command]


def _cpu_clock(pid: int) -> int:
    """Return the clock of a process's CPU time, as clock_getcpuclockid(3) makes it on Linux."""
    return ~pid << 3 | 2


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += _descendants(int(child))
    return found
