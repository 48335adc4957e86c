"""One datagram or TCP message in, the octets of its response out, or None.

There are two ways through. `slow` is the definition: it parses, looks up and renders. `find` is the way most
queries go: nothing but slices and dict lookups in what `slow` compiled before. `respond` is both, and its law
is `respond(query) == slow(query)`, order of addresses aside; when in doubt `find` finds nothing.

Why a hit needs no check of the name: the octets of a question, folded, equal those of a stored one only if
its labels do, and a stored name is whole and ends where its root label does.
"""

from collections.abc import Callable
from typing import Final

from dnsserver.answer import render
from dnsserver.answer.absent import absent
from dnsserver.answer.budget import Budget
from dnsserver.answer.edns import COOKIE_OCTETS, KEEPALIVE, NSID, OPT_OCTETS, OPTION_OCTETS, Opts
from dnsserver.answer.identity import SILENT, Identity, chaos
from dnsserver.answer.keeper import Keeper, slot_of
from dnsserver.answer.lookup import Answer, lookup
from dnsserver.answer.render import Compiled
from dnsserver.answer.tally import Listener, Tally, Transport
from dnsserver.handle import Find, Parts
from dnsserver.wire import const
from dnsserver.wire.message import Edns, Header, Question, extras_of, header_of, question_of
from dnsserver.wire.name import FormatError
from dnsserver.zone.nodes import MASK
from dnsserver.zone.search import searched
from dnsserver.zone.table import ZoneTable

_PLAIN: Final = {
    (rd << 8 | ad << 5 | cd << 4).to_bytes(2, "big") + b"\0\1\0\0\0\0\0" + bytes((opt,)): rd | opt << 1
    for rd in (0, 1)
    for ad in (0, 1)
    for cd in (0, 1)
    for opt in (0, 1)
}
"""Octets 2..12 of an ordinary query (one question, at most one more record) → kind, as in render.Heads.

AD and CD are ignored and not echoed (RFC 4035 §3.1.6)."""

