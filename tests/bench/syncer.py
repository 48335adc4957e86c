"""How soon a change in Kubernetes is in etcd: `python -m tests.bench.syncer`.

The API server is the fake of the tests, over HTTP; etcd and syncer are the real ones, as processes. A
change counts as made when the API has it, and as arrived when a watch on etcd brings it.
"""

import argparse
import asyncio
import math
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.record import decode
from dnsserver.skydns.store import Store
from tests.integration.fake_kube import FakeKube
from tests.programs import Syncer, until
from tools.embedded_etcd import EmbeddedEtcd, EtcdNotStarted

PREFIX = "/skydns"
DOMAIN = "bench.k8s.local"
FEW = 10
"""Ingresses that exist in the idle phase."""

PATIENCE = 120.0
"""Seconds after which something that has not arrived never will."""


class Measured(NamedTuple):
    phase: str
    ingresses: int
    latencies: list[float]
    """Seconds, of each change."""
    seconds: float
    """CPU time of syncer."""

    def row(self) -> str:
        """Return a line of the table."""
        ordered = sorted(self.latencies)
        p50, p99 = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.99))
        return (
            f"{self.phase:<10}{self.ingresses:>10,}{len(ordered):>9,}{p50 * 1000:>9.0f}{p99 * 1000:>9.0f}"
            f"{ordered[-1] * 1000:>9.0f}{self.seconds / len(ordered) * 1000:>9.1f}"
        )


HEADING = f"{'phase':<10}{'ingresses':>10}{'changes':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'CPU ms':>9}"


class Figures(NamedTuple):
    idle: Measured
    busy: Measured
    first_sync: float
    """Seconds from the first list of the Ingresses to the last record in etcd."""
    started: float
    """Seconds from the start of the process to the same."""
    first_cpu: float
    """Seconds of CPU time from the start of the process to the same."""
    resident: int
    """KiB, the highest."""


def ingress(number: int, address: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"shop-{number}",
            "namespace": f"team-{number % 50}",
            "labels": {"app.kubernetes.io/name": f"shop-{number}", "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": f"shop-{number}", "cert-manager.io/issuer": "ca"},
        },
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": host_of(number), "http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    }


def host_of(number: int) -> str:
    return f"shop-{number}.{DOMAIN}"


