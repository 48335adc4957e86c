"""A dnsserver that follows an etcd, and a load upon it, for faults to happen to."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.store import Store
from tests.faults.writer import Values, Writer
from tests.load import Check, Live, Load, has, is_denied
from tests.programs import DnsServer, eventually

NAMES = 100
"""Names that stay as they are throughout."""


def stable() -> dict[str, str]:
    return {f"s{number}": f"192.0.2.{number}" for number in range(NAMES)}


class Scene:
    """`with Scene(…) as scene`. The server has what etcd has when the block begins."""

    def __init__(
        self,
        directory: Path,
        address: EtcdAddress,
        *,
        endpoints: Sequence[str] = (),
        etcd_keys: Mapping[str, str] | None = None,
        tries: int = 1,
    ) -> None:
        """Write to etcd at `address`; the server follows it there, or at `endpoints`."""
        self.store = Store(address)
        self._writer = Writer(self.store)
        self.live = Live()
        self.put(stable() | {"live": self.live.next()})
        section = {"endpoints": list(endpoints or address.endpoints), **(etcd_keys or {})}
        self.server = DnsServer(directory, settings=f"etcd: {json.dumps(section)}\n")
        checks: dict[str, Check] = {f"{name}.k8s.local": has(host) for name, host in stable().items()}
        checks |= {f"{name}.gone.k8s.local": is_denied for name in "abcde"}
        checks |= {"live.k8s.local": self.live}
        self.load = Load(self.server.port, checks, rate=300, clients=1, tries=tries, timeout=1, tcp=True)
        self.cpu: list[float] = []
        """Shares of a core that the server's etcd threads used, while a fault lasted."""

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.server.wait_ready()
        eventually(lambda: self.server.data("live.k8s.local"), 5)
        self.load.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.load.__exit__(*error)
        self.server.__exit__(*error)
        self.store.close()

    def put(self, values: Values) -> None:
        """Write names, whatever happens to etcd meanwhile."""
        self._writer.put(values)

    def update(self) -> None:
        """Give the live name its next address."""
        self.put({"live": self.live.next()})

    def lasting(self, seconds: float) -> None:
        """Let a fault last, and note what CPU the server's etcd threads take."""
        before, began = self.server.background_cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        used = self.server.background_cpu_seconds() - before
        self.cpu.append(used / (time.monotonic() - began))

    def freshness(self, within: float = 30) -> float:
        """Return the seconds until what is written now is served."""
        self.update()
        began = time.monotonic()
        while not self.live.is_fresh():
            if time.monotonic() - began > within:
                raise AssertionError(
                    f"not fresh within {within} s: {self.live.seen} of {self.live.written} is served, "
                    f"etcd has {self._writer.held('live')!r}: {self.server.log()}"
                )
            time.sleep(0.005)
        return time.monotonic() - began

    def follows(self) -> str:
        """Return the endpoint that the server said it is connected to."""
        lines = [line for line in self.server.log().splitlines() if ": connected at revision" in line]
        return lines[-1].partition("etcd ")[2].partition(": connected")[0]

    @contextmanager
    def checked(self, checks: Mapping[str, Check]) -> Iterator[None]:
        """Check some names otherwise for a while."""
        full = {f"{name}.k8s.local": check for name, check in checks.items()}
        before = dict(self.load.checks)
        self.load.checks |= full
        yield
        self.load.checks = before