_OPT_AT: Final = -OPT_OCTETS
_COOKIE_AT: Final = -COOKIE_OCTETS
_COOKIE_END: Final = OPTION_OCTETS - COOKIE_OCTETS


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
        server: str = "",
        budget: Budget | None = None,
    ) -> None:
        """Answer by a table; `idle_timeout` in seconds is told to TCP clients that ask (RFC 7828).

        With `defers` there is no response here to AXFR, IXFR and signed queries: they are for whoever knows
        keys and the client's address. With `forwards`, `respond` has none to a query with RD whose answer
        goes on outside its zone: not even what we know of it, for another may know the whole. A search that
        the `budget` has no time for is SERVFAIL.
        """
        self._defers, self._forwards = defers, forwards
        self._identity, self._budget = identity, budget
        self._keepalive = 0 if transport == "udp" else min(int(idle_timeout * 10), 65_535)
        self._table = table
        self._tally = tally
        self._keeper = Keeper(table, tally, forwards)
        self._counts = tally.counts(Listener(transport, server))
        self._udp = transport == "udp"
        self._on_fault = on_fault
        self.find: Final[Find] = self._fast_path()

    def _fast_path(self) -> Find:
        find_answer: Callable[[bytes], Compiled | None] = self._table.answers.get
        otherwise = absent(self._table, refuses=not self._forwards)
        nodes, rows = self._table.nodes, self._table.absent
        find_few, finders, find_row = nodes.few.get, nodes.finders, rows.get
        counts, tally = self._counts, self._tally
        least = const.UDP_MINIMUM if self._udp else const.TCP_MAXIMUM
        opts = Opts(self._udp)
        find_opt, find_cookie = opts.get, opts.cookies.get

        def find(head: bytes, rest: bytes) -> Parts | None:
            try:
                kind = _PLAIN[head]
            except KeyError:
                return None
            if kind < 2:
                question, room, tail = rest, least, b""
            elif (opt := find_cookie(rest[_COOKIE_AT:_COOKIE_END])) is not None:
                question = rest[:_COOKIE_AT]
                room, tail, _ = opt
            elif (opt := find_opt(rest[_OPT_AT:])) is not None:
                question = rest[:_OPT_AT]
                room, tail, _ = opt
            else:
                after = rest.find(0) + 5
                opt = find_opt(rest[after : after + OPTION_OCTETS])
                if opt is None or opt[2] != len(rest) - after:
                    opt = opts.learn(rest[after:])
                    if opt is None:
                        return None
                question = rest[:after]
                room, tail, _ = opt
            folded = question.lower()
            answer = find_answer(folded)
            if answer is None:
                name = folded[:-4]
                if not name:
                    return None
                node = find_few(name) or (finders[hash(name) & MASK](name) if finders else None)
                row = None if node else find_row(folded[folded[0] + 1 :])
                answer = (row and row.get(folded[0])) or otherwise(name, node, question[-4:])
                if answer is None:
                    return None
            (heads, slot, choice), body = answer
            if choice is not None:
                bodies, long, short, tails = choice
                body = next(bodies)
                if tails:
                    tail = tails[tail]
                if long and 12 + len(question) + len(body) > room:
                    if short is None:
                        return None
                    heads, body = short, b""
                    tally.truncated += 1
            counts[slot] += 1
            if kind < 2:
                return heads[kind], question + body
            return heads[kind], question + body + tail

        return find

    def respond(self, query: bytes) -> bytes | None:
        """Return the response to a message; None if there is none here."""
        parts = self.find(query[2:12], query[12:])
        if parts is None:
            return self.slow(query, forwards=True)
        head, rest = parts
        return b"".join((query[:2], head, rest))

    def slow(self, query: bytes, reserve: int = 0, *, forwards: bool = False) -> bytes | None:
        """Answer any octets. Total: a fault of ours is a SERVFAIL.

        Of what the response may take, `reserve` octets are left for a signature. With `forwards` there is no
        response to what goes on elsewhere, if `respond` has none to it.
        """
        try:
            return self._slow(query, reserve, forwards=forwards)
        except Exception as error:
            self._tally.faults += 1
            self._on_fault(error)
            return self._bare(query, const.SERVFAIL)
        finally:
            if self._budget:
                self._budget.end()

    def refuse(self, query: bytes, rcode: int, error: int | None = None) -> bytes | None:
        """Return a response without data, with an extended error if one is given (RFC 8914)."""
        return self._slow(query, 0, Answer(rcode, error=error))

    def _slow(
        self, query: bytes, reserve: int, answer: Answer | None = None, *, forwards: bool = False
    ) -> bytes | None:
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
            if forwards and self._forwards and answer.onward and header.flags & const.RD:
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
        if self._budget and (zone := searched(self._table, question.name)) and not self._budget.begin():
            return Answer(const.SERVFAIL, zone=zone)
        answer = lookup(self._table, question.name, question.type)
        self._keeper.keep(question, answer)
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
        slot = slot_of(self._tally, answer, question.type)
        self._counts[slot] += 1
        echoed = query[12 : question.end]
        flags = const.AA if answer.authoritative else 0
        if not (answer.answer or answer.authority):
            return query[:2] + render.heads(answer.rcode, flags, 0, 0, 0)[kind] + echoed + tail
        attempts = [answer]
        # A referral without its glue would lead nowhere, so it is cut (RFC 9471 §3.1).
        if answer.optional:
            attempts += [answer._replace(additional=()), answer._replace(authority=(), additional=())]
        # Names of one length share their denials, so those point to nothing below the apex.
        base = answer.zone.apex if answer.is_denial and answer.zone else question.name
        for attempt in attempts:
            (heads, _, _), body = render.compiled(attempt, base, len(question.name), slot, 1)
            if question.end + len(body) + len(tail) <= limit:
                return query[:2] + heads[kind] + echoed + body + tail
        self._tally.truncated += 1
        return query[:2] + render.heads(answer.rcode, flags | const.TC, 0, 0, 0)[kind] + echoed + tail

    def _options(self, answer: Answer, edns: Edns) -> tuple[tuple[int, bytes], ...]:
        """Return what a response tells in options, in answer to those of the query."""
        asked = {code for code, _ in edns.options}
        options: list[tuple[int, bytes]] = []
        if answer.error is not None:
            options.append((render.EDE, answer.error.to_bytes(2, "big")))
        if NSID in asked and self._identity.id:
            options.append((NSID, self._identity.id))
        if KEEPALIVE in asked and self._keepalive:
            options.append((KEEPALIVE, self._keepalive.to_bytes(2, "big")))
        return tuple(options)

    def _bare(self, query: bytes, rcode: int) -> bytes | None:
        """Return a header without question: for what has none that can be read."""
        if len(query) < 12:
            return None
        self._counts[self._tally.slot("", rcode, 0)] += 1
        flags = const.QR | (query[2] << 8 & 0x7900) | rcode  # the opcode and RD come back (RFC 1035 §4.1.1)
        return query[:2] + flags.to_bytes(2, "big") + b"\0\0\0\0\0\0\0\0"
