"""The reply of an upstream, read without trust. Pure.

Names are decompressed with work bounded by the octets there are. Of the records only those are taken that
answer the question: the chain of aliases from its name, what is asked for at its end, and the SOA of a
denial; for a client that asked for DNSSEC, also what proves them. All others are left out, so that nothing
is passed on or kept that was not asked.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from dnsserver.answer.lookup import MAX_LINKS, Section
from dnsserver.forward.question import Asked, question_end
from dnsserver.wire import const
from dnsserver.wire.message import HEADER_OCTETS
from dnsserver.wire.name import MAX_LABEL, MAX_NAME, FormatError, Name, canonical, is_within
from dnsserver.zone.rrset import RRset

_counts = struct.Struct(">HHH").unpack_from
_fixed = struct.Struct(">HHIH").unpack_from

_FORMS: Final = {
    const.A: (4, 0, 0),
    const.AAAA: (16, 0, 0),
    const.SOA: (0, 2, 20),
    **dict.fromkeys((const.NS, const.CNAME, const.PTR, const.DNAME, 3, 4, 7, 8, 9), (0, 1, 0)),  # MD … MR
    **dict.fromkeys((14, 17), (0, 2, 0)),  # MINFO, RP
    **dict.fromkeys((const.MX, 18, 21), (2, 1, 0)),  # AFSDB, RT
    26: (2, 2, 0),  # PX
    const.SRV: (6, 1, 0),
}
"""Type → (octets before the names of its rdata, names, octets after them), of the types whose names may come
compressed (RFC 3597 §4), and of addresses."""

_AA: Final = const.AA >> 8

_NSEC3: Final = 50
_PROOFS: Final = frozenset({const.RRSIG, const.NSEC, _NSEC3})


class Reply(NamedTuple):
    """What an upstream says to a question."""

    rcode: int
    answer: Section
    authority: Section
    ttl: int
    """Seconds for which all of it may be kept; 0 where nothing says so, as in a denial without SOA."""
    is_denial: bool
    """Of the type that was asked for there is nothing at the end of its aliases."""
    is_referral: bool
    """It only points to other servers: who sends it does not resolve for us."""
    onward: Name | None = None
    """A name of ours that the last alias leads to: what is there, no upstream knows better than we."""


class _Record(NamedTuple):
    name: Name
    type: int
    cls: int
    ttl: int
    rdata: bytes


def read(message: bytes, asked: Asked, is_ours: Callable[[Name], bool] = lambda name: False) -> Reply:
    """Return what of a message that `matches` answers the question.

    `is_ours` says whether a name is in a zone of ours; where an alias leads to one, the answer ends.

    Raises:
        FormatError: a broken record or name, or a section cut short.
    """
    # Names that point into the question would bring along the case that it was asked in.
    message = message[:HEADER_OCTETS] + asked.name + message[question_end(asked.name) - 4 :]
    answers, authorities, additionals = _counts(message, 6)
    records = _records(message, question_end(asked.name))
    answer = _rrsets(_take(records, answers))
    authority = _rrsets(_take(records, authorities))
    rcode = message[3] & 15
    for record in _take(records, additionals):
        if record.type == const.OPT:
            rcode |= record.ttl >> 24 << 4
    chain, onward = _chain(asked, answer, is_ours)
    taken = tuple(item for item in answer if _is_asked(asked, chain, *item))
    if onward:
        ttl = min((rrset.ttl for _, rrset in taken), default=0)
        return Reply(const.NOERROR, taken, (), ttl, False, False, onward)
    kinds = _PROOFS if asked.dnssec_ok else frozenset()
    rest = tuple(
        (owner, _as_denial(rrset))
        for owner, rrset in authority
        if rrset.type in kinds or (rrset.type == const.SOA and is_within(chain[-1], owner))
    )
    there = {rrset.type for _, rrset in authority}
    is_referral = const.NS in there and const.SOA not in there and not (answer or rcode or message[2] & _AA)
    is_denial = not any(asked.type in (rrset.type, const.ANY) for _, rrset in taken)
    ttl = min((rrset.ttl for _, rrset in (*taken, *rest)), default=0)
    if is_denial and not any(rrset.type == const.SOA for _, rrset in rest):
        ttl = 0
    return Reply(rcode, taken, rest, ttl, is_denial, is_referral)


def _take(records: Iterator[_Record], count: int) -> Iterator[_Record]:
    for _ in range(count):
        yield next(records)


def _records(message: bytes, at: int) -> Iterator[_Record]:
    """Yield records from an offset on, without end: past the last octet it raises FormatError."""
    known: dict[int, bytes] = {}
    while True:
        owner, at = _name(message, at, known)
        if len(message) < at + 10:
            raise FormatError("a record cut short")
        kind, cls, ttl, length = _fixed(message, at)
        at += 10
        end = at + length
        if len(message) < end:
            raise FormatError("rdata cut short")
        rdata = message[at:end]
        if cls == const.IN and kind in _FORMS:
            rdata = _decompressed(message, at, end, _FORMS[kind], known)
        yield _Record(canonical(owner), kind, cls, ttl, rdata)
        at = end


def _decompressed(
    message: bytes, at: int, end: int, form: tuple[int, int, int], known: dict[int, bytes]
) -> bytes:
    before, count, after = form
    parts = [message[at : at + before]]
    at += before
    for _ in range(count):
        found, at = _name(message, at, known)
        parts.append(found)
    if at + after != end:
        raise FormatError("rdata that is not of its type")
    parts.append(message[at:end])
    return b"".join(parts)


def _name(message: bytes, start: int, known: dict[int, bytes]) -> tuple[bytes, int]:
    """Return the name at an offset, and the offset past it.

    Pointers lead back only, and where one led before is `known`: no octet is walked twice for them.

    Raises:
        FormatError: a label over 63 octets, a name over 255, a pointer that leads on, or out of octets.
    """
    head, at, past, lowest = bytearray(), start, 0, start
    passed: list[tuple[int, int]] = []
    tail = b"\0"
    try:
        while (length := message[at]) != 0:
            if length <= MAX_LABEL:
                head += message[at : at + 1 + length]
                at += 1 + length
            elif length < 0xC0:
                raise FormatError("a label of an unknown kind")
            else:
                past = past or at + 2
                at = (length & 0x3F) << 8 | message[at + 1]
                if at >= lowest:
                    raise FormatError("a pointer that does not lead back")
                lowest = at
                if at in known:
                    tail = known[at]
                    break
                passed.append((at, len(head)))
            if len(head) >= MAX_NAME:
                raise FormatError("a name over 255 octets")
    except IndexError:
        raise FormatError("a name without end") from None
    name = bytes(head) + tail
    if len(name) > MAX_NAME:
        raise FormatError("a name over 255 octets")
    for offset, octets in passed:
        known[offset] = name[octets:]
    return name, past or at + 1


def _rrsets(records: Iterable[_Record]) -> Section:
    """Return the RRsets of a section, in the order in which they begin (RFC 2181 §5)."""
    ttls: dict[tuple[Name, int], int] = {}
    rdatas: dict[tuple[Name, int], dict[bytes, None]] = {}
    for name, kind, cls, ttl, rdata in records:
        if cls == const.IN:
            key = name, kind
            ttl = ttl if ttl <= const.MAX_TTL else 0  # RFC 2181 §8
            ttls[key] = min(ttl, ttls.get(key, ttl))
            rdatas.setdefault(key, {})[rdata] = None
    return tuple((key[0], RRset(key[1], ttls[key], tuple(found))) for key, found in rdatas.items())


def _chain(asked: Asked, answer: Section, is_ours: Callable[[Name], bool]) -> tuple[list[Name], Name | None]:
    """Return the names from the question's along its aliases, and one of ours that they lead to."""
    chain = [asked.name]
    if asked.type in (const.CNAME, const.ANY):
        return chain, None
    aliases = {owner: canonical(rrset.rdatas[0]) for owner, rrset in answer if rrset.type == const.CNAME}
    while len(chain) <= MAX_LINKS and (target := aliases.get(chain[-1])):
        if is_ours(target):
            return chain, target
        chain.append(target)
    return chain, None


def _is_asked(asked: Asked, chain: list[Name], owner: Name, rrset: RRset) -> bool:
    if rrset.type == const.RRSIG and not asked.dnssec_ok and asked.type not in (const.RRSIG, const.ANY):
        return False
    if owner in chain:
        return asked.type == const.ANY or rrset.type in (asked.type, const.CNAME, const.RRSIG)
    return rrset.type in (const.DNAME, const.RRSIG) and any(is_within(name, owner) for name in chain)


def _as_denial(rrset: RRset) -> RRset:
    """Return an RRset of the authority section with the TTL of a denial, if it is a SOA (RFC 2308 §5)."""
    if rrset.type != const.SOA:
        return rrset
    return rrset._replace(ttl=min(rrset.ttl, int.from_bytes(rrset.rdatas[0][-4:], "big")))
