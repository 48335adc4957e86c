"""The parts of a query, read without trust: header verdict, question, OPT.

Nothing is parsed that the answer does not need. No pointer is followed, no count is believed: the work
is bounded by the octets that are there.
"""

import struct
from typing import Final, NamedTuple

from dnsserver.wire.const import OPT, QR, TSIG
from dnsserver.wire.name import FormatError, Name, canonical, end_of_name

HEADER_OCTETS: Final = 12

_header = struct.Struct(">HHHHHH").unpack_from
_fixed = struct.Struct(">HHIH").unpack_from
_option = struct.Struct(">HH").unpack_from


class Header(NamedTuple):
    ident: int
    flags: int
    """All 16 bits after the id."""
    qdcount: int
    ancount: int
    nscount: int
    arcount: int

    @property
    def opcode(self) -> int:
        return self.flags >> 11 & 15


class Question(NamedTuple):
    name: Name
    type: int
    cls: int
    end: int
    """Offset past the question."""


class Edns(NamedTuple):
    """The OPT record of a query (RFC 6891)."""

    payload: int
    """Octets of UDP payload the client takes, as it says."""
    version: int
    dnssec_ok: bool
    options: tuple[tuple[int, bytes], ...]


class Extras(NamedTuple):
    """What stands behind a query's question and matters."""

    edns: Edns | None
    tsig_at: int | None
    """Where the TSIG record begins, which is the last one (RFC 8945 §5.2)."""


def header_of(message: bytes) -> Header | None:
    """Return the header, or None for what is never answered: under 12 octets, or a response."""
    if len(message) < HEADER_OCTETS:
        return None
    header = Header(*_header(message))
    return None if header.flags & QR else header


def question_of(message: bytes) -> Question:
    """Return the first question.

    Raises:
        FormatError: its name is broken or octets are missing.
    """
    end = end_of_name(message, HEADER_OCTETS)
    if len(message) < end + 4:
        raise FormatError("a question without type and class")
    kind, cls = struct.unpack_from(">HH", message, end)
    return Question(canonical(message[HEADER_OCTETS:end]), kind, cls, end + 4)


def extras_of(message: bytes, header: Header, start: int) -> Extras:
    """Return the OPT and TSIG records behind the question, which ends at `start`.

    Other records are skipped by their length. Octets after the last counted record are left alone.

    Raises:
        FormatError: a broken record, a second OPT or one outside the additional section, or a TSIG that
            is not the last record there.
    """
    found: Edns | None = None
    tsig_at: int | None = None
    at = start
    count = header.ancount + header.nscount + header.arcount
    for index in range(count):
        name, at = at, _skip_name(message, at)
        if len(message) < at + 10:
            raise FormatError("a record cut short")
        kind, cls, ttl, length = _fixed(message, at)
        at += 10
        if len(message) < at + length:
            raise FormatError("rdata cut short")
        if kind == OPT:
            if found or message[name] or index < header.ancount + header.nscount:
                raise FormatError("OPT twice, below a name, or outside the additional section")
            found = Edns(cls, ttl >> 16 & 255, bool(ttl & 0x8000), _options(message[at : at + length]))
        elif kind == TSIG:
            if not header.arcount or index != count - 1:
                raise FormatError("a TSIG that is not the last record")
            tsig_at = name
        at += length
    return Extras(found, tsig_at)


def opt_of(message: bytes) -> tuple[int, int] | None:
    """Return where the OPT record of a whole message begins and ends, None if it has none.

    Raises:
        FormatError: octets are missing.
    """
    if len(message) < HEADER_OCTETS:
        raise FormatError("a header cut short")
    _, _, qdcount, ancount, nscount, arcount = _header(message)
    at = HEADER_OCTETS
    for _ in range(qdcount):
        at = _skip_name(message, at) + 4
    for _ in range(ancount + nscount + arcount):
        start, at = at, _skip_name(message, at)
        if len(message) < at + 10:
            raise FormatError("a record cut short")
        kind, _, _, length = _fixed(message, at)
        at += 10 + length
        if kind == OPT:
            return start, at
    return None


def _skip_name(message: bytes, at: int) -> int:
    while at < len(message):
        length = message[at]
        if length == 0:
            return at + 1
        if length >= 0xC0:
            return at + 2
        if length > 63:
            break
        at += length + 1
    raise FormatError("a broken owner name")


def _options(rdata: bytes) -> tuple[tuple[int, bytes], ...]:
    options, at = [], 0
    while at < len(rdata):
        if len(rdata) < at + 4:
            raise FormatError("an EDNS option cut short")
        code, length = _option(rdata, at)
        at += 4
        if len(rdata) < at + length:
            raise FormatError("an EDNS option past its record")
        options.append((code, rdata[at : at + length]))
        at += length
    return tuple(options)
