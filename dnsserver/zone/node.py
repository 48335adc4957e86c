"""A name that exists, and the records it owns."""

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from dnsserver.skydns.key import Key
from dnsserver.wire.name import Name
from dnsserver.zone.zone import Stored, Zone

FEW: Final = 16
"""Records kept in a tuple, which takes little space. More go into a list, where an insert is quick."""


class Node:
    """A name that exists. It does not know its name: the table does."""

    __slots__ = ("children", "complete", "questions", "records", "speakers", "zone")

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.records: Sequence[Stored] = ()
        """Owned by this name, in key order."""
        self.children: set[Name] | None = None
        """The nodes right below; not kept for an apex, where they are as many as the zone has names."""
        self.speakers: set[Name] | None = None
        """Those right below that have, or lead to, records which may answer for this name."""
        self.questions: tuple[bytes, ...] = ()
        """Those of the table's `answers` that are for this name."""
        self.complete = 0
        """Bits of the layer above: which of its types are all among them. 0: nobody knows."""

    def find(self, key: Key) -> Stored | None:
        """Return what it has under a key."""
        records = self.records
        if len(records) == 1:
            return records[0] if records[0].key == key else None
        if not records:
            return None
        at = _position(records, key)
        return records[at] if at < len(records) and records[at].key == key else None

    def insert(self, new: Stored) -> None:
        """Add a record whose key it has not."""
        records = self.records
        if not records:
            self.records = (new,)
            return
        at = _position(records, new.key)
        if len(records) < FEW:
            self.records = (*records[:at], new, *records[at:])
            return
        if not isinstance(records, list):
            self.records = records = list(records)
        records.insert(at, new)

    def remove(self, old: Stored) -> None:
        """Remove a record that it has."""
        at = _position(self.records, old.key)
        if isinstance(self.records, list) and len(self.records) > FEW:
            del self.records[at]
        else:
            self.records = (*self.records[:at], *self.records[at + 1 :])


_key_of = attrgetter("key")


def _position(records: Sequence[Stored], key: Key) -> int:
    return bisect_left(records, key, key=_key_of)
