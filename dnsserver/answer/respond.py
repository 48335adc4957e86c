"""One datagram or TCP message in, the octets of its response out, or None.

There are two ways through. `slow` is the definition: it parses, looks up and renders. `respond` is the
way most queries go: nothing but slices and dict lookups in what `slow` compiled before. Their law is
`respond(query) == slow(query)`, order of addresses aside; when in doubt `respond` calls `slow`.

Why a hit needs no check of the name: the octets of a question, folded, equal those of a stored one only if
its labels do, and a stored name is whole and ends where its root label does.
"""

from collections.abc import Callable
from typing import Final

from dnsserver.answer import render
from dnsserver.answer.identity import SILENT, Identity, chaos
from dnsserver.answer.lookup import Answer, lookup
from dnsserver.answer.render import OPT, OPT_DO, Compiled
from dnsserver.answer.tally import Tally, Transport
from dnsserver.wire import const
from dnsserver.wire.message import Edns, Header, Question, extras_of, header_of, question_of
from dnsserver.wire.name import FormatError, Name, to_text
from dnsserver.zone.table import Node, ZoneTable

Respond = Callable[[bytes], bytes | None]

EDNS_NSID: Final = 3
EDNS_KEEPALIVE: Final = 11
EDNS_EDE: Final = 15

_PLAIN: Final = {
    (rd << 8 | ad << 5 | cd << 4).to_bytes(2, "big") + b"\0\1\0\0\0\0\0" + bytes((opt,)): rd | opt << 1
    for rd in (0, 1)
    for ad in (0, 1)
    for cd in (0, 1)
    for opt in (0, 1)
}
"""Octets 2..12 of an ordinary query (one question, at most one more record) → kind, as in render.Heads.

AD and CD are ignored and not echoed (RFC 4035 §3.1.6)."""


def _in_wire_form(kind: int) -> bytes:
    """Return type and class IN, as they stand in a question."""
    return kind.to_bytes(2, "big") + b"\0\1"


def _is_kept(kind: int) -> bool:
    """Say whether answers of a type are kept for the next query.

    A question is looked up folded as a whole, and 65 is `A`. So nothing is kept of a type with octets that
    are lower-case letters, such as 97, which would answer for its twin in upper case; and what is kept of
    that twin is found only by its exact octets, in `otherwise`.
    """
    octets = _in_wire_form(kind)
    return octets == octets.upper()


_META: Final = frozenset({const.OPT, 249, const.TSIG, const.IXFR, const.AXFR, 253, 254, const.ANY})

_VIEWS: Final = frozenset({const.SRV, const.MX, const.PTR})
"""Types that SkyDNS has of any host; compiled only when somebody asks for them."""

_ORDINARY: Final = frozenset(
    _in_wire_form(kind) for kind in range(1, 300) if kind not in _META | _VIEWS and _is_kept(kind)
)
"""Type and class, in wire form, for which a node that has none of it answers NODATA."""

_NXDOMAIN: Final = const.NXDOMAIN << 8
"""A key of Zone.negative, with the length of the name."""

_OPT_OCTETS: Final = 11
"""Of an OPT record without options."""

MAX_OPTS: Final = 1024
"""Spellings of an OPT record without options that are remembered; clients of the world use some dozens."""


