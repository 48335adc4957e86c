"""Names of the table a page at a time: by zone, below a name, or by a part of them. Work is bounded."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from dnsserver.wire import name
from dnsserver.wire.name import Name, NameFault
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Zone

PAGE: Final = 50
"""Names on a page."""

SCAN: Final = 20_000
"""Names looked at for one page: a few milliseconds. The search goes on from there on the next one."""

FRESH: Final = 10.0
"""Seconds for which a list of all names is used again; to take it costs some milliseconds per million."""


class Found(NamedTuple):
    names: list[Name]
    next: int
    """Where the next page begins; 0 after the last."""
    looked_at: int


class Finder:
    """Finds names of a table. A name may be gone when it is shown."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: tuple[ZoneTable, float, list[Name]] | None = None

    def find(self, table: ZoneTable, zone: Zone | None, text: str, start: int) -> Found:
        """Return the names from place `start` on, of a zone or of all.

        `text` is a name, for it and all below it, or a part of names. Without it there are all.
        """
        below = _existing(table, zone, text) if text else None
        if below is not None and below not in table.zones:
            start = min(start, SCAN)
            found = [each for each in islice(_tree(table, below), start, start + PAGE + 1)]
            more = start + PAGE if len(found) > PAGE else 0
            return Found(found[:PAGE], more, start + len(found))
        if below is not None:
            zone, text = table.zones[below], ""
        return _scan(table, self._names(table, start), zone, text, start)

    def _names(self, table: ZoneTable, start: int) -> Sequence[Name]:
        now = self._clock()
        if self._taken is None or self._taken[0] is not table or now - self._taken[1] > FRESH:
            self._taken = (table, now, list(table.nodes))
        return self._taken[2]


def _scan(table: ZoneTable, names: Sequence[Name], zone: Zone | None, text: str, start: int) -> Found:
    part = text.strip("*").lower()
    search = _pattern(part).search
    found: list[Name] = []
    end = min(start + SCAN, len(names))
    for at in range(start, end):
        each = names[at]
        # Digits and hyphens look like length octets, so what fits is compared as text.
        if part and (not search(each) or part not in name.to_text(each)):
            continue
        node = table.nodes.get(each)
        if node is None or (zone is not None and node.zone is not zone):
            continue
        if len(found) == PAGE:
            return Found(found, at, at - start)
        found.append(each)
    return Found(found, end if end < len(names) else 0, end - start)


def _tree(table: ZoneTable, top: Name) -> Iterator[Name]:
    """Yield a name and all below it."""
    node = table.nodes.get(top)
    if node is None:
        return
    yield top
    for child in node.children or ():
        yield from _tree(table, child)


def _existing(table: ZoneTable, zone: Zone | None, text: str) -> Name | None:
    """Return the name that a text is, absolute or in the zone, if it exists."""
    origins = [name.ROOT, *([zone.apex] if zone else table.zones)]
    for origin in origins:
        try:
            owner = name.from_text(text, origin)
        except NameFault:
            continue
        if owner in table.nodes:
            return owner
    return None


def _pattern(text: str) -> "re.Pattern[bytes]":
    """Return what a name in wire form with this part of its text has: a length octet stands for each dot."""
    labels = text.lower().encode("utf-8", "surrogateescape").split(b".")
    return re.compile(b"[\\x00-\\x3f]".join(map(re.escape, labels)))
