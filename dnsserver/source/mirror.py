"""The event loop's half of following etcd: the table takes listings and changes, in slices.

Between two slices queries are answered. A listing is a diff, page by page, never a second table.
"""

import asyncio
import gc
import logging
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from dnsserver.skydns.entry import Head
from dnsserver.skydns.key import Key
from dnsserver.source.guard import Guard, doubt
from dnsserver.source.rrsets import clashes
from dnsserver.source.saved import Header, SavedZone, fingerprint
from dnsserver.wire.name import Name, to_text
from dnsserver.zone.table import Change, ZoneTable
from dnsserver.zone.zone import Zone

log = logging.getLogger("dnsserver.etcd")

SLICE: Final = 250
"""Changes applied before queries get their turn: about a millisecond."""

MAX_ATOMIC: Final = 500
"""Changes of a watch batch that are applied with no query between them; a transaction has 128 at most, where
etcd is not told otherwise."""

FREEZE_AFTER: Final = 10_000
"""Changes after which their objects are hidden from the garbage collector."""

MAX_CLASHING: Final = 1000
"""Names with clashing records that are kept in mind."""


SERIAL_LEAP: Final = 1 << 16
"""More than the changes that may have been served after a table was written, where they raised the serial by
one each: after a restored backup."""


def _serial_after(saved: SavedZone, zone: Zone, revision: int) -> int:
    """Return a serial that is not behind what was served before a restart."""
    serial = saved.serial + (saved.fingerprint != fingerprint(zone))
    is_ahead = 0 < (saved.serial - revision) & 0xFFFF_FFFF < 2**31
    return serial + SERIAL_LEAP if is_ahead and not zone.serial_is_time else serial


class _Listing:
    """Which keys of the table a listing has: pages in key order, each in key order."""

    def __init__(self) -> None:
        self._firsts: list[Key] = []
        self._pages: list[list[Key]] = []

    def add(self, keys: list[Key]) -> None:
        if keys:
            self._firsts.append(keys[0])
            self._pages.append(keys)

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, bytes)
        number = bisect_right(self._firsts, key) - 1
        if number < 0:
            return False
        page = self._pages[number]
        at = bisect_left(page, key)
        return at < len(page) and page[at] == key

    def __len__(self) -> int:
        return sum(map(len, self._pages))

    async def clear(self) -> None:
        """Forget the keys; a million at once would hold up queries."""
        self._firsts.clear()
        while self._pages:
            self._pages.pop()
            await asyncio.sleep(0)


