"""The parts of forwarding, joined: who may, what is forwarded, and the response that comes of it."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from prometheus_client.core import Metric

from dnsserver.answer.kept import META
from dnsserver.answer.lookup import Answer, Section
from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Listener, Tally, Transport, kind_of
from dnsserver.forward.cache import Entry
from dnsserver.forward.metrics import of_cache, of_upstreams
from dnsserver.forward.question import Asked
from dnsserver.forward.reply import Reply
from dnsserver.forward.resolver import Resolver
from dnsserver.forward.response import Allows, Client, followed, join, reply_of, respond
from dnsserver.handle import Handle, Response
from dnsserver.handle import Reply as Send
from dnsserver.limits.networks import Network, first_list
from dnsserver.wire import const
from dnsserver.wire.message import extras_of, header_of, question_of
from dnsserver.wire.name import FormatError, Name, to_text
from dnsserver.zone.table import ZoneTable

NOT_FORWARDED: Final = META - {const.ANY}
"""Types that are no data of a name: transfers, and what is said between two servers."""


class _Request(NamedTuple):
    """A query that goes on outside our zones, and what is known of its answer."""

    client: Client
    responder: Responder
    transport: Transport
    aliases: Section
    asked: Asked
    allows: Allows


class ForwardService:
    """Stands before another Handle and answers what goes on outside the table's zones, for those allowed."""

    def __init__(
        self,
        table: ZoneTable,
        tally: Tally,
        resolver: Resolver,
        allow: Sequence[Network],
        on_fault: Callable[[Exception], None],
        may_ask: Callable[[bytes, Name], bool] = lambda address, apex: True,
    ) -> None:
        """`may_ask` says whether a client's address is answered from the zone of an apex."""
        self._table, self._tally, self._resolver, self._on_fault = table, tally, resolver, on_fault
        self._turn = 0
        self._may_ask = may_ask
        list_of = first_list([allow])
        self._allows: Callable[[bytes], bool] = lambda address: list_of(address) == 0

    def start(self) -> None:
        """See whether the upstreams are well, and whether they lead back to us."""
        for upstream in self._resolver.upstreams:
            upstream.health.start()

    async def settle(self) -> None:
        """Return when all who wait have been answered."""
        await self._resolver.settle()

    def close(self) -> None:
        self._resolver.close()
        for upstream in self._resolver.upstreams:
            upstream.close()

    def metrics(self, prefix: str) -> Iterable[Metric]:
        yield from of_upstreams(prefix, self._resolver)
        yield from of_cache(prefix, self._resolver)

    def before(self, inner: Handle, responder: Responder, transport: Transport) -> Handle:
        """Return the Handle for what the responder of a transport defers; `inner` gets what is not for us."""

        def handle(message: bytes, address: bytes, port: int) -> Response:
            client = _client(message, transport)
            if client is None:
                return inner(message, address, port)
            if not self._allows(address):
                return responder.slow(message)
            try:
                return self._answer(client, responder, transport, partial(self._may_ask, address))
            except Exception as error:
                self._on_fault(error)
                return responder.refuse(message, const.SERVFAIL)

        return handle

    def _answer(self, client: Client, responder: Responder, transport: Transport, allows: Allows) -> Response:
        aliases, rest = followed(self._table, client.question.name, client.question.type, allows)
        if rest.onward is None:
            octets = join(client, aliases, rest, authoritative=True) if aliases else None
            return self._counted(client, transport, octets) if octets else responder.slow(client.query)
        if self._has_come_back(rest.onward):
            return responder.slow(client.query)
        request = _Request(client, responder, transport, aliases, client.asked(rest.onward), allows)
        known = self._resolver.known(request.asked)
        return self._composed(request, *known) if known else self._later(request)

    def _later(self, request: _Request) -> Callable[[Send], None]:
        def later(reply: Send) -> None:
            def done(entry: Entry, age: float) -> None:
                try:
                    reply(self._composed(request, entry, age))
                except Exception as error:
                    self._on_fault(error)
                    reply(request.responder.refuse(request.client.query, const.SERVFAIL))

            if not self._resolver.resolve(request.asked, done):
                reply(request.responder.refuse(request.client.query, const.SERVFAIL))

        return later

    def _composed(self, request: _Request, entry: Entry, age: float) -> bytes:
        client, _, transport, aliases, asked, allows = request
        self._turn += 1
        is_failure = entry.rcode not in (const.NOERROR, const.NXDOMAIN)
        if is_failure or not (aliases or entry.onward):
            return self._counted(client, transport, respond(client, entry, int(age), self._turn))
        rest: Reply | Answer = reply_of(asked, entry, int(age), self._turn)
        authoritative = bool(aliases)
        if entry.onward:
            back, ours = followed(self._table, entry.onward, asked.type, allows)
            aliases = (*aliases, *rest.answer, *back)
            # One that leads out again is not followed again: a circle, or next to it.
            rest = Answer(const.NOERROR) if ours.onward else ours
        octets = join(client, aliases, rest, authoritative=authoritative)
        return self._counted(client, transport, octets)

    def _counted(self, client: Client, transport: Transport, octets: bytes) -> bytes:
        zone = self._table.zone_of(client.question.name)
        kind = kind_of(client.question.type)
        slot = self._tally.slot(to_text(zone.apex) if zone else "", octets[3] & 15, kind)
        self._tally.counts(Listener(transport))[slot] += 1
        self._tally.truncated += bool(octets[2] & const.TC >> 8)
        return octets

    def _has_come_back(self, name: Name) -> bool:
        """Say whether a name is that of a probe, and tell the upstream that it was sent to."""
        for upstream in self._resolver.upstreams:
            if name == upstream.health.asked_for:
                upstream.health.has_come_back()
                return True
        return False


def _client(message: bytes, transport: Transport) -> Client | None:
    """Return a query that may be forwarded: a plain question of class IN, with RD."""
    header = header_of(message)
    if header is None or header.opcode != const.QUERY or not header.flags & const.RD or header.qdcount != 1:
        return None
    try:
        question = question_of(message)
        edns, tsig_at = extras_of(message, header, question.end)
    except FormatError:
        return None
    if question.cls != const.IN or question.type in NOT_FORWARDED or tsig_at is not None:
        return None
    if edns and edns.version:
        return None
    room = const.TCP_MAXIMUM
    if transport == "udp":
        room = min(max(edns.payload, const.UDP_MINIMUM), const.UDP_PAYLOAD) if edns else const.UDP_MINIMUM
    return Client(message, question, edns, room)
