"""A transfer is of one state, and deltas lead from each committed state to the next, whatever the order."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.transfer import history
from dnsserver.transfer.contents import Contents
from dnsserver.transfer.history import Journal
from dnsserver.wire import const
from dnsserver.wire.name import from_text
from dnsserver.zone.table import ZoneTable
from tests.dnsserver import worlds
from tests.dnsserver.support import NO_ETCD, change, changes, table_of

Rr = tuple[bytes, int, int, bytes]


@pytest.fixture(autouse=True)
def one_name_a_slice(monkeypatch):
    monkeypatch.setattr(history, "SLICE", 1)


def rrs(found) -> list[Rr]:
    return [
        (name, rrset.type, rrset.ttl, rdata)
        for name, rrsets in found
        for rrset in rrsets
        for rdata in rrset.rdatas
    ]


def state(table: ZoneTable, contents: Contents) -> set[Rr]:
    return set(rrs((name, contents(name).values()) for name in list(table.nodes)))


class Transfer:
    def __init__(self, journal: Journal) -> None:
        self._journal, self.snapshot = journal, journal.snapshot()
        self.serial, self.found = self.snapshot.serial, []
        self._steps = journal.read(self.snapshot)

    def step(self) -> bool:
        part = next(self._steps, ...)
        if part is ...:
            return False
        if part:
            self.found += rrs([(part[0], part[1].values())])
        return True

    def finish(self) -> list[Rr]:
        while self.step():
            pass
        self._journal.close(self.snapshot)
        return self.found


PATHS = ["example/a", "example/a/b", "example/x/*", "example/dns/ns/a", "example/dns/apex/a", "example"]
"""Few, so that names come, change and go."""

plain = st.builds(dict, host=st.just("192.0.2.9"), ttl=st.integers(1, 2), targetstrip=st.integers(0, 1))
change_together = st.dictionaries(
    st.one_of(st.sampled_from(PATHS), worlds.paths),
    st.one_of(st.none(), plain, worlds.values),
    min_size=1,
    max_size=4,
)
operations = st.lists(
    st.one_of(
        change_together,
        change_together,
        st.sampled_from(["transfer", "commit", "step", "step", "unsettle", "settle"]),
    ),
    min_size=5,
    max_size=30,
)


def as_json(values):
    return {key: None if value is None else json.dumps(value) for key, value in values.items()}


@given(worlds.zones(), operations)
def test_transfers_and_deltas_are_of_states_the_zone_was_in(zones, steps):
    table = table_of(zones, etcd=NO_ETCD)
    zone = table.zones[from_text("example.")]
    table.mark_synced(10)
    contents = Contents(table, zone)
    journal = Journal(table, zone, contents)
    states = {10: state(table, contents)}
    transfers: list[Transfer] = []
    commits: list[Iterator[None]] = []
    for revision, step in enumerate(steps, 11):
        if step == "transfer":
            transfers.append(Transfer(journal))
        elif step == "commit":
            commits.append(journal.commit())
            next(commits[-1], None)
        elif step == "step":
            for commit in commits:
                next(commit, None)
            for transfer in transfers:
                transfer.step()
        elif step == "unsettle":
            table.settled = False
        elif step == "settle":
            table.settle()
        else:
            table.apply(changes(as_json(step)), revision)
        if table.settled:
            states[zone.serial] = state(table, contents)
        else:
            states.setdefault(zone.serial, None)
    table.settle()
    states[zone.serial] = state(table, contents)
    for commit in [*commits, journal.commit()]:
        list(commit)
    for transfer in transfers:
        found = transfer.finish()
        assert len(found) == len(set(found))
        assert set(found) == states[transfer.serial]
    assert journal.serial == zone.serial
    for serial, before in states.items():
        deltas = journal.deltas(serial)
        if deltas is None:
            continue
        now = set(before)
        for delta in deltas:
            deleted = rrs((name, [rrset]) for name, rrset in delta.deleted)
            added = rrs((name, [rrset]) for name, rrset in delta.added)
            assert now >= set(deleted)
            now -= set(deleted)
            assert not now & set(added)
            now |= set(added)
            assert now == states[delta.new]
    assert journal.deltas(10) is not None


def test_the_journal_keeps_what_its_bound_allows_and_forgets_the_oldest():
    table = table_of([{"name": "example."}], etcd=NO_ETCD)
    zone = table.zones[from_text("example.")]
    table.mark_synced(1)
    journal = Journal(table, zone, Contents(table, zone), limit=3000)
    for revision in range(2, 30):
        table.apply([change("example/a", f'{{"host": "10.0.0.{revision}"}}')], revision)
        list(journal.commit())
        assert journal.octets <= 3000
    assert journal.deltas(2) is None
    assert [delta.old for delta in journal.deltas(27)] == [27, 28]
    assert journal.octets == sum(
        delta.octets for delta in journal.deltas(min(s for s in range(2, 29) if journal.deltas(s)))
    )


def test_nothing_is_kept_and_no_transfer_is_possible_before_the_first_snapshot():
    table = table_of([{"name": "example."}], etcd=NO_ETCD)
    zone = table.zones[from_text("example.")]
    moved = []
    journal = Journal(table, zone, Contents(table, zone), on_moved=lambda: moved.append(zone.serial))
    table.apply([change("example/a", '{"host": "10.0.0.1"}')], 5)
    assert (journal.snapshot().kept, moved) == ({}, [])
    table.mark_synced(9)
    assert (journal.serial, moved, journal.current) == (9, [9], True)
    table.apply([change("example/a", '{"host": "10.0.0.2"}')], 10)
    list(journal.commit())
    (delta,) = journal.deltas(9)
    assert [(rrset.type, rrset.rdatas) for _, rrset in delta.deleted] == [(const.A, (b"\x0a\0\0\1",))]


def zone_with(**hosts):
    """Return a synced table with addresses by name, its zone's contents and a journal at their commit."""
    table = table_of([{"name": "example.", "soa": {"mname": "other"}}], etcd=NO_ETCD)
    zone = table.zones[from_text("example.")]
    table.mark_synced(1)
    journal = Journal(table, zone, Contents(table, zone))
    put(table, **hosts)
    list(journal.commit())
    return table, zone, journal


