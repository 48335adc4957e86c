"""What an upstream said, as octets to keep, and as a response to a client. Pure: ages are arguments."""

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from dnsserver.answer import render
from dnsserver.answer.lookup import MAX_LINKS, Answer, Section, lookup
from dnsserver.answer.render import EDE
from dnsserver.forward.cache import Entry
from dnsserver.forward.question import Asked, question_end
from dnsserver.forward.reply import Reply, read
from dnsserver.wire import const
from dnsserver.wire.message import Edns, Question
from dnsserver.wire.name import FormatError, Name
from dnsserver.zone.table import ZoneTable

_head = struct.Struct(">HHHHHH").pack
_seconds = struct.Struct(">I")

_ADDRESSES: Final = (b"\0\1\0\1", b"\0\x1c\0\1")
"""Types A and AAAA, and class IN."""


class Limits(NamedTuple):
    """For how many seconds answers, denials and failures are kept at most."""

    answer: int
    denial: int
    failure: int


Allows = Callable[[Name], bool]
"""Says of a zone's apex whether a client is answered from there."""


class Client(NamedTuple):
    """A query, as far as it decides about its response."""

    query: bytes
    question: Question
    edns: Edns | None
    room: int
    """Octets of a response that the client takes."""

    @property
    def checking_disabled(self) -> bool:
        return bool(self.query[3] & const.CD)

    def asked(self, name: Name) -> Asked:
        """Return what to ask about a name for this client."""
        dnssec_ok = self.edns is not None and self.edns.dnssec_ok
        return Asked(name, self.question.type, dnssec_ok, self.checking_disabled)


def entry_of(asked: Asked, reply: Reply, limits: Limits, now: float) -> Entry:
    """Return a reply as octets, with no TTL over the limits.

    Raises:
        FormatError: it fits no message.
    """
    most = limits.denial if reply.is_denial else limits.answer
    sections = (_capped(reply.answer, most), _capped(reply.authority, most))
    rendered = _rendered(asked.name, reply.rcode, *sections)
    return Entry(*rendered, reply.is_denial, now, now + min(reply.ttl, most), onward=reply.onward)


def failure(limits: Limits, now: float) -> Entry:
    """Return that no upstream has answered."""
    return Entry(const.SERVFAIL, 0, 0, b"", True, now, now + limits.failure, const.EDE_NO_REACHABLE)


def respond(client: Client, entry: Entry, age: int, turn: int = 0) -> bytes:
    """Return the response to a query, `age` whole seconds after the entry was stored, before it expires.

    Addresses are given out in another order at each `turn` (RFC 1794).
    """
    return _respond(client, entry, _given_out(entry, age, turn), 0)


def reply_of(asked: Asked, entry: Entry, age: int, turn: int = 0) -> Reply:
    """Return an entry as what the upstream said, `age` whole seconds ago."""
    body = _given_out(entry, age, turn)
    head = _head(0, 0, 1, entry.answers, entry.authorities, 0)
    question = asked.name + asked.type.to_bytes(2, "big") + const.IN.to_bytes(2, "big")
    return read(head + question + body, asked)._replace(rcode=entry.rcode)


def followed(
    table: ZoneTable, name: Name, kind: int, allows: Allows = lambda apex: True
) -> tuple[Section, Answer]:
    """Return the aliases that lead from a name out of zones of ours, and what we know of where they lead.

    That is an answer of our own, or one with nothing but `onward`, the name to ask others about. Aliases in
    a circle lead to an empty answer, and a zone that the client is not allowed is a refusal.
    """
    aliases: Section = ()
    while True:
        answer = lookup(table, name, kind)
        if answer.zone and not allows(answer.zone.apex):
            return aliases, Answer(const.REFUSED)
        if not (answer.onward and answer.zone):
            return aliases, answer
        aliases += answer.answer
        if len(aliases) > MAX_LINKS or any(answer.onward == owner for owner, _ in aliases):
            return aliases, Answer(const.NOERROR, authoritative=True)
        name = answer.onward


def join(client: Client, aliases: Section, rest: Reply | Answer, *, authoritative: bool) -> bytes:
    """Return the response where aliases have led from one zone to another, and what was found there.

    It is authoritative if the first alias is ours (RFC 1035 §4.1.1: AA is about the first owner name); the
    rcode is that of the end (RFC 6604 §3).
    """
    answer = tuple(dict.fromkeys((*aliases, *rest.answer)))
    entry = Entry(*_rendered(client.question.name, rest.rcode, answer, rest.authority), False, 0, 0)
    return _respond(client, entry, entry.body, const.AA if authoritative else 0)


def _rendered(name: Name, rcode: int, answer: Section, authority: Section) -> tuple[int, int, int, bytes]:
    whole = Answer(rcode, answer=answer, authority=authority)
    _, body = render.compiled(whole, name, len(name), 0, 1)
    if len(body) > const.TCP_MAXIMUM - question_end(name):
        raise FormatError("a response that fits no message")
    return rcode, _records(answer), _records(authority), body


def _records(section: Section) -> int:
    return sum(len(rrset.rdatas) for _, rrset in section)


def _capped(section: Section, most: int) -> Section:
    return tuple((owner, rrset._replace(ttl=min(rrset.ttl, most))) for owner, rrset in section)


def _given_out(entry: Entry, age: int, turn: int) -> bytes:
    """Return the sections of an entry with each TTL less by `age`, and the addresses in turn.

    Those are what stands last in the answer. Nothing can point into them: their owner stands before them.
    """
    octets, at = bytearray(entry.body), 0
    first, like, runs = 0, b"", 0
    for number in range(entry.answers + entry.authorities):
        begin = at
        while 0 < octets[at] < 0xC0:
            at += octets[at] + 1
        at += 2 if octets[at] else 1
        if age:
            (ttl,) = _seconds.unpack_from(octets, at + 4)
            _seconds.pack_into(octets, at + 4, ttl - age)
        kind = bytes(octets[begin : at + 4])
        at += 10 + (octets[at + 8] << 8 | octets[at + 9])
        if number < entry.answers:
            first, like, runs = (first, like, runs + 1) if kind == like else (begin, kind, 1)
            end = at
    if runs > 1 and like[-4:] in _ADDRESSES:
        middle = first + turn % runs * ((end - first) // runs)
        octets[first:end] = octets[middle:end] + octets[first:middle]
    return bytes(octets)


def _respond(client: Client, entry: Entry, body: bytes, flags: int) -> bytes:
    query, edns, end = client.query, client.edns, client.question.end
    tail = b""
    if edns:
        options = ((EDE, entry.error.to_bytes(2, "big")),) if entry.error is not None else ()
        tail = render.opt(entry.rcode, edns.dnssec_ok, options)
    flags |= const.QR | const.RD | const.RA | (query[3] & const.CD) | entry.rcode & 15
    answers, authorities = entry.answers, entry.authorities
    if end + len(body) + len(tail) > client.room:
        flags, answers, authorities, body = flags | const.TC, 0, 0, b""
    head = _head(query[0] << 8 | query[1], flags, 1, answers, authorities, 1 if edns else 0)
    return head + query[12:end] + body + tail
