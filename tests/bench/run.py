"""Which servers run for a mix, in which order they are asked, and what comes out."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby, islice
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import MAX_OPERATIONS, Store
from tests.bench.load import Load, drive, latencies
from tests.bench.peers import Bind, Coredns, Dnsserver, Floor, Knot, Nsd, Plain
from tests.bench.results import Row
from tests.bench.servers import Server, is_installed
from tests.bench.updates import updating
from tests.bench.workload import LARGE, SMALL, Mix, World
from tools.embedded_etcd import EmbeddedEtcd

FIRST_PASS: Final = 120.0
"""Seconds, at most, in which dnsserver is asked for every name once: it compiles answers at first use."""


class Effort(NamedTuple):
    rounds: int
    seconds: float
    """Of a server and round, and of a server's run for latencies."""


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


def measure(servers: Sequence[Server], etcd: str, mix: Mix, queries: Path, effort: Effort) -> list[Row]:
    """Drive each server in turn under a mix and return what it cost.

    Raises:
        BenchError: see `drive`.
    """
    queries.write_bytes(mix.queries())
    servers = [server for server in servers if mix.floor or not isinstance(server, Floor)]
    for server in servers:
        if isinstance(server, Dnsserver):
            seconds = FIRST_PASS if mix.world is LARGE else 6 * effort.seconds
            drive(server, mix._replace(rate=None), queries, seconds, passes=1)
    loads: dict[Server, list[Load]] = {server: [] for server in servers}
    made: list[float] = []
    for number in range(effort.rounds):
        for server in servers if number % 2 else reversed(servers):
            with updating(etcd, mix.updates if isinstance(server, Dnsserver) else 0) as reached:
                loads[server].append(drive(server, mix, queries, effort.seconds))
            made += reached
    rows = []
    for server, found in loads.items():
        updates = made if isinstance(server, Dnsserver) else []
        rate = median(load.rate for load in found)
        with updating(etcd, mix.updates if updates else 0):
            p50, p99 = latencies(server, mix, queries, effort.seconds, mix.rate or rate / 2)
        rows.append(
            Row(
                mix.name,
                server.name,
                [round(load.cpu, 3) for load in found],
                round(rate),
                sum(load.lost for load in found),
                found[0].octets,
                round(p50, 3),
                round(p99, 3),
                round(median(updates)) if updates else 0,
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