class Responder:
    """Answers the messages of one transport from the table."""

    def __init__(
        self,
        table: ZoneTable,
        tally: Tally,
        transport: Transport,
        on_fault: Callable[[Exception], None],
        *,
        identity: Identity = SILENT,
        idle_timeout: float = 0,
        defers: bool = False,
        forwards: bool = False,
    ) -> None:
        """Answer by a table; `idle_timeout` in seconds is told to TCP clients that ask (RFC 7828).

        With `defers` there is no response here to AXFR, IXFR and signed queries: they are for whoever knows
        keys and the client's address. With `forwards` there is none to questions of class IN outside all
        zones, which are else refused.
        """
        self._defers, self._forwards = defers, forwards
        self._identity = identity
        self._keepalive = 0 if transport == "udp" else min(int(idle_timeout * 10), 65_535)
        self._table = table
        self._tally = tally
        self._counts = tally.responses[transport]
        self._udp = transport == "udp"
        self._on_fault = on_fault
        self.respond: Final[Respond] = self._fast_path()

    def _fast_path(self) -> Respond:
        find_node: Callable[[bytes], Node | None] = self._table.nodes.get  # type: ignore[assignment]
        find_answer: Callable[[bytes], Compiled | None] = self._table.answers.get
        find_plain, ordinary, join = _PLAIN.get, _ORDINARY, b"".join
        counts, slow, udp, tally = self._counts, self.slow, self._udp, self._tally
        least = const.UDP_MINIMUM if udp else const.TCP_MAXIMUM
        opts: dict[bytes, tuple[int, bytes]] = {}
        turn = 0

        def respond(query: bytes) -> bytes | None:
            nonlocal turn
            kind = find_plain(query[2:12])
            if kind is None:
                return slow(query)
            after, room, tail = len(query), least, b""
            if kind > 1:
                known = opts.get(query[-_OPT_OCTETS:])
                if known:
                    after -= _OPT_OCTETS
                else:
                    after = query.find(0, 12) + 5
                    extra = query[after:]
                    known = _opt(extra, udp)
                    if known is None:
                        return slow(query)
                    if len(extra) == _OPT_OCTETS and len(opts) < MAX_OPTS:
                        opts[extra] = known
                room, tail = known
            answer = find_answer(query[12:after].lower())
            if answer is None:
                end = after - 4
                answer = otherwise(query[12:end].lower(), query[end:after])
                if answer is None:
                    return slow(query)
            head, bodies, slot, cut = answer
            if len(bodies) == 1:
                body = bodies[0]
            else:
                turn += 1
                body = bodies[turn % len(bodies)]
            if len(body) + after > room:
                if cut is None:
                    return slow(query)
                head, body = cut, b""
                tally.truncated += 1
            counts[slot] += 1
            return join((query[:2], head[kind], query[12:after], body, tail))

        def otherwise(name: bytes, asked: bytes) -> Compiled | None:
            """What to say where nothing is kept: NODATA, NXDOMAIN, a wildcard, or None for `slow`."""
            at, octets = 0, len(name)
            if octets > 255 or asked not in ordinary:
                return None
            node = find_node(name)
            if node:
                found = find_answer(name + asked)
                if found is None and node.complete:
                    return node.zone.negative.get(octets)
                return found
            while at < octets:
                if not 0 < (step := name[at]) < 64:
                    return None
                at += step + 1
                above = name[at:]
                node = find_node(above)
                if node is None:
                    continue
                zone = node.zone
                if not zone.synced or (zone.cuts and zone.cut_above(Name(above))):
                    return None
                # Labels `*` and `any` ask for a search. An `in` of octets would cost three times as much.
                if zone.skydns_lookup and (0x2A in name or name.find(b"\3any") >= 0):
                    return None
                wildcard = find_node(b"\1*" + above) if zone.wildcards else None
                if wildcard is None:
                    return zone.negative.get(_NXDOMAIN | octets)
                found = find_answer(b"\1*" + above + asked)
                if found is None and wildcard.complete:
                    return zone.negative.get(octets)
                return found
            return None

        return respond

    def slow(self, query: bytes, reserve: int = 0) -> bytes | None:
        """Answer any octets. Total: a fault of ours is a SERVFAIL.

        Of what the response may take, `reserve` octets are left for a signature.
        """
        try:
            return self._slow(query, reserve)
        except Exception as error:
            self._tally.faults += 1
            self._on_fault(error)
            return self._bare(query, const.SERVFAIL)

    def refuse(self, query: bytes, rcode: int, error: int | None = None) -> bytes | None:
        """Return a response without data, with an extended error if one is given (RFC 8914)."""
        return self._slow(query, 0, Answer(rcode, error=error))

    def _slow(self, query: bytes, reserve: int, answer: Answer | None = None) -> bytes | None:
        header = header_of(query)
        if header is None:
            self._tally.dropped += 1
            return None
        if header.opcode != const.QUERY:
            return self._not_implemented(query, header)
        if header.qdcount != 1:
            return self._bare(query, const.FORMERR)
        try:
            question = question_of(query)
        except FormatError:
            return self._bare(query, const.FORMERR)
        try:
            edns, tsig_at = extras_of(query, header, question.end)
        except FormatError:
            return self._render(query, header, question, None, Answer(const.FORMERR))
        if answer is None:
            if self._defers and (tsig_at is not None or question.type in (const.AXFR, const.IXFR)):
                return None
            answer = self._answer(question, edns)
            if self._forwards and answer.error == const.EDE_NOT_AUTHORITATIVE:
                return None
        return self._render(query, header, question, edns, answer, reserve)

    def _not_implemented(self, query: bytes, header: Header) -> bytes | None:
        """Answer another opcode: with question and OPT, if it is built like a query with one question."""
        try:
            if header.qdcount != 1:
                return self._bare(query, const.NOTIMP)
            question = question_of(query)
            edns, _ = extras_of(query, header, question.end)
        except FormatError:
            return self._bare(query, const.NOTIMP)
        reply = self._render(query, header, question, edns, Answer(const.NOTIMP))
        return reply[:2] + bytes((reply[2] | header.opcode << 3,)) + reply[3:]

    def _answer(self, question: Question, edns: Edns | None) -> Answer:
        if edns and edns.version:
            return Answer(const.BADVERS)
        if question.cls == const.CH:
            return chaos(self._identity, question.name, question.type)
        if question.cls != const.IN or question.type in (const.AXFR, const.IXFR):
            return Answer(const.REFUSED)
        answer = lookup(self._table, question.name, question.type)
        self._compile(question, answer)
        return answer

    def _render(
        self,
        query: bytes,
        header: Header,
        question: Question,
        edns: Edns | None,
        answer: Answer,
        reserve: int = 0,
    ) -> bytes:
        kind = (1 if header.flags & const.RD else 0) | (2 if edns else 0)
        limit, tail = const.UDP_MINIMUM if self._udp else const.TCP_MAXIMUM, b""
        if edns:
            if self._udp:
                limit = min(max(edns.payload, limit), const.UDP_PAYLOAD)
            tail = render.opt(answer.rcode, edns.dnssec_ok, self._options(answer, edns))
        limit -= reserve
        slot = self._slot(answer)
        self._counts[slot] += 1
        echoed = query[12 : question.end]
        attempts = [answer]
        # A referral without its glue would lead nowhere, so it is cut (RFC 9471 §3.1).
        if answer.optional:
            attempts += [answer._replace(additional=()), answer._replace(authority=(), additional=())]
        # Names of one length share their denials, so those point to nothing below the apex.
        base = answer.zone.apex if answer.is_denial and answer.zone else question.name
        for attempt in attempts:
            head, bodies, _, _ = render.compiled(attempt, base, len(question.name), slot, 1)
            body = bodies[0]
            if question.end + len(body) + len(tail) <= limit:
                return query[:2] + head[kind] + echoed + body + tail
        self._tally.truncated += 1
        flags = const.TC | (const.AA if answer.authoritative else 0)
        return query[:2] + render.heads(answer.rcode, flags, 0, 0, 0)[kind] + echoed + tail

    def _options(self, answer: Answer, edns: Edns) -> tuple[tuple[int, bytes], ...]:
        """Return what a response tells in options, in answer to those of the query."""
        asked = {code for code, _ in edns.options}
        options: list[tuple[int, bytes]] = []
        if answer.error is not None:
            options.append((EDNS_EDE, answer.error.to_bytes(2, "big")))
        if EDNS_NSID in asked and self._identity.id:
            options.append((EDNS_NSID, self._identity.id))
        if EDNS_KEEPALIVE in asked and self._keepalive:
            options.append((EDNS_KEEPALIVE, self._keepalive.to_bytes(2, "big")))
        return tuple(options)

    def _bare(self, query: bytes, rcode: int) -> bytes | None:
        """Return a header without question: for what has none that can be read."""
        if len(query) < 12:
            return None
        self._counts[self._tally.slot("", rcode)] += 1
        flags = const.QR | (query[2] << 8 & 0x7900) | rcode  # the opcode and RD come back (RFC 1035 §4.1.1)
        return query[:2] + flags.to_bytes(2, "big") + b"\0\0\0\0\0\0\0\0"

    def _slot(self, answer: Answer) -> int:
        return self._tally.slot(_zone_label(answer), answer.rcode)

    def _compile(self, question: Question, answer: Answer) -> None:
        """Keep what the next query of this kind needs, for names that exist and for denials."""
        zone = answer.zone
        if zone is None or not zone.synced or question.type in _META:
            return
        if answer.is_denial:
            octets = len(question.name)
            zone.negative[answer.rcode << 8 | octets] = render.compiled(
                answer, zone.apex, octets, self._slot(answer)
            )
        source = answer.source or question.name
        node = self._table.nodes.get(source)
        if node is None or zone.cut_above(source):
            return
        rrsets = self._table.rrsets(source, node)
        if const.CNAME in rrsets:
            # Any type is answered at an alias; only those with a mnemonic may take memory.
            if question.type in const.TYPE_NAMES:
                self._keep(node, source, (question.type,))
            return
        if not node.complete:
            # The zone above has the DS of an apex, so it may be there without being here.
            at_apex = {const.DS} if source in self._table.zones else set()
            self._keep(node, source, (*(rrsets.keys() - _VIEWS | at_apex),))
            node.complete = True
        if question.type in _VIEWS and question.type in rrsets:
            self._keep(node, source, (question.type,))

    def _keep(self, node: Node, source: Name, kinds: tuple[int, ...]) -> None:
        for kind in kinds:
            question = source + _in_wire_form(kind)
            if not _is_kept(kind) or question in self._table.answers:
                continue
            answer = lookup(self._table, source, kind)
            if answer.source and not self._shared(answer, source):
                continue
            entry = render.compiled(answer, source, len(source), self._slot(answer))
            self._table.answers[question] = entry
            node.questions += (question,)
            if answer.depends or answer.zone is not node.zone:
                self._table.dependents.append(node)

    def _shared(self, answer: Answer, wildcard: Name) -> bool:
        """Say whether all names that a wildcard answers get this: it never leads back to one of them."""
        owners = {owner for owner, _ in (*answer.answer[1:], *answer.additional)}
        targets = {rdata for _, rrset in answer.answer if rrset.type == const.CNAME for rdata in rrset.rdatas}
        return wildcard not in owners | targets and all(owner in self._table.nodes for owner in owners)


def _zone_label(answer: Answer) -> str:
    return to_text(answer.zone.apex) if answer.zone else ""


def _opt(record: bytes, udp: bool) -> tuple[int, bytes] | None:
    """Return the octets before ours and our OPT record, for what follows a query's question.

    None unless that is one OPT record of version 0, without options that ask for something.
    """
    if record[:3] != b"\0\0\x29" or len(record) < _OPT_OCTETS or record[6]:
        return None
    if len(record) != _OPT_OCTETS + (record[9] << 8 | record[10]) or not _ignorable(record):
        return None
    payload = record[3] << 8 | record[4]
    limit = min(max(payload, const.UDP_MINIMUM), const.UDP_PAYLOAD) if udp else const.TCP_MAXIMUM
    return limit - _OPT_OCTETS, OPT_DO if record[7] & 0x80 else OPT


def _ignorable(opt: bytes) -> bool:
    """Say whether the options of an OPT record are whole and need no answer."""
    at, end = _OPT_OCTETS, len(opt)
    while at + 4 <= end:
        code = opt[at] << 8 | opt[at + 1]
        if code in (EDNS_NSID, EDNS_KEEPALIVE):
            return False
        at += 4 + (opt[at + 2] << 8 | opt[at + 3])
    return at == end
