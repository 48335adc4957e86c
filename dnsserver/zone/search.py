"""SkyDNS search: `*` or `any` as a label of the question stands for one element of the keys."""

from collections.abc import Iterator, Sequence, Set
from typing import Final

from dnsserver.wire.name import Name, labels_of, parent
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Owned, Zone

ANY_LABEL: Final = frozenset({b"*", b"any"})

MAX_SEARCHED: Final = 500
"""Names looked at for one question; a search costs more than any other answer, and anyone may ask."""


class _TooMany(Exception):
    """There are more names to look at: nothing is searched, rather than some of them."""


def searched(table: ZoneTable, name: Name) -> Zone | None:
    """Return the zone in which `search` looks for the records of a name; None if it does not."""
    # Quick for most names: few have these octets, as labels or otherwise.
    if (name.find(b"\1*") < 0 and name.find(b"\3any") < 0) or name in table.nodes:
        return None
    zone = table.zone_of(name)
    return zone if zone and _pattern(table, zone, name) else None


def search(table: ZoneTable, zone: Zone, name: Name) -> Sequence[Owned] | None:
    """Return the records whose keys fit a question that has no node, in key order; None if it is no search.

    A search needs `lookup: skydns`, an existing name right of its rightmost `*` or `any`, and no stored `*`
    there or above: otherwise RFC 4592 holds, as it does where more than MAX_SEARCHED names would have to be
    looked at. Of several elements each must fit its position; keys may be deeper than the question.
    """
    found = _pattern(table, zone, name)
    if found is None:
        return None
    try:
        return sorted(_Search(table).fitting(*found), key=lambda owned: owned.key)
    except _TooMany:
        return None


def _pattern(table: ZoneTable, zone: Zone, name: Name) -> tuple[Name, Sequence[bytes]] | None:
    """Return below which name to search, for which elements."""
    labels = labels_of(name)
    at = max((index for index, label in enumerate(labels) if label in ANY_LABEL), default=None)
    if at is None or not zone.skydns_lookup or not zone.synced:
        return None
    base = name
    for _ in range(at + 1):
        base = parent(base)
    node = table.nodes.get(base)
    if node is None or node.zone is not zone:
        return None
    above = base
    while True:
        if b"\1*" + above in table.nodes:
            return None
        if above == zone.apex:
            return base, labels[at::-1]
        above = parent(above)


class _Search:
    def __init__(self, table: ZoneTable) -> None:
        self._table = table
        self._left = MAX_SEARCHED

    def fitting(self, name: Name, pattern: Sequence[bytes]) -> Iterator[Owned]:
        """Yield the records at and below `name` whose next elements fit `pattern`, nearest first."""
        node = self._table.nodes[name]
        self._left -= 1 + len(node.records)
        if self._left < 0:
            raise _TooMany
        for stored in node.records:
            strip = stored.record.targetstrip
            cut = stored.key.lower().split(b"/")[-strip:] if strip else []
            if len(cut) >= len(pattern) and all(map(_fits, pattern, cut)):
                yield stored.owned_by(name)
        if pattern and pattern[0] not in ANY_LABEL:
            child = Name(bytes((len(pattern[0]),)) + pattern[0] + name)
            below: Set[Name] | None = {child} if child in self._table.nodes else set()
        else:
            below = self._table.below(name, MAX_SEARCHED)
        if below is None:
            raise _TooMany
        for child in below:
            if self._table.nodes[child].zone is node.zone:
                yield from self.fitting(child, pattern[1:])


def _fits(wanted: bytes, element: bytes) -> bool:
    return wanted in ANY_LABEL or wanted == element
