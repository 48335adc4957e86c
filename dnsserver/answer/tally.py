"""Counters of the query path: plain integers, read at scrape. Pure."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from dnsserver.wire import const

Transport = Literal["udp", "tcp"]

KINDS: Final = [
    "other",
    "A",
    "AAAA",
    "CAA",
    "CNAME",
    "DNSKEY",
    "DS",
    "HTTPS",
    "MX",
    "NAPTR",
    "NS",
    "PTR",
    "SOA",
    "SRV",
    "SVCB",
    "TXT",
]
"""Types that are counted each for itself, behind the word for all others; few, for each has its denials."""

_KIND_OF: Final = {const.TYPES[mnemonic]: kind for kind, mnemonic in enumerate(KINDS) if kind}


def kind_of(qtype: int) -> int:
    """Return the place in KINDS of a question's type."""
    return _KIND_OF.get(qtype, 0)


class Listener(NamedTuple):
    """Where queries come in."""

    transport: Transport
    server: str = ""
    """ADDRESS:PORT; empty for what is answered by who does not know it."""

    @property
    def family(self) -> str:
        """As CoreDNS has it: 1 for IPv4, 2 for IPv6."""
        return ("2" if self.server.startswith("[") else "1") if self.server else ""


class Slot(NamedTuple):
    """What responses are counted apart by."""

    zone: str
    """Its apex; empty outside all zones."""
    rcode: int
    kind: int
    """A place in KINDS; 0 also where there is no question."""


class Tally:
    """Counters on the query path: for each listener one list, added up at scrape."""

    def __init__(self) -> None:
        self.slots: dict[Slot, int] = {}
        """Slot → its place in the lists."""
        self.responses: dict[Listener, list[int]] = {}
        self.truncated = 0
        self.dropped = 0
        """Messages without a response: responses, or under 12 octets."""
        self.faults = 0
        """Queries answered with SERVFAIL because of a fault of ours."""

    def counts(self, listener: Listener) -> list[int]:
        """Return the list of a listener, making it if it is new."""
        return self.responses.setdefault(listener, [0] * len(self.slots))

    def slot(self, zone: str, rcode: int, kind: int) -> int:
        """Return a slot's place in the lists, making it if it is new."""
        found = self.slots.setdefault(Slot(zone, rcode, kind), len(self.slots))
        for counts in self.responses.values():
            counts.extend([0] * (found + 1 - len(counts)))
        return found

    def totals(self) -> Iterator[tuple[Slot, int]]:
        """Yield each slot with its count over all listeners."""
        for slot, place in self.slots.items():
            yield slot, sum(counts[place] for counts in self.responses.values())
