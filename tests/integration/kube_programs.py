"""The two programs as processes, as an operator starts them, and the questions a journey asks."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import dns.asyncquery
import dns.message
import dns.rcode
import dns.rdatatype
import yaml

from tools.embedded_etcd import free_port

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 30.0
"""Seconds until a program must have started; one is usual."""


async def seen_within(seconds: float, check: Callable[[], Awaitable[bool]]) -> float:
    """Return after how many seconds `check` held, asked every 5 ms.

    Raises:
        AssertionError: it did not hold in time.
    """
    start = time.monotonic()
    while not await check():
        took = time.monotonic() - start
        assert took < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.005)
    return time.monotonic() - start


class Program:
    """A process of ours: `async with Program("syncer", ...)` enters once its page says it is up."""

    def __init__(self, module: str, arguments: list[str], page: str, environment: dict[str, str], log: Path):
        self._command = [sys.executable, "-m", module, *arguments]
        self._page = page
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DNSSERVER_", "EXTERNAL_DNS_"))}
        self._environment = inherited | environment
        self._log = log

    async def __aenter__(self) -> Self:
        self._process = self._start()
        try:
            await seen_within(START_TIMEOUT, self._is_up)
        except AssertionError as e:
            await self.__aexit__()
            raise AssertionError(f"{self._command[2]} did not start:\n{self.said}") from e
        return self

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, env=self._environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self._command[2]} did not end on SIGTERM:\n{self.said}") from None

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def _is_up(self) -> bool:
        assert self.is_running, f"{self._command[2]} ended:\n{self.said}"

        def fetch() -> bool:
            try:
                with urllib.request.urlopen(self._page, timeout=1) as response:
                    return response.status == 200
            except OSError:
                return False

        return await asyncio.to_thread(fetch)


class Dnsserver(Program):
    """Serves k8s.local, or what `zone_yaml` says, from `prefix` of etcd; up once its table is complete."""

    def __init__(
        self, etcd: str, prefix: str, directory: Path, zone_yaml: Mapping[str, Any] | None = None
    ) -> None:
        self.port = free_port()
        ready = f"127.0.0.1:{free_port()}"
        soa = {"mname": "ns.dns.k8s.local.", "rname": "hostmaster.k8s.local."}
        config = (zone_yaml or {"zones": [{"name": "k8s.local", "ttl": 300, "soa": soa}]}) | {
            "listen": [f"127.0.0.1:{self.port}"],
            "etcd": {"endpoints": ["http://127.0.0.1:1"], "prefix": prefix},
            "metrics": {"listen": f"127.0.0.1:{free_port()}"},
            "health": {"listen": f"127.0.0.1:{free_port()}"},
            "ready": {"listen": ready},
        }
        path = directory / "zone.yaml"
        path.write_text(yaml.safe_dump(config))
        environment = {"DNSSERVER_ETCD_ENDPOINTS": etcd}
        page = f"http://{ready}/ready"
        super().__init__("dnsserver", ["--config", str(path)], page, environment, directory / "dnsserver.log")

    async def ask(self, name: str, rdtype: str = "A", *, over_tcp: bool = False) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype)
        send = dns.asyncquery.tcp if over_tcp else dns.asyncquery.udp
        return await send(query, "127.0.0.1", port=self.port, timeout=2)

    async def addresses(self, name: str, *, over_tcp: bool = False) -> set[str]:
        response = await self.ask(name, over_tcp=over_tcp)
        return {r.address for rrset in response.answer for r in rrset if r.rdtype == dns.rdatatype.A}

    async def has(self, name: str, address: str) -> bool:
        return await self.addresses(name) == {address}

    async def lacks(self, name: str) -> bool:
        return (await self.ask(name)).rcode() == dns.rcode.NXDOMAIN


class Syncer(Program):
    """Publishes Ingresses and Services of one namespace; up once its listener is, API or not."""

    def __init__(
        self,
        etcd: str,
        prefix: str,
        kubeconfig: Path,
        namespace: str,
        directory: Path,
        sources: Sequence[str] = ("--source=ingress", "--source=service"),
    ) -> None:
        metrics = f"127.0.0.1:{free_port()}"
        arguments = [
            *(*sources, f"--namespace={namespace}"),
            *(f"--kubeconfig={kubeconfig}", f"--coredns-prefix={prefix}/", f"--metrics-address={metrics}"),
        ]
        page = f"http://{metrics}/healthz"
        super().__init__("syncer", arguments, page, {"ETCD_URLS": etcd}, directory / "syncer.log")
