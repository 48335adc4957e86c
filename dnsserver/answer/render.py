"""Sections to octets, with name compression and within a size limit."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import cycle, islice, repeat
from typing import Final

from dnsserver.answer.lookup import Answer, Section
from dnsserver.wire import const
from dnsserver.wire.name import MAX_NAME, Name
from dnsserver.wire.rdata import NAMES_IN_RDATA
from dnsserver.zone.rrset import RRset

MAX_ROTATIONS: Final = 8
"""Orders in which the addresses of an RRset are given out, one response after the other (RFC 1794)."""

MANY: Final = 100
"""Addresses above which there are two orders only; over UDP they do not fit in any."""

MAX_POINTER: Final = 0x3FFF
"""The farthest offset a compression pointer can name (RFC 1035 §4.1.4)."""

Heads = tuple[bytes, bytes, bytes, bytes]


"""Octets 2..12 of the message, by kind: bit 0 = RD was set, bit 1 = an OPT record follows."""

Tails = dict[bytes, bytes]
"""The OPT record of an ordinary response, or nothing → the one that tells an extended error, or nothing."""

Choice = tuple[Iterator[bytes], bool, Heads | None, Tails | None]
"""The bodies to give out, one after the other, without an end; whether one may not fit; the heads if it
does not, then without a body; None if it might without additional data; and what it ends with, if it is
not as most."""

Shape = tuple[Heads, int, Choice | None]
"""The heads; the slot to count it in; and a choice, if there are several bodies, or it is longer than FITS,
or ends as few do."""

Compiled = tuple[Shape, bytes]
"""A response less what each query brings, `id + heads[kind] + question + body + OPT`: its shape, which most
have in common, and its body, the sections after the question.

