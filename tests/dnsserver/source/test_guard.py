"""What a listing may take away, against a model that has one dict for each of store and names."""

import asyncio
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.entry import Head
from dnsserver.source.guard import doubt
from dnsserver.source.mirror import Mirror
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.support import NO_ETCD, changes, table_of

ZONES = [{"name": "example.", "lookup": "exact"}]

paths = st.builds("example/n{}/k{}".format, st.integers(0, 5), st.integers(0, 1))
stores = st.dictionaries(paths, st.integers(1, 3), max_size=6)


class Listing(NamedTuple):
    store: dict[str, int]
    cluster: int
    back: bool


class Puts(NamedTuple):
    store: dict[str, int | None]


ACCEPT = "accept"

steps = st.lists(
    st.one_of(
        st.builds(Listing, stores, st.sampled_from([1, 1, 1, 2]), st.booleans()),
        st.builds(Puts, st.dictionaries(paths, st.one_of(st.integers(1, 3), st.none()), max_size=3)),
        st.just(ACCEPT),
    ),
    max_size=8,
)


def owner(path: str) -> str:
    return path.split("/")[1]


class Model:
    """Names and their keys, as the documentation tells it."""

    def __init__(self) -> None:
        self.store: dict[str, int] = {}
        self.old: dict[str, int] = {}
        """Keys of names that the store has not shown."""
        self.known = 0

    def served(self) -> dict[str, int]:
        return self.old | self.store

    def list(self, store: dict[str, int], doubted: bool) -> None:
        if doubted:
            self.old, self.known = self.served(), len(set(map(owner, self.served())))
        self.store = dict(store)
        self._settle()

    def put(self, changed: dict[str, int | None]) -> None:
        shown = {owner(path) for path, value in changed.items() if value is not None}
        self.old = {path: value for path, value in self.old.items() if owner(path) not in shown}
        for path, value in changed.items():
            for side in (self.store, self.old):
                side.pop(path, None)
            if value is not None:
                self.store[path] = value
        self._settle(shown)

    def _settle(self, shown: set[str] = frozenset()) -> None:
        there = set(map(owner, self.store)) | shown
        self.old = {path: value for path, value in self.old.items() if owner(path) not in there}
        if 2 * len(self.held()) <= self.known:
            self.old = {}

    def held(self) -> set[str]:
        return set(map(owner, self.old))


def values(store: dict[str, int | None]) -> dict[str, str | None]:
    return {
        path: value and f'{{"host":"192.0.2.{value}","targetstrip":1}}'
        for path, value in sorted(store.items())
    }


def served(table: ZoneTable) -> dict[str, int]:
    return {
        stored.key.removeprefix(b"/skydns/").decode(): int(stored.host.rpartition(".")[2])
        for node in table.nodes.values()
        for stored in node.records
    }


async def run(found: list) -> None:
    table, model = table_of(ZONES, etcd=NO_ETCD), Model()
    mirror = Mirror(table)
    await listed(mirror, {}, Head(1, 10))
    for step in found:
        head = mirror.head
        if step == ACCEPT:
            await mirror.accept()
            model.old = {}
        elif isinstance(step, Puts):
            await mirror.batch(list(changes(values(step.store))), head.revision + 1)
            model.put(step.store)
        else:
            after = Head(step.cluster, head.revision - 1 if step.back else head.revision + 1)
            doubted = bool(model.served()) and (
                after.cluster_id != head.cluster_id or step.back or not step.store
            )
            await listed(mirror, step.store, after)
            model.list(step.store, doubted)
        assert served(table) == model.served()
        assert table.owners == len(set(map(owner, model.served())))
        assert table.records == len(model.served())


async def listed(mirror: Mirror, store: dict[str, int], head: Head, size: int = 2) -> None:
    await mirror.begin()
    page = list(changes(values(store)))
    for at in range(0, len(page), size):
        await mirror.page(page[at : at + size], head.revision)
    await mirror.listed(head, len(page))


@given(steps)
def test_a_doubted_store_is_served_and_takes_nothing_away_before_it_has_half(found):
    asyncio.run(run(found))


@pytest.mark.parametrize(
    ("listed", "names", "keys", "reason"),
    [
        (Head(1, 10), 5, 1, None),
        (Head(1, 11), 5, 0, "it is empty"),
        (Head(1, 9), 5, 9, "it went back from revision 10 to 9"),
        (Head(2, 99), 5, 9, "it is cluster 2, not 1"),
        (Head(2, 1), 0, 0, None),
    ],
)
def test_a_listing_is_doubted_for_its_origin_or_for_having_nothing(listed, names, keys, reason):
    assert doubt(Head(1, 10), listed, names, keys) == reason


async def test_a_listing_that_failed_half_way_leaves_nothing_of_its_own():
    table = table_of(ZONES, etcd=NO_ETCD)
    mirror = Mirror(table)
    await mirror.begin()
    await mirror.page(list(changes(values({"example/n1/k0": 1, "example/n2/k0": 1}))), 5)
    await listed(mirror, {"example/n2/k0": 1}, Head(1, 6))
    assert served(table) == {"example/n2/k0": 1}
    assert table.synced


async def test_what_a_failed_listing_brought_does_not_outweigh_the_names_before_it():
    table = table_of(ZONES, etcd=NO_ETCD)
    mirror = Mirror(table)
    await listed(mirror, {f"example/n{number}/k0": 1 for number in range(4)}, Head(1, 10))
    other = {f"example/m{number}/k0": 1 for number in range(9)}
    await mirror.begin()
    await mirror.page(list(changes(values(other))), 5)
    await listed(mirror, other, Head(1, 5))
    assert mirror.held == 4
