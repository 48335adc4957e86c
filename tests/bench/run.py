"""Which servers run for a mix, in which order they are asked, and what comes out."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import MAX_OPERATIONS, Store
from tests.bench.load import Load, drive, latencies
from tests.bench.peers import Bind, Coredns, Dnsserver, Floor, Knot, Nsd, Plain
from tests.bench.results import Row, joined
from tests.bench.servers import Server, is_installed
from tests.bench.updates import updating
from tests.bench.workload import LARGE, SMALL, Mix, World
from tools.embedded_etcd import EmbeddedEtcd

FIRST_PASS: Final = 120.0
"""Seconds, at most, in which dnsserver is asked for every name once: it compiles answers at first use."""

TURNS: Final = 9
"""How often a server has its turn in a round, where it is saturated: what else the machine does changes
within a second."""

LARGE_ROUNDS: Final = 3
"""Rounds, at most, of mixes about the large world: each loads it anew."""


class Effort(NamedTuple):
    rounds: int
    """Each starts the servers anew: where a program's memory lies makes hundredths of difference."""
    seconds: float
    """Of a server and round, and of a server's run for latencies."""

    def of(self, world: World) -> int:
        """Return the rounds for a world; one that is large takes long to load."""
        return min(self.rounds, LARGE_ROUNDS) if world is LARGE else self.rounds


@contextmanager
def filled_etcd(world: World) -> Iterator[str]:
    """Run an etcd with the records of a world."""
    with EmbeddedEtcd() as etcd:
        store = Store(EtcdAddress(endpoints=(etcd.endpoint,)))
        for records in _batches(world):
            store.commit(puts=records, deletes=(), expected={})
        store.close()
        yield etcd.endpoint


@contextmanager
def running(
    directory: Path, world: World, etcd: str, *, coredns: str = "", settings: str = ""
) -> Iterator[list[Server]]:
    """Run the servers that are installed, Knot, which all are compared with, first. Where ours has
    settings they are Knot, ours without them, and ours.

    Raises:
        BenchError: Knot is not installed, or one does not start.
    """
    servers: list[Server] = [Knot(directory, world)]
    if settings:
        servers.append(Plain(directory, world, etcd))
    else:
        servers += [peer(directory, world) for peer in (Nsd, Bind) if is_installed(peer.program)]
        if coredns and world is SMALL:
            servers.append(Coredns(directory, world, coredns, etcd))
    servers.append(Dnsserver(directory, world, etcd, settings))
    if not settings:
        servers.append(Floor(directory, world))
    with ExitStack() as stack:
        yield [stack.enter_context(server) for server in servers]


def measured(
    world: World, settings: str, mixes: Sequence[Mix], effort: Effort, coredns: str = ""
) -> Iterator[tuple[Mix, list[Row]]]:
    """Measure the mixes that the same running servers do for; yield each with what came out.

    Raises:
        BenchError, EtcdNotStarted: it cannot be measured.
    """
    rounds = effort.of(world)
    took: dict[Mix, list[list[Row]]] = {mix: [] for mix in mixes}
    with filled_etcd(world) as etcd:
        for number in range(rounds):
            with (
                TemporaryDirectory(prefix="dns-bench-") as path,
                running(Path(path), world, etcd, coredns=coredns, settings=settings) as servers,
            ):
                for mix, rows in took.items():
                    latency = number == rounds - 1
                    turned = servers if number % 2 else servers[::-1]
                    rows.append(measure(turned, etcd, mix, Path(path, "queries"), effort.seconds, latency))
    for mix, rows in took.items():
        yield mix, [joined(of_server) for of_server in zip(*map(sorted, rows), strict=True)]


def measure(
    servers: Sequence[Server], etcd: str, mix: Mix, queries: Path, seconds: float, latency: bool = True
) -> list[Row]:
    """Drive each server in turn under a mix and return what it cost, and the latency if wanted.

    Raises:
        BenchError: see `drive`.
    """
    servers = [server for server in servers if mix.floor or not isinstance(server, Floor)]
    changes = {server: mix.updates if isinstance(server, Dnsserver) else 0 for server in servers}
    # What was allocated in the order in which it is asked for would be found too easily.
    queries.write_bytes(b"".join(sorted(mix.queries())))
    for server in servers:
        if isinstance(server, Dnsserver):
            most = FIRST_PASS if mix.world is LARGE else 6 * seconds
            drive(server, mix._replace(rate=None), queries, most, passes=1)
    queries.write_bytes(b"".join(mix.queries()))
    turns = TURNS if mix.saturates and not mix.updates else 1  # each change costs its server once
    loads: dict[Server, list[Load]] = {server: [] for server in servers}
    made: dict[Server, list[float]] = {server: [] for server in servers}
    for number in range(turns):
        skip = random.randrange(mix.lines)
        for server in servers if number % 2 else servers[::-1]:
            with updating(etcd, changes[server]) as reached:
                loads[server].append(drive(server, mix, queries, seconds / turns, skip=skip))
            made[server] += reached
    rows = []
    for server, found in loads.items():
        rate = median(load.rate for load in found)
        p50 = p99 = None
        if latency:
            with updating(etcd, changes[server]):
                p50, p99 = latencies(server, mix, queries, seconds, mix.rate or rate / 2)
        rows.append(
            Row(
                mix.name,
                server.name,
                [[round(load.cpu, 3) for load in found]],
                round(rate),
                sum(load.lost for load in found),
                found[0].octets,
                p50,
                p99,
                round(sum(made[server])),
            )
        )
    return rows


def groups(mixes: Sequence[Mix]) -> Iterator[tuple[World, str, list[Mix]]]:
    """Yield worlds, dnsserver's settings, and the mixes that the same running servers do for."""
    order = sorted(mixes, key=lambda mix: (mix.world is LARGE, mix.settings))
    for (world, settings), found in groupby(order, key=lambda mix: (mix.world, mix.settings)):
        yield world, settings, list(found)


def _batches(world: World) -> Iterator[dict[Key, bytes]]:
    records = world.etcd_records()
    while batch := dict(islice(records, MAX_OPERATIONS)):
        yield batch