Plain tuples: those of a class of their own take three times as long to unpack."""

FITS: Final = const.UDP_MINIMUM - 11 - (12 + MAX_NAME + 4)
"""Octets of a body that fits any response: less an OPT record, the header and the longest question."""


_ENDLESS: Final = bytes(const.TCP_MAXIMUM + 1)
"""The body of an answer that fits no message, not rendered because nobody can get it."""


@lru_cache(maxsize=4096)
def heads(rcode: int, flags: int, answers: int, authorities: int, additionals: int) -> Heads:
    """Return the header without its id for each kind of query. `flags`: AA and TC."""

    def head(kind: int) -> bytes:
        numbers = (
            const.QR | flags | (const.RD if kind & 1 else 0) | rcode & 15,
            1,
            answers,
            authorities,
            additionals + (kind >> 1),
        )
        return b"".join(number.to_bytes(2, "big") for number in numbers)

    return head(0), head(1), head(2), head(3)


def compiled(
    answer: Answer, qname: Name, qname_octets: int, slot: int, orders: int = MAX_ROTATIONS
) -> Compiled:
    """Compile an answer for a question whose name is `qname_octets` long and ends in `qname`.

    Only what is known of the question's name is pointed to, so with a `qname` that is shorter the result
    serves every name of that length below it, and of an answer synthesised from a wildcard every name
    that the wildcard answers: there the first owner is the question's name, and no other is. There are at
    most `orders` bodies.
    """
    flags = const.AA if answer.authoritative else 0
    optional = answer.optional and (answer.authority or answer.additional)
    cut = None if optional else heads(answer.rcode, flags | const.TC, 0, 0, 0)
    sections = (answer.answer, answer.authority, answer.additional)
    if _least(sections) > const.TCP_MAXIMUM:
        return (heads(answer.rcode, flags, 0, 0, 0), slot, (repeat(_ENDLESS), True, cut, None)), _ENDLESS
    asked: Name | None
    if answer.source and answer.answer:
        # Its question may have any length: what the body holds has no place that could be pointed to.
        start, known, asked = MAX_POINTER + 1, {}, answer.answer[0][0]
    else:
        start, known = 12 + qname_octets + 4, _offsets(qname, 12 + qname_octets - len(qname))
        asked = qname if len(qname) == qname_octets else None
    bodies = []
    for rotated in islice(_rotations(answer.answer), orders):
        body = Body(start, asked, known, answer.cls)
        for section in (rotated, *sections[1:]):
            for owner, rrset in section:
                body.add(owner, rrset)
        bodies.append(bytes(body.octets))
    counts = (sum(len(rrset.rdatas) for _, rrset in section) for section in sections)
    long = max(map(len, bodies)) > FITS
    found = heads(answer.rcode, flags, *counts)
    if long or len(bodies) > 1:
        return (found, slot, (cycle(bodies), long, cut, None)), bodies[0]
    return _plain(found, slot), bodies[0]


def refusal(rcode: int, error: int, slot: int) -> Compiled:
    """Compile a response without data that tells why there is none (RFC 8914)."""
    options = ((EDE, error.to_bytes(2, "big")),)
    tails = {b"": b"", OPT: opt(rcode, False, options), OPT_DO: opt(rcode, True, options)}
    return (heads(rcode, 0, 0, 0, 0), slot, (repeat(b""), False, None, tails)), b""


@lru_cache(maxsize=4096)
def _plain(found: Heads, slot: int) -> Shape:
    return found, slot, None


def _least(sections: tuple[Section, ...]) -> int:
    """Return fewer octets than the sections take: names in rdata may shrink to two octets each."""
    return sum(
        12 * len(rrset.rdatas) + (0 if rrset.type in NAMES_IN_RDATA else sum(map(len, rrset.rdatas)))
        for section in sections
        for _, rrset in section
    )


def _offsets(name: Name, start: int) -> dict[bytes, int]:
    """Return where each suffix of a name that stands at `start` begins."""
    offsets, at = {}, 0
    while name[at]:
        offsets[name[at:]] = start + at
        at += name[at] + 1
    return offsets


def _rotations(section: Section) -> Iterator[Section]:
    """Yield a section with the addresses at its end in each order that is given out."""
    last = section[-1] if section else None
    if last is None or last[1].type not in (const.A, const.AAAA) or len(last[1].rdatas) == 1:
        yield section
        return
    owner, rrset = last
    turns = min(len(rrset.rdatas), MAX_ROTATIONS if len(rrset.rdatas) <= MANY else 2)
    for turn in range(turns):
        rdatas = rrset.rdatas[turn:] + rrset.rdatas[:turn]
        yield (*section[:-1], (owner, rrset._replace(rdatas=rdatas)))


class Body:
    """The octets after the question, written from offset `start` of the message."""

    def __init__(self, start: int, asked: Name | None, known: dict[bytes, int], cls: int) -> None:
        self.octets = bytearray()
        self._start, self._asked, self._cls = start, asked, cls.to_bytes(2, "big")
        self._offsets = dict(known)

    def add(self, owner: Name, rrset: RRset) -> None:
        """Write the records of an RRset. The owner `asked` is the question's name."""
        out = self.octets
        fixed = rrset.type.to_bytes(2, "big") + self._cls + rrset.ttl.to_bytes(4, "big")
        names = NAMES_IN_RDATA.get(rrset.type)
        for rdata in rrset.rdatas:
            if owner == self._asked:
                out += b"\xc0\x0c"
            else:
                self._name(owner)
            out += fixed
            if names is None:
                out += len(rdata).to_bytes(2, "big") + rdata
                continue
            length_at = len(out)
            out += b"\0\0"
            at, count = names
            out += rdata[:at]
            for _ in range(count):
                at = self._name(rdata, at)
            out += rdata[at:]
            out[length_at : length_at + 2] = (len(out) - length_at - 2).to_bytes(2, "big")

    def _name(self, octets: bytes, at: int = 0) -> int:
        """Write the name at `at`, compressed; return the offset past it in `octets`."""
        out, offsets = self.octets, self._offsets
        end = at
        while octets[end]:
            end += octets[end] + 1
        end += 1
        while octets[at]:
            suffix = octets[at:end]
            pointer = offsets.get(suffix)
            if pointer is not None:
                out += (0xC000 | pointer).to_bytes(2, "big")
                return end
            if self._start + len(out) <= MAX_POINTER:
                offsets[suffix] = self._start + len(out)
            step = octets[at] + 1
            out += octets[at : at + step]
            at += step
        out += b"\0"
        return end


EDE: Final = 15
"""The EDNS option of an extended error."""

OPT: Final = b"\0\0\x29" + const.UDP_PAYLOAD.to_bytes(2, "big") + b"\0\0\0\0\0\0"
OPT_DO: Final = OPT[:7] + b"\x80" + OPT[8:]
"""The OPT records of nearly all responses; DO is copied from the query (RFC 3225 §3)."""


def opt(rcode: int, dnssec_ok: bool, options: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    """Return an OPT record with the upper bits of `rcode` (RFC 6891 §6.1.3)."""
    record = OPT_DO if dnssec_ok else OPT
    data = b"".join(
        code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value for code, value in options
    )
    return record[:5] + bytes((rcode >> 4,)) + record[6:9] + len(data).to_bytes(2, "big") + data