def address_of(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@dataclass
class Arrivals:
    """What a watch on etcd has brought, and when."""

    at: dict[tuple[str, str], float] = field(default_factory=dict)
    """By name and address."""
    names: set[str] = field(default_factory=set)

    def follow(self, store: Store, prefix: Key) -> None:
        """Take every record until the store is closed."""
        revision = store.head(prefix).revision
        try:
            for batch in store.watch(prefix, revision + 1):
                now = time.monotonic()
                for entry in batch.entries:
                    if entry.value is not None and (host := decode(entry.value).host):
                        name = ".".join(reversed(entry.key[len(prefix) :].decode().split("/")[:-1]))
                        self.at[name, host] = now
                        self.names.add(name)
        except StoreUnavailable:
            return


@contextmanager
def following(endpoint: str) -> Iterator[Arrivals]:
    store, arrivals = Store(EtcdAddress(endpoints=(endpoint,))), Arrivals()
    thread = threading.Thread(target=arrivals.follow, args=(store, prefix_of(PREFIX)), daemon=True)
    thread.start()
    try:
        yield arrivals
    finally:
        store.close()
        thread.join()


async def arrived(condition: Callable[[], bool], what: str) -> None:
    await until(condition, PATIENCE, what)


class Bench:
    """A syncer before one fake API, and what arrives of its Ingresses."""

    def __init__(self, kube: FakeKube, start: Callable[[], Syncer], arrivals: Arrivals) -> None:
        self._kube, self._start, self._arrivals = kube, start, arrivals
        self._changes = 0

    async def run(self, ingresses: int, *, idle: int, rate: float, seconds: float) -> Figures:
        for number in range(FEW):
            self._kube.put(ingress(number, address_of(number)))
        start = time.monotonic()
        with self._started():
            await arrived(lambda: len(self._arrivals.names) == FEW, "the first records")
            calm = await self._measure("idle", FEW, self._one_by_one(idle))
            await asyncio.to_thread(self._syncer.stop)
        for number in range(ingresses):
            self._kube.put(ingress(number, address_of(number + (1 << 23))))
        self._kube.lists.clear()
        start = time.monotonic()
        with self._started():
            await arrived(lambda: self._kube.lists["ingresses"] > 0, "a list of the Ingresses")
            listed = time.monotonic()
            last = [(host_of(number), address_of(number + (1 << 23))) for number in range(ingresses)]
            await arrived(lambda: all(at in self._arrivals.at for at in last), "all records")
            done = max(self._arrivals.at[at] for at in last)
            first_cpu = self._cpu()
            busy = await self._measure("busy", ingresses, self._at_a_rate(ingresses, rate, seconds))
            resident = self._resident()
            await asyncio.to_thread(self._syncer.stop)
        return Figures(calm, busy, done - listed, done - start, first_cpu, resident)

    def _started(self) -> Syncer:
        self._syncer = self._start()
        return self._syncer

    async def _measure(
        self, phase: str, ingresses: int, changes: Awaitable[list[tuple[float, tuple[str, str]]]]
    ) -> Measured:
        before = self._cpu()
        made = await changes
        await arrived(lambda: all(what in self._arrivals.at for _, what in made), "all changes")
        latencies = [self._arrivals.at[what] - at for at, what in made]
        return Measured(phase, ingresses, latencies, self._cpu() - before)

    async def _one_by_one(self, count: int) -> list[tuple[float, tuple[str, str]]]:
        made = []
        for number in range(count):
            made.append(self._change(number % FEW))
            await arrived(lambda: made[-1][1] in self._arrivals.at, "a change")
            await asyncio.sleep(0.05)
        return made

    async def _at_a_rate(self, of: int, rate: float, seconds: float) -> list[tuple[float, tuple[str, str]]]:
        made = []
        start = time.monotonic()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            made.append(self._change(number * 7919 % of))
        return made

    def _change(self, number: int) -> tuple[float, tuple[str, str]]:
        """Give an Ingress an address that no other has had; return when, and what is to arrive."""
        self._changes += 1
        address = address_of(self._changes + (1 << 22))
        self._kube.put(ingress(number, address))
        return time.monotonic(), (host_of(number), address)

    def _cpu(self) -> float:
        with open(f"/proc/{self._syncer.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _resident(self) -> int:
        with open(f"/proc/{self._syncer.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


async def measure(ingresses: int, *, idle: int, rate: float, seconds: float) -> Figures:
    """Return the figures of one run on an etcd of its own.

    Raises:
        AssertionError: something did not arrive.
        EtcdNotStarted: there is no etcd.
    """
    with EmbeddedEtcd() as etcd, following(etcd.endpoint) as arrivals:
        async with FakeKube() as kube:
            start = partial(Syncer, etcd.endpoint, PREFIX, "--source=ingress", f"--server={kube.url}")
            return await Bench(kube, start, arrivals).run(ingresses, idle=idle, rate=rate, seconds=seconds)


def report(figures: Figures) -> Iterator[str]:
    yield HEADING
    yield figures.idle.row()
    yield figures.busy.row()
    ingresses = figures.busy.ingresses
    yield f"first sync of {ingresses:,} Ingresses: {figures.first_sync:.1f} s, from the start of the process"
    yield (
        f"{figures.started:.1f} s, {figures.first_cpu:.1f} s of CPU time; "
        f"highest resident memory {figures.resident / 1024:.0f} MiB"
    )


def main(argv: Sequence[str]) -> int:
    """Print the figures; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.bench.syncer", description=__doc__)
    parser.add_argument("--ingresses", type=int, default=10_000)
    parser.add_argument("--idle", type=int, default=200, help="changes one by one, with few Ingresses")
    parser.add_argument("--rate", type=float, default=100.0, help="changes a second, with all of them")
    parser.add_argument("--seconds", type=float, default=30.0, help="of these changes")
    given = parser.parse_args(argv)
    try:
        figures = asyncio.run(
            measure(given.ingresses, idle=given.idle, rate=given.rate, seconds=given.seconds)
        )
    except (EtcdNotStarted, AssertionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n".join(report(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