class Mirror:
    """Keeps a table equal to what etcd holds. Attributes are for reading.

    A listing is `begin`, then `page` some times, then `listed`; one that fails half-way begins anew. With
    `trusting` whatever is listed is believed. `on_synced` is called once all zones are known.
    """

    def __init__(
        self,
        table: ZoneTable,
        known: Head | None = None,
        *,
        trusting: bool = False,
        on_synced: Callable[[], object] = lambda: None,
    ) -> None:
        self._table, self._trusting, self._on_synced = table, trusting, on_synced
        self._turn = asyncio.Lock()
        self._listing = _Listing()
        self._is_told = self._is_diff = False
        self._known: int | None = None
        """Names that owned records when the listing began that is under way."""
        self._guard: Guard | None = None
        self._young = 0
        self.head = known or Head(0, 0)
        """The cluster, and its revision up to which the table is right; 0 before the first snapshot."""
        self.clashing: set[Name] = set()
        """Names whose records cannot all be served, MAX_CLASHING of them at most."""

    @property
    def held(self) -> int:
        """How many names are served that the present store has not shown."""
        return len(self._guard.held) if self._guard else 0

    async def begin(self) -> None:
        """Expect the first page of a listing."""
        async with self._turn:
            await self._listing.clear()
            self._is_diff = self._table.records > 0
            if self._known is None:  # else there are names among them that a failed listing brought
                self._known = self._table.owners

    async def page(self, changes: Sequence[Change], revision: int) -> None:
        """Take a page of a listing."""
        async with self._turn:
            await self._apply(changes, revision, SLICE)
            if self._is_diff:
                self._listing.add(self._table.keys_of(changes))

    async def listed(self, head: Head, keys: int) -> None:
        """Take the end of a listing of `keys` keys: what it lacks goes, or is held where that is doubtful."""
        async with self._turn:
            names, self._known = self._known or 0, None
            reason = None
            if self.head.revision and not self._trusting:
                reason = doubt(self.head, head, names, keys)
            if reason:
                self._guard = Guard(names)
            await self._retain(head.revision, in_doubt=reason is not None)
            await self._listing.clear()
            self.head = head
            self._table.mark_synced(head.revision, int(time.time()))
            self._table.settle()
            if self._guard and reason:
                log.warning("etcd lacks %d of %d names and is doubted: %s", self.held, names, reason)
            await self._end_doubt()
            self._tell_synced()

    async def restored(self, header: Header) -> None:
        """Take the end of a listing that a file had: until etcd answers, that is what is known."""
        async with self._turn:
            for apex, zone in self._table.zones.items():
                if saved := header.zones.get(apex.hex()):
                    self._table.resume(zone, _serial_after(saved, zone, header.head.revision))
            self._table.settle()
            self._known, self.head = None, header.head
            self._tell_synced()

    async def batch(self, changes: Sequence[Change], revision: int) -> None:
        """Take the changes that a watch brought, up to a revision."""
        async with self._turn:
            await self._apply(changes, revision, MAX_ATOMIC)
            self._table.settle()
            self.head = self.head._replace(revision=max(revision, self.head.revision))
            await self._end_doubt()

    async def accept(self) -> None:
        """Believe the present store: an operator says that it is right."""
        async with self._turn:
            await self._release("it is accepted")

    async def _apply(self, changes: Sequence[Change], revision: int, size: int) -> None:
        self._table.settled = False
        for at in range(0, len(changes), size):
            if at:
                await asyncio.sleep(0)
            part = changes[at : at + size]
            replaced = self._replaced(part) if self._guard else []
            self._table.apply([*replaced, *part], revision, int(time.time()))
            self._note_clashes(part)
            self._spare_the_collector(len(part))

    def _tell_synced(self) -> None:
        if self._table.synced and not self._is_told:
            self._is_told = True
            self._on_synced()

    def _spare_the_collector(self, changes: int) -> None:
        """Take what was applied out of the sight of garbage collections: with it they would take longer and
        longer. Nothing in a table is part of a cycle.
        """
        self._young += changes
        if self._young >= FREEZE_AFTER:
            self._young = 0
            gc.freeze()

    def _replaced(self, changes: Sequence[Change]) -> list[Change]:
        """Return what an earlier store had at names that the present one now has as well: it goes."""
        assert self._guard
        shown = self._guard.held.intersection(change.name for change in changes if change.name)
        self._guard.held -= shown
        return self._table.retain({change.key for change in changes}, shown)

    async def _retain(self, revision: int, *, in_doubt: bool) -> None:
        """Remove what the listing lacks, but for names that are held."""
        if not self._is_diff or len(self._listing) == self._table.records:
            return
        names = iter(self._table.nodes)
        while part := list(islice(names, SLICE)):
            if self._guard:
                part = [name for name in part if not self._is_held(name, in_doubt)]
            self._table.apply(self._table.retain(self._listing, part), revision, int(time.time()))
            await asyncio.sleep(0)

    def _is_held(self, name: Name, in_doubt: bool) -> bool:
        assert self._guard
        node = self._table.nodes.get(name)
        if (
            in_doubt
            and node
            and node.records
            and not any(stored.key in self._listing for stored in node.records)
        ):
            self._guard.held.add(name)
        return name in self._guard.held

    async def _end_doubt(self) -> None:
        if self._guard and self._guard.is_over:
            await self._release("it holds half of the names that were known")

    async def _release(self, reason: str) -> None:
        """Let go of the names that are held."""
        if self._guard is None:
            return
        held, revision = self._guard.held, self.head.revision
        log.warning("etcd is believed, %s: %d names that it lacks go", reason, len(held))
        while held:
            part = [held.pop() for _ in range(min(SLICE, len(held)))]
            self._table.apply(self._table.retain((), part), revision, int(time.time()))
            await asyncio.sleep(0)
        self._guard = None
        self._table.settle()

    def _note_clashes(self, changes: Sequence[Change]) -> None:
        names = {change.name for change in changes if change.name is not None}
        if any(change.name is None for change in changes):
            names |= self.clashing
        for name in names:
            node = self._table.nodes.get(name)
            if node is None or len(node.records) < 2 or not clashes(node.records, name):
                self.clashing.discard(name)
            elif name not in self.clashing and len(self.clashing) < MAX_CLASHING:
                self.clashing.add(name)
                log.warning("%s has a host name beside other data; one of them is served", to_text(name))
