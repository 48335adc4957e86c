"""RRs to the messages of a transfer: many, each well under 64 KiB and name-compressed. Pure."""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from dnsserver.answer import render
from dnsserver.wire import const
from dnsserver.wire.message import Edns, Header, Question
from dnsserver.wire.name import Name
from dnsserver.zone.rrset import RRset
from dnsserver.zone.zone import Zone

MESSAGE: Final = 16_384
"""Octets after which a message is sent: farther no compression pointer reaches (RFC 1035 §4.1.4)."""

ROOM: Final = const.TCP_MAXIMUM - 1024
"""Octets that header, question, records and OPT may take; the rest is for a TSIG."""

_OWNER_AND_FIXED: Final = 265
"""Octets of a record beside its data, at most."""

Sign = Callable[[bytes], bytes]


class Head(NamedTuple):
    """What the messages of a response take over from the query."""

    query: bytes
    header: Header
    question: Question
    edns: Edns | None

    def message(self, body: render.Body, count: int, *, first: bool) -> bytes:
        """Return a message with `count` records; the first one has the question and the OPT record."""
        flags = const.QR | const.AA | (self.header.flags & const.RD)
        opt = render.opt(const.NOERROR, self.edns.dnssec_ok) if first and self.edns else b""
        counts = struct.pack(">HHHHH", flags, int(first), count, 0, int(bool(opt)))
        question = self.query[12 : self.question.end] if first else b""
        return self.query[:2] + counts + question + bytes(body.octets) + opt


def messages(head: Head, records: Iterable[tuple[Name, RRset] | None], sign: Sign) -> Iterator[bytes]:
    """Yield the messages of a response, signed; empty octets where `records` pauses with a None."""
    first, count, body = True, 0, render.Body(head.question.end, None, {}, const.IN)
    for record in records:
        if record is None:
            yield b""
            continue
        owner, rrset = record
        for rdata in rrset.rdatas:
            full = len(body.octets) >= MESSAGE
            if count and (
                full or head.question.end + len(body.octets) + len(rdata) + _OWNER_AND_FIXED > ROOM
            ):
                yield sign(head.message(body, count, first=first))
                first, count, body = False, 0, render.Body(12, None, {}, const.IN)
            body.add(owner, rrset._replace(rdatas=(rdata,)))
            count += 1
    yield sign(head.message(body, count, first=first))


def soa(zone: Zone, serial: int) -> tuple[Name, RRset]:
    """Return the zone's SOA as it is with a serial."""
    rrset = zone.soa_rrset()
    rdata = rrset.rdatas[0]
    return zone.apex, rrset._replace(rdatas=(rdata[:-20] + serial.to_bytes(4, "big") + rdata[-16:],))
