"""The project's programs as processes, and what is asked of them over real sockets."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from tools.embedded_etcd import free_port

START_TIMEOUT = 45.0

TOLD_BY = ("DNSSERVER_", "ETCD", "EXTERNAL_DNS_", "KUBE")
"""How variables begin that tell our programs something."""

T = TypeVar("T")


def eventually(condition: Callable[[], T], within: float = 40, what: str = "") -> T:
    """Return the first true value of a condition, within some seconds."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or condition}")
        time.sleep(0.005)
    return value


async def until(condition: Callable[[], T], within: float = 40, what: str = "") -> T:
    """Do as `eventually` does, in a thread: what is waited for may need this event loop."""
    return await asyncio.to_thread(eventually, condition, within, what)


def children(program: "Program") -> list[int]:
    """Return the processes that a program has started, the oldest first."""
    tasks = Path(f"/proc/{program.process.pid}/task").glob("*/children")
    return sorted({int(pid) for task in tasks for pid in task.read_text().split()})


class Program:
    """`python -m MODULE` as a process; ended, and its log kept until then, by the `with` block.

    It has the variables of the tests, but for those that would tell it something, and its own `environment`.
    """

    http_port = 0
    """Of its pages."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._log = tempfile.NamedTemporaryFile(suffix=f".{module}.log")  # noqa: SIM115
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(TOLD_BY)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**inherited, **(environment or {})},
        )

    def log(self) -> str:
        return Path(self._log.name).read_text("utf-8", "replace")

    def wait_for(self, text: str, within: float = START_TIMEOUT) -> None:
        eventually(
            lambda: text in self.log() or self.process.poll() is not None, within, f"{text!r}: {self.log()}"
        )
        assert text in self.log(), self.log()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        return self.wait(10)

    def wait(self, within: float = 60) -> int:
        """Wait until it has ended and return its exit code."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end: {self.log()}") from None

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text of a page; status 0 and the reason where there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def background_cpu_seconds(self) -> float:
        """Return the CPU time of all its threads but the first, which is the event loop's."""
        pid = self.process.pid
        clock = ~pid << 3 | 2  # of the whole process, as clock_getcpuclockid(3) makes it on Linux
        first = int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9
        return time.clock_gettime(clock) - first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        self._log.close()


ZONE = """\
zones:
  - name: k8s.local
    records: [{name: ns.dns, type: A, data: 127.0.0.1}]
"""


class Resolver:
    """Asks a server on loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, name: str, rdtype: str = "A", *, tcp: bool = False, timeout: float = 2.0
    ) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, use_edns=0)
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, "127.0.0.1", port=self.port, timeout=timeout)

    def rcode(self, name: str, rdtype: str = "A", *, tcp: bool = False) -> str:
        return dns.rcode.to_text(self.ask(name, rdtype, tcp=tcp).rcode())

    def data(self, name: str, rdtype: str = "A", *, tcp: bool = False) -> set[str]:
        """Return the data of the answer, in zone-file text; empty without an answer."""
        wanted = dns.rdatatype.from_text(rdtype)
        answer = self.ask(name, rdtype, tcp=tcp).answer
        return {item.to_text() for rrset in answer if rrset.rdtype == wanted for item in rrset}


class DnsServer(Program, Resolver):
    """A dnsserver on loopback, on ports of its own."""

    def __init__(
        self,
        directory: Path,
        *,
        zones: str = ZONE,
        etcd: str = "",
        prefix: str = "/skydns",
        settings: str = "",
        more: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        """Start with the zone YAML of `configure`; `more` are flags. Port 0 is one that is free."""
        Resolver.__init__(self, port or free_port())
        self.http_port = free_port()
        self.config = directory / f"zone-{self.port}.yaml"
        self.configure(zones=zones, etcd=etcd, prefix=prefix, settings=settings)
        Program.__init__(self, "dnsserver", "--config", str(self.config), *more)
        try:
            self.wait_for("serves")
        except BaseException:
            self.process.kill()
            raise

    def configure(
        self,
        *,
        zones: str = ZONE,
        etcd: str = "",
        prefix: str = "/skydns",
        settings: str = "",
        ports: Sequence[int] = (),
    ) -> None:
        """Write the zone YAML; `settings` are more lines of it, `ports` to listen on beside its own."""
        listen = ", ".join(f"'127.0.0.1:{port}'" for port in (self.port, *ports))
        page = f"{{listen: '127.0.0.1:{self.http_port}'}}"
        store = f"etcd: {{endpoints: ['{etcd}'], prefix: {prefix}}}\n" if etcd else ""
        self.config.write_text(
            f"listen: [{listen}]\nmetrics: {page}\nhealth: {page}\nready: {page}\n" + store + settings + zones
        )

    def reload(self, within: float = START_TIMEOUT) -> None:
        """Let it read its zone YAML again, and wait until it has, or has refused it."""
        before = self.log().count("reloaded")
        self.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.log().count("reloaded") > before, within, f"reload: {self.log()}")

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples; 0 if there is none."""
        lines = self.page("/metrics")[1].splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))
        )

    def wait_ready(self, within: float = START_TIMEOUT) -> None:
        eventually(lambda: self.page("/ready")[0] == 200, within, f"ready: {self.log()}")


class Syncer(Program):
    """A syncer that writes to etcd below a prefix; it must end without a traceback."""

    def __init__(self, endpoint: str, prefix: str, *arguments: str, **environment: str) -> None:
        self.http_port = free_port()
        listen = () if "--once" in arguments else (f"--metrics-address=127.0.0.1:{self.http_port}",)
        told = {"ETCD_URLS": endpoint, **environment}
        super().__init__("syncer", f"--coredns-prefix={prefix}", *listen, *arguments, environment=told)

    def is_up(self) -> bool:
        """Say whether its pages are there, and its loop turns."""
        return self.page("/healthz")[0] == 200

    def wait(self, within: float = 60) -> int:
        code = super().wait(within)
        assert "Traceback" not in self.log(), self.log()
        return code
