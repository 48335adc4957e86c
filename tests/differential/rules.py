"""What two correct servers may do differently, a rule each; all else must be equal.

A rule takes a response of ours and one of a peer to the same question and returns both without what it
leaves open; it names the RFC that does. What is dropped of ours is held against the zones first: open is
whether a server says it, never whether it is true.

Left open before any rule, in `responses`: the order of records (RFC 1035 §4.1, RFC 1794), name compression
(RFC 1035 §4.1.4), the case of owners and of names in rdata (RFC 4343 §3, RFC 4034 §6.2), the payload size in
an OPT record and its options, as extended errors (RFC 6891 §6.2.5, RFC 8914 §2).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import dns.rdatatype

from tests.differential.exchange import Question
from tests.differential.responses import Response, Rr, Section
from tests.differential.zone import Zone, wire

AA: Final = 0x0400
TC: Final = 0x0200

ANY: Final = 255
NS, CNAME = int(dns.rdatatype.NS), int(dns.rdatatype.CNAME)

MAX_LINKS: Final = 10
"""CNAMEs that we follow for one question."""

Pair = tuple[Response, Response]


class Untrue(ValueError):
    """Ours says what is not so, where a rule leaves open whether to say anything."""


class Truth:
    """What the zones hold."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._rrsets = {
            (kind, zone.ttls[name, kind], frozenset(rdatas)): None
            for zone in zones
            for (name, kind), rdatas in zone.rrsets.items()
        }
        self._owned = {
            (name, kind): (zone.ttls[name, kind], frozenset(rdatas))
            for zone in zones
            for (name, kind), rdatas in zone.rrsets.items()
        }
        self.apexes = {wire(zone.apex).lower() for zone in zones}

    def owns(self, rr: Rr) -> bool:
        return (rr.owner, rr.type) in self._owned

    def check_owned(self, section: Section) -> None:
        """Raise Untrue unless the section consists of whole RRsets of the zones."""
        for owner, kind, ttl, rdatas in _rrsets(section):
            if self._owned.get((owner, kind)) != (ttl, rdatas):
                raise Untrue(f"no RRset of the zone: {section}")

    def check_synthesised(self, section: Section) -> None:
        """Raise Untrue unless the section consists of whole RRsets of the zones, whatever their owners."""
        for _, kind, ttl, rdatas in _rrsets(section):
            if (kind, ttl, rdatas) not in self._rrsets:
                raise Untrue(f"no RRset of the zone: {section}")


def _rrsets(section: Section) -> Iterable[tuple[bytes, int, int, frozenset[bytes]]]:
    found: dict[tuple[bytes, int, int], set[bytes]] = {}
    for owner, kind, ttl, rdata in section:
        found.setdefault((owner, kind, ttl), set()).add(rdata)
    return [(*key, frozenset(rdatas)) for key, rdatas in found.items()]


Rule = Callable[[Response, Response, Question, Truth], Pair]


def contents_of_truncated_responses(ours: Response, peer: Response, _: Question, __: Truth) -> Pair:
    """RFC 2181 §9: where TC is set the client asks again over TCP and uses nothing of what is there."""
    if ours.flags & peer.flags & TC:
        empty: Section = ()
        return ours._replace(answer=empty, authority=empty, additional=empty), peer._replace(
            answer=empty, authority=empty, additional=empty
        )
    return ours, peer


def responses_that_would_fit_compressed(
    ours: Response, peer: Response, question: Question, truth: Truth
) -> Pair:
    """RFC 1035 §4.1.4: whether to compress is free, and "may cause truncation".

    Open is one side's TC only where the other's response would not fit without compression either.
    """
    if (ours.flags ^ peer.flags) & TC and not question.tcp:
        whole = peer if ours.flags & TC else ours
        plain = sum(
            len(rr.owner) + 10 + len(rr.rdata)
            for rr in (
                *whole.answer,
                *whole.authority,
                *_with_glue_alone(whole, truth).additional,
            )
        )
        if 12 + len(question.name) + 4 + plain + (11 if whole.edns else 0) > room(question):
            # The rest of the truncated one is left out by the rule before.
            return contents_of_truncated_responses(
                ours._replace(flags=ours.flags | TC), peer._replace(flags=peer.flags | TC), question, truth
            )
    return ours, peer


