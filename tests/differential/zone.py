"""A zone as text for the servers, and as names and RRsets for the questions and the comparison."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from tests.differential.responses import folded

Labels = tuple[bytes, ...]
"""Leftmost first, without the root, in any case."""


def escaped(labels: Labels) -> str:
    """Return zone-file text, absolute; `*` stays as it is and everything unusual becomes a number."""
    usual = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*"
    return "".join(
        "".join(chr(octet) if octet in usual else f"\\{octet:03d}" for octet in label) + "."
        for label in labels
    )


def wire(labels: Iterable[bytes]) -> bytes:
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def octets(labels: Labels) -> int:
    return sum(map(len, labels)) + len(labels) + 1


@dataclass
class Zone:
    """A zone as it is asked about and compared with: its text, its names, its RRsets in wire form."""

    apex: Labels
    lines: list[str] = field(default_factory=list)
    names: dict[bytes, Labels] = field(default_factory=dict)
    """Canonical wire form → the owner as it was first written."""
    rrsets: dict[tuple[bytes, int], set[bytes]] = field(default_factory=dict)
    """(owner, type) → canonical rdata."""
    ttls: dict[tuple[bytes, int], int] = field(default_factory=dict)
    types: dict[bytes, set[int]] = field(default_factory=dict)
    """Owner → types it has."""

    @property
    def text(self) -> str:
        return "\n".join((*self.lines, ""))

    @property
    def domain(self) -> str:
        return escaped(self.apex)

    @property
    def cuts(self) -> list[Labels]:
        apex = wire(self.apex).lower()
        return [self.names[name] for name, kind in self.rrsets if kind == dns.rdatatype.NS and name != apex]

    @property
    def wildcards(self) -> list[Labels]:
        return [labels for labels in self.names.values() if labels[0] == b"*"]

    def add(self, owner: Labels, kind: str, data: str, ttl: int = 300) -> bool:
        """Add a record unless DNS forbids it there; say whether it was added."""
        number = dns.rdatatype.from_text(kind)
        name = wire(owner).lower()
        others = self.types.get(name, set()) - {number}
        cname = dns.rdatatype.CNAME
        if octets(owner) > 255 or max(map(len, owner)) > 63:
            return False
        if (number == cname and (others or (name, cname) in self.rrsets)) or cname in others:
            return False
        if number == dns.rdatatype.NS and owner[0] == b"*":
            return False
        rdata = dns.rdata.from_text(dns.rdataclass.IN, number, data, dns.name.root)
        ttl = self.ttls.setdefault((name, number), ttl)
        self.rrsets.setdefault((name, number), set()).add(folded(number, rdata.to_digestable(dns.name.root)))
        self.types.setdefault(name, set()).add(number)
        self.names.setdefault(name, owner)
        self.lines.append(f"{escaped(owner)} {ttl} IN {kind} {data}")
        return True
