"""A zone's states: one to read while the table goes on, and what changed between the last ones. Pure.

A `Snapshot` is the zone at one moment. It copies nothing: before a name changes, the table says so, and
each snapshot that is open keeps what the name had. Reading a name gives what was kept, else what the table
has. So a transfer may take its time, in slices, and is of one state however many changes arrive meanwhile;
it costs memory for those changes alone, and never starts over.

The journal is made of the same: a `commit` opens a snapshot and compares it, again in slices, with the one
of the commit before, name by name of those that changed. Secondaries get states at commits only, so
one delta may stand for many serials (RFC 1995 §5 calls it condensation). While the table is between two
states of etcd nothing is committed: secondaries get the last whole state.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from dnsserver.wire.name import Name
from dnsserver.zone.rrset import RRset, RRsets
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Zone

JOURNAL_OCTETS: Final = 16 << 20
"""Of deltas kept for a zone; the oldest go first. Who is further behind gets the whole zone."""

SLICE: Final = 50
"""Names read before queries get their turn: about a millisecond."""

_RR_OVERHEAD: Final = 200
"""Octets a record in the journal takes beside its name and data, about."""

Records = list[tuple[Name, RRset]]
"""Names with parts of RRsets."""


class Snapshot:
    """A zone as it was when its serial was `serial`."""

    __slots__ = ("kept", "serial")

    def __init__(self, serial: int, kept: dict[Name, RRsets]) -> None:
        self.serial = serial
        self.kept = kept
        """What the names had that have changed since."""


class Delta(NamedTuple):
    """What leads from one state to the next."""

    old: int
    new: int
    """Serials."""
    deleted: Records
    added: Records

    @property
    def octets(self) -> int:
        return _RR_OVERHEAD + sum(
            len(rrset.rdatas) * (_RR_OVERHEAD + len(name)) + sum(map(len, rrset.rdatas))
            for name, rrset in self.deleted + self.added
        )


class Journal:
    """The history of one zone. `on_moved` is called when there is something to commit."""

    def __init__(
        self,
        table: ZoneTable,
        zone: Zone,
        read: Callable[[Name], RRsets],
        *,
        on_moved: Callable[[], object] = lambda: None,
        limit: int = JOURNAL_OCTETS,
    ) -> None:
        self._table, self._zone, self._read = table, zone, read
        self.on_moved = on_moved
        self._limit = limit
        self._base = Snapshot(zone.serial, {})
        self._open = [self._base]
        self._ready = zone.synced
        self._under_way: Iterator[None] | None = None
        self._deltas: dict[int, tuple[Delta, int]] = {}
        """By the serial that they lead from, oldest first, with their size in octets."""
        self.octets = 0
        """Of all deltas."""
        zone.history = self

    @property
    def serial(self) -> int:
        """The serial of the state that secondaries get."""
        return self._base.serial

    @property
    def current(self) -> bool:
        """Say whether that is the table's state, so that there is nothing to commit."""
        return self._under_way is None and self._base.serial == self._zone.serial

    def before(self, name: Name) -> None:
        rrsets: RRsets | None = None
        for snapshot in self._open:
            if name not in snapshot.kept:
                if rrsets is None:
                    rrsets = self._read(name)
                snapshot.kept[name] = rrsets

    def moved(self) -> None:
        if not self._ready:
            # The first snapshot is complete: what was before is no state of the zone.
            self._ready = True
            self._base.serial = self._zone.serial
            self._base.kept.clear()
            self.on_moved()
        elif self._table.settled and not self.current:
            self.on_moved()

    def commit(self) -> Iterator[None]:
        """Make the table's state the one that secondaries get; a slice of the work each step.

        Several may be under way at once: they share the work. Nothing happens while the table is between two
        states.
        """
        yield from self._finish()
        if self._table.settled and not self.current:
            self._under_way = self._committed()
            yield from self._finish()

    def _finish(self) -> Iterator[None]:
        while self._under_way is not None:
            if next(self._under_way, self) is not self:
                yield
            else:
                self._under_way = None

    def _committed(self) -> Iterator[None]:
        old, new = self._base, Snapshot(self._zone.serial, {})
        self._open[self._open.index(old)] = new
        self._base = new
        deleted: Records = []
        added: Records = []
        for count, (name, rrsets) in enumerate(old.kept.items(), 1):
            _compare(name, rrsets, self._value(new, name), deleted, added)
            if count % SLICE == 0:
                yield
        self._remember(Delta(old.serial, new.serial, deleted, added))

    def deltas(self, serial: int) -> list[Delta] | None:
        """Return what leads from the state of a serial to the last commit; None if that is not known."""
        found = []
        while serial != self._base.serial:
            if serial not in self._deltas:
                return None
            found.append(self._deltas[serial][0])
            serial = found[-1].new
        return found

    def snapshot(self) -> Snapshot:
        """Open the state of the last commit. To be closed."""
        snapshot = Snapshot(self._base.serial, dict(self._base.kept))
        self._open.append(snapshot)
        return snapshot

    def close(self, snapshot: Snapshot) -> None:
        self._open.remove(snapshot)

    def read(self, snapshot: Snapshot) -> Iterator[tuple[Name, RRsets] | None]:
        """Yield every name of a snapshot that has RRsets, with them; None after each slice of names."""
        nodes = self._table.nodes
        names = list(nodes)
        names += [name for name in snapshot.kept if name not in nodes]
        for count, name in enumerate(names, 1):
            rrsets = self._value(snapshot, name)
            if rrsets:
                yield name, rrsets
            if count % SLICE == 0:
                yield None

    def _value(self, snapshot: Snapshot, name: Name) -> RRsets:
        kept = snapshot.kept.get(name)
        return self._read(name) if kept is None else kept

    def _remember(self, delta: Delta) -> None:
        octets = delta.octets
        self.octets -= self._deltas.pop(delta.old, (delta, 0))[1]
        self._deltas[delta.old] = delta, octets
        self.octets += octets
        while self.octets > self._limit:
            self.octets -= self._deltas.pop(next(iter(self._deltas)))[1]


def _compare(name: Name, old: RRsets, new: RRsets, deleted: Records, added: Records) -> None:
    for kind in {**old, **new}:
        before, after = old.get(kind), new.get(kind)
        if before == after:
            continue
        if before and after and before.ttl == after.ttl:
            deleted += _without(name, before, after.rdatas)
            added += _without(name, after, before.rdatas)
        else:
            deleted += [(name, before)] if before else []
            added += [(name, after)] if after else []


def _without(name: Name, rrset: RRset, others: Iterable[bytes]) -> Records:
    known = set(others)
    rdatas = tuple(rdata for rdata in rrset.rdatas if rdata not in known)
    return [(name, rrset._replace(rdatas=rdatas))] if rdatas else []