def servers_of_the_zone_beside_an_answer(ours: Response, peer: Response, _: Question, truth: Truth) -> Pair:
    """RFC 1034 §4.3.2 asks for no authority section in a full answer; NSD puts the zone's NS RRset there."""

    def without(response: Response) -> Response:
        servers = all(rr.type == NS and rr.owner in truth.apexes for rr in response.authority)
        return response._replace(authority=()) if servers and response.answer else response

    if without(ours) != ours:
        truth.check_owned(ours.authority)
    return without(ours), without(peer)


def length_of_the_chain(ours: Response, peer: Response, _: Question, __: Truth) -> Pair:
    """RFC 1034 §3.6.2 follows CNAMEs without a number; we stop at 10, Knot at 5, NSD later.

    Who stops says NOERROR and what was found so far; whoever goes on must have all of that too.
    """
    links = [rr for rr in ours.answer if rr.type == CNAME]
    if len(ours.answer) == len(links) == MAX_LINKS and set(links) < set(peer.answer):
        return ours, peer._replace(flags=peer.flags & ~15, answer=ours.answer, authority=())
    return ours, peer


def additional_data(ours: Response, peer: Response, _: Question, truth: Truth) -> Pair:
    """RFC 1034 §4.3.2 step 6: what may be useful. A referral's glue below the cut must be (RFC 9471 §3.1).

    Glue are the addresses that the zone holds for a server's name (RFC 1034 §4.2.1). The peers also make
    some of a wildcard below the cut, where the parent is not authoritative and RFC 4592 does not reach.
    """
    truth.check_owned(ours.additional)
    return _with_glue_alone(ours, truth), _with_glue_alone(peer, truth)


def _with_glue_alone(response: Response, truth: Truth) -> Response:
    cuts = [rr for rr in response.authority if rr.type == NS]
    needed = {rr.rdata for rr in cuts if is_within(rr.rdata, rr.owner)}
    glue = (rr for rr in response.additional if rr.owner in needed and truth.owns(rr))
    return response._replace(additional=tuple(glue))


def room(question: Question) -> int:
    """Return how many octets a response may have (RFC 6891 §6.2.3)."""
    return 65_535 if question.tcp else min(max(question.payload or 512, 512), 1232)


def is_within(name: bytes, ancestor: bytes) -> bool:
    while len(name) > len(ancestor):
        name = name[name[0] + 1 :]
    return name == ancestor


def which_rrset_answers_any(ours: Response, peer: Response, question: Question, truth: Truth) -> Pair:
    """RFC 8482 §4.1: one RRset of those there are, or several; and with fewer there is less to truncate."""
    if question.type != ANY or not (ours.answer and (peer.answer or peer.flags & TC)):
        return ours, peer
    truth.check_synthesised(ours.answer)
    if len({rr.owner for rr in ours.answer}) != 1:
        raise Untrue(f"several owners: {ours.answer}")
    return ours._replace(answer=()), peer._replace(answer=(), authority=(), flags=peer.flags & ~TC)


RULES: Final[Sequence[Rule]] = (
    contents_of_truncated_responses,
    responses_that_would_fit_compressed,
    which_rrset_answers_any,
    length_of_the_chain,
    servers_of_the_zone_beside_an_answer,
    additional_data,
)


def differences(
    ours: Response, peer: Response, question: Question, truth: Truth, rules: Sequence[Rule] = RULES
) -> list[str]:
    """Return the parts that differ and that no rule leaves open, each with both sides."""
    try:
        for rule in rules:
            ours, peer = rule(ours, peer, question, truth)
    except Untrue as untrue:
        return [str(untrue)]
    return [
        f"{part}: {_text(mine)} against {_text(theirs)}"
        for part, mine, theirs in zip(Response._fields, ours, peer, strict=True)
        if part != "size" and mine != theirs
    ]


def _text(value: object) -> str:
    if isinstance(value, tuple) and all(isinstance(item, Rr) for item in value):
        return f"[{', '.join(map(str, value[:12]))}{', …' * (len(value) > 12)}]"
    return hex(value) if isinstance(value, int) else str(value)
