"""What is logged of a query, and how a line says it. Pure."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple

from dnsserver.wire import const
from dnsserver.wire.message import HEADER_OCTETS, Edns, Question, extras_of, header_of, opt_of, question_of
from dnsserver.wire.name import FormatError, to_text

Class = Literal["success", "denial", "error"]
Format = Literal["coredns", "json"]

_FLAGS: Final = (
    (0x8000, "qr"),
    (0x0400, "aa"),
    (0x0200, "tc"),
    (0x0100, "rd"),
    (0x0080, "ra"),
    (0x0020, "ad"),
    (0x0010, "cd"),
)
"""Bits of a message's third and fourth octet, in CoreDNS's order."""

_CLASSES: Final = {const.IN: "IN", const.CH: "CH"}


class Entry(NamedTuple):
    at: float
    """When it was answered, in seconds since 1970."""
    took: float
    """Seconds."""
    transport: str
    address: bytes
    port: int
    query: bytes
    response: bytes


def class_of(response: bytes) -> Class:
    """Return the class of a response, as CoreDNS's log has them; a referral is a success."""
    rcode = response[3] & 15
    if rcode:
        return "denial" if rcode == const.NXDOMAIN else "error"
    if response[6:8] != b"\0\0":
        return "success"
    if response[8:10] == b"\0\0":
        return "error" if _rcode(response) else "success"
    return "denial" if _first_type(response) == const.SOA else "success"


def _first_type(response: bytes) -> int:
    """Return the type of the first record of a response."""
    try:
        at = question_of(response).end
    except FormatError:
        return 0
    at = at + 2 if response[at : at + 1] >= b"\xc0" else response.find(0, at) + 1
    return int.from_bytes(response[at : at + 2], "big")


def _rcode(response: bytes) -> int:
    """Return the whole response code, with the bits that stand in the OPT record (RFC 6891 §6.1.3)."""
    try:
        opt = opt_of(response)
    except FormatError:
        opt = None
    return (response[opt[0] + 5] << 4 if opt else 0) | response[3] & 15


class _Told(NamedTuple):
    """The words of a line."""

    client: str
    port: int
    ident: int
    type: str
    cls: str
    name: str
    transport: str
    size: int
    do: bool
    bufsize: int
    rcode: str
    flags: list[str]
    rsize: int


def _told(entry: Entry) -> _Told:
    query, response = entry.query, entry.response
    question, edns = _asked(query)
    offered = max(edns.payload if edns else 0, const.UDP_MINIMUM)
    rcode = _rcode(response)
    return _Told(
        client=str(ip_address(entry.address)),
        port=entry.port,
        ident=query[0] << 8 | query[1],
        type=const.TYPE_NAMES.get(question.type, f"TYPE{question.type}") if question else "-",
        cls=_CLASSES.get(question.cls, f"CLASS{question.cls}") if question else "-",
        # As zone-file text: no octet of it ends a line, a field or a string.
        name=to_text(question.name) if question else "-",
        transport=entry.transport,
        size=len(query),
        do=bool(edns and edns.dnssec_ok),
        bufsize=const.TCP_MAXIMUM if entry.transport == "tcp" else offered,
        rcode=const.RCODES.get(rcode, str(rcode)),
        flags=[name for bit, name in _FLAGS if (response[2] << 8 | response[3]) & bit],
        rsize=len(response),
    )


def _asked(query: bytes) -> tuple[Question | None, Edns | None]:
    header = header_of(query)
    try:
        question = question_of(query) if header and header.qdcount else None
        edns = extras_of(query, header, question.end if question else HEADER_OCTETS).edns if header else None
    except FormatError:
        return None, None
    return question, edns


def coredns(entry: Entry) -> str:
    """Return the line that CoreDNS's log has by default, without its line break."""
    told = _told(entry)
    host = f"[{told.client}]" if ":" in told.client else told.client
    question = f"{told.type} {told.cls} {told.name}"
    query = f"{question} {told.transport} {told.size} {str(told.do).lower()} {told.bufsize}"
    response = f"{told.rcode} {','.join(told.flags)} {told.rsize}"
    return f'[INFO] {host}:{told.port} - {told.ident} "{query}" {response} {entry.took:.9f}s'


def in_json(entry: Entry) -> str:
    """Return a JSON object on one line, without its line break."""
    stamp = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = _told(entry)._asdict()
    words = {{"ident": "id", "cls": "class"}.get(key, key): value for key, value in told.items()}
    return json.dumps({"time": stamp, **words, "duration": round(entry.took, 9)})
