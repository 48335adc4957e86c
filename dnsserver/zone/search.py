"""SkyDNS search: `*` or `any` as a label of the question stands for one element of the keys."""

from collections.abc import Iterator, Sequence
from typing import Final

from dnsserver.wire.name import Name, labels_of, parent
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Owned, Zone

ANY_LABEL: Final = frozenset({b"*", b"any"})

MAX_SEARCHED: Final = 1000
"""Names looked at for one question; a search costs more than any other answer, and anyone may ask."""


def search(table: ZoneTable, zone: Zone, name: Name) -> Sequence[Owned] | None:
    """Return the records whose keys fit a question that has no node, in key order; None if it is no search.

    A search needs `lookup: skydns`, an existing name right of its rightmost `*` or `any`, and no stored `*`
    there or above: otherwise RFC 4592 holds. Of several elements each must fit its position; keys may be
    deeper than the question.
    """
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
            break
        above = parent(above)
    found = _Search(table).fitting(base, labels[at::-1])
    return sorted(found, key=lambda owned: owned.key)


class _Search:
    def __init__(self, table: ZoneTable) -> None:
        self._table = table
        self._left = MAX_SEARCHED

    def fitting(self, name: Name, pattern: Sequence[bytes]) -> Iterator[Owned]:
        """Yield the records at and below `name` whose next elements fit `pattern`, nearest first."""
        if self._left <= 0:
            return
        self._left -= 1
        for key, record in self._table.nodes[name].records:
            cut = key.lower().split(b"/")[-record.targetstrip :] if record.targetstrip else []
            if len(cut) >= len(pattern) and all(map(_fits, pattern, cut)):
                yield Owned(name, key, record)
        if pattern and pattern[0] not in ANY_LABEL:
            child = Name(bytes((len(pattern[0]),)) + pattern[0] + name)
            below = [child] if child in self._table.nodes else []
        else:
            below = list(self._table.below(name))
        for child in below:
            yield from self.fitting(child, pattern[1:])


def _fits(wanted: bytes, element: bytes) -> bool:
    return wanted in ANY_LABEL or wanted == element
