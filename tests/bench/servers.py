"""A server under test: its processes on one CPU, a directory of its own, and the CPU time they use."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from tests.bench.workload import World, query
from tools.embedded_etcd import free_port

START_TIMEOUT: Final = 300.0
"""Seconds until a server must answer; a million names take some time to load."""

SERVER_CPU: Final = min(os.sched_getaffinity(0))
LOAD_CPU: Final = max(os.sched_getaffinity(0))

ROOT: Final = Path(__file__).parents[2]


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


def is_installed(name: str) -> bool:
    try:
        return bool(find_tool(name))
    except BenchError:
        return False


def pinned(cpu: int, command: list[str]) -> list[str]:
    return [find_tool("taskset"), "--cpu-list", str(cpu), *command]


def compiled(source: str, directory: Path) -> Path:
    """Return a C program of this package, made in a directory if it is not there."""
    program = directory / Path(source).stem
    if not program.exists():
        at = Path(__file__).with_name(source)
        subprocess.run([find_tool("gcc"), "-O2", "-o", str(program), str(at)], check=True)
    return program


class Server:
    """A running server: `with Knot(directory, world) as knot: knot.cpu_seconds()`. It ends with the block."""

    name: ClassVar[str]

    def __init__(self, directory: Path, world: World) -> None:
        self.world, self.port = world, free_port()
        self.directory = directory / self.name
        self.directory.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return what to run, when its files are written."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        command = self.command()
        log = self.directory / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                pinned(SERVER_CPU, command), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
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
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.1)
            client.connect(("127.0.0.1", self.port))
            try:
                client.send(query(self.world.first))
                reply = client.recv(512)
            except OSError:
                time.sleep(0.1)
                return False
        return reply[3] & 15 == 0

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, that it and its children have used."""
        return sum(time.clock_gettime(cpu_clock(pid)) for pid in self.processes())

    def processes(self) -> list[int]:
        """Return its own, first, and those of its children."""
        assert self._process
        return _descendants(self._process.pid)


def cpu_clock(pid: int) -> int:
    """Return the clock of a process's CPU time, as clock_getcpuclockid(3) makes it on Linux."""
    return ~pid << 3 | 2


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += _descendants(int(child))
    return found
