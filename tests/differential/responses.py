"""Responses, read with more rigour than a resolver would, in a form that can be compared."""

import struct
from typing import Final, NamedTuple

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

OPT: Final = 41

COMPRESSIBLE: Final = {
    dns.rdatatype.NS,
    dns.rdatatype.CNAME,
    dns.rdatatype.SOA,
    dns.rdatatype.PTR,
    dns.rdatatype.MX,
}
"""Types here whose names in rdata may be compressed (RFC 3597 §4)."""

ALIAS_OR_SERVICE: Final = {dns.rdatatype.SVCB, dns.rdatatype.HTTPS}

WITH_NAMES: Final = COMPRESSIBLE | ALIAS_OR_SERVICE | {dns.rdatatype.SRV, dns.rdatatype.NAPTR}
"""Types here with names in rdata, which are of no case (RFC 4343)."""


class Rr(NamedTuple):
    owner: bytes
    """Canonical wire form, as is the rdata: names are of no case (RFC 4343)."""
    type: int
    ttl: int
    rdata: bytes

    def __str__(self) -> str:
        owner = dns.name.from_wire(self.owner, 0)[0]
        rdata = dns.rdata.from_wire(dns.rdataclass.IN, self.type, self.rdata, 0, len(self.rdata))
        return f"{owner} {self.ttl} {dns.rdatatype.to_text(self.type)} {rdata.to_text()[:100]}"


Section = tuple[Rr, ...]
"""Sorted: a section has no order, the chain of CNAMEs aside, which its owners and targets tell."""


class Response(NamedTuple):
    flags: int
    """The 16 bits after the id."""
    question: bytes
    """The section's octets."""
    answer: Section
    authority: Section
    additional: Section
    """Less the OPT record."""
    edns: tuple[int, int, bool] | None
    """Upper bits of the rcode, version, DO."""
    size: int
    """Octets of the message."""

    @property
    def rcode(self) -> int:
        return self.flags & 15


class Malformed(ValueError):
    """A response that breaks the format."""


def read(message: bytes) -> Response:
    """Return a response.

    Raises:
        Malformed: octets too many or too few, pointers where none may be.
    """
    _, flags, questions, *counts = struct.unpack_from(">6H", message)
    at = 12
    for _ in range(questions):
        at = _skip(message, at) + 4
    question = message[12:at]
    sections: list[list[Rr]] = []
    edns = None
    for count in counts:
        section: list[Rr] = []
        for _ in range(count):
            name, length = dns.name.from_wire(message, at)
            kind, cls, ttl, rdlength = struct.unpack_from(">HHIH", message, at + length)
            at += length + 10
            if kind == OPT:
                edns = (ttl >> 24, ttl >> 16 & 255, bool(ttl & 0x8000))
            elif cls != dns.rdataclass.IN:
                raise Malformed(f"class {cls}")
            else:
                rdata = message[at : at + rdlength]
                if kind in WITH_NAMES:
                    rdata = _canonical(message, kind, at, rdlength)
                section.append(Rr(name.canonicalize().to_wire() or b"", kind, ttl, rdata))
            at += rdlength
        sections.append(sorted(section))
    if at != len(message):
        raise Malformed(f"ends at {at} of {len(message)} octets")
    answer, authority, additional = map(tuple, sections)
    return Response(flags, question, answer, authority, additional, edns, len(message))


def _skip(message: bytes, at: int) -> int:
    while message[at]:
        at += message[at] + 1
    return at + 1


def _canonical(message: bytes, kind: int, at: int, length: int) -> bytes:
    if kind in ALIAS_OR_SERVICE:
        return folded(kind, message[at : at + length])
    rdata = dns.rdata.from_wire(dns.rdataclass.IN, kind, message, at, length).to_digestable(dns.name.root)
    if kind not in COMPRESSIBLE and len(rdata) != length:
        raise Malformed(f"a compressed name in {dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind))}")
    return rdata


def folded(kind: int, rdata: bytes) -> bytes:
    """Return canonical rdata with the target of SVCB in lower case too, which RFC 4034 leaves alone."""
    if kind not in ALIAS_OR_SERVICE:
        return rdata
    end = _skip(rdata, 2)
    return rdata[:2] + rdata[2:end].lower() + rdata[end:]