def put(table, **hosts):
    values = {f"example/{name}": host and json.dumps(host) for name, host in hosts.items()}
    table.apply(changes(values), max(zone.serial for zone in table.zones.values()) + 1)


def names_of(journal):
    return {name for name, *_ in Transfer(journal).finish()} - {from_text("example.")}


def test_a_name_that_went_after_the_commit_is_still_transferred_and_one_that_came_is_not():
    table, _, journal = zone_with(a={"host": "10.0.0.1"})
    put(table, a=None, b={"host": "10.0.0.2"})
    assert names_of(journal) == {from_text("a.example.")}


def test_another_ttl_deletes_and_adds_every_record_of_the_rrset():
    table, zone, journal = zone_with(a={"host": "10.0.0.1", "ttl": 5})
    before = zone.serial
    put(table, a={"host": "10.0.0.1", "ttl": 6})
    list(journal.commit())
    (delta,) = journal.deltas(before)
    assert [(rrset.ttl, len(rrset.rdatas)) for _, rrset in delta.deleted] == [(5, 1)]
    assert [(rrset.ttl, len(rrset.rdatas)) for _, rrset in delta.added] == [(6, 1)]


def test_nothing_is_committed_between_two_states_of_etcd():
    table, zone, journal = zone_with(a={"host": "10.0.0.1"})
    before = zone.serial
    table.settled = False
    put(table, a=None)
    list(journal.commit())
    assert (journal.serial, names_of(journal)) == (before, {from_text("a.example.")})
    put(table, b={"host": "10.0.0.2"})
    table.settle()
    list(journal.commit())
    assert (journal.serial, names_of(journal)) == (zone.serial, {from_text("b.example.")})


def test_it_is_told_when_there_is_something_to_commit():
    table, _, journal = zone_with(a={"host": "10.0.0.1"})
    told = []
    journal.on_moved = lambda: told.append(journal.current)
    table.settle()
    assert told == []
    table.settled = False
    put(table, a=None)
    assert told == []
    table.settle()
    put(table, a={"host": "10.0.0.2"})
    assert told == [False, False]


@pytest.mark.parametrize("key", ["dns/apex/x1", "dns/ns/x1", "x1"])
def test_what_belongs_to_the_apex_changes_it(key):
    table, zone, journal = zone_with()
    before = zone.serial
    put(table, **{key: {"host": "10.0.0.1", "targetstrip": 1}})
    list(journal.commit())
    assert zone.apex in {name for delta in journal.deltas(before) for name, _ in delta.added}
