"""Responses of upstreams by question, within a bound on their octets. Pure: the time is an argument.

What is looked up least recently goes first. An entry holds the octets of one response and nothing that
another question could find.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from dnsserver.forward.question import Asked
from dnsserver.wire.name import Name

_PLACE_OCTETS: Final = 280
"""Of an entry in the OrderedDict: its share of the hash table at its emptiest, its links, what the garbage
collector notes beside its tuples, and a type's number."""


class Entry(NamedTuple):
    """A response less what each query brings."""

    rcode: int
    answers: int
    authorities: int
    """Records of these sections."""
    body: bytes
    """The sections, to stand behind a question for the name that was asked."""
    is_denial: bool
    stored: float
    expires: float
    """Seconds of a clock that only goes forward."""
    error: int | None = None
    """Extended DNS error (RFC 8914)."""
    onward: Name | None = None
    """A name of ours that its last alias leads to."""


class Cache:
    """Entries by what was asked. Without octets to keep it is always empty."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Asked, Entry] = OrderedDict()
        self.octets = 0
        """Of memory, about; never more than the limit."""
        self.denials = 0
        """How many of the entries deny."""
        self.evicted = 0
        """Entries that had to go before their time."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, asked: Asked, now: float) -> Entry | None:
        """Return what is kept for a question and has not expired."""
        entry = self._entries.get(asked)
        if entry is None:
            return None
        if entry.expires <= now:
            self._drop(asked)
            return None
        self._entries.move_to_end(asked)
        return entry

    def put(self, asked: Asked, entry: Entry) -> None:
        """Keep an entry, if it is ever to expire later than it was stored and fits at all."""
        if asked in self._entries:
            self._drop(asked)
        octets = _octets(asked, entry)
        if entry.expires <= entry.stored or octets > self._limit:
            return
        while self.octets + octets > self._limit:
            self.evicted += 1
            self._drop(next(iter(self._entries)))
        self._entries[asked] = entry
        self.octets += octets
        self.denials += entry.is_denial

    def _drop(self, asked: Asked) -> None:
        entry = self._entries.pop(asked)
        self.octets -= _octets(asked, entry)
        self.denials -= entry.is_denial


def _octets(asked: Asked, entry: Entry) -> int:
    """Return the memory that an entry takes: its objects, and its place among the others."""
    parts = (asked, asked.name, entry, entry.body, entry.stored, entry.expires, entry.onward or b"")
    return _PLACE_OCTETS + sum(part.__sizeof__() for part in parts)
