"""What the responders leave to those who know the client: AXFR, IXFR, and every query with a TSIG.

A transfer is an iterator of messages: each step does a slice of the work, so whoever sends them lets queries
have their turn in between, and takes the next when there is room for it.
"""

import asyncio
import ipaddress
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

import dns.exception
import dns.message
import dns.rdatatype
import dns.rdtypes.ANY.SOA

from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Transport
from dnsserver.handle import Response
from dnsserver.transfer.history import Delta, Journal
from dnsserver.transfer.messages import Head, Sign, messages, soa
from dnsserver.transfer.tsig import Keys, Signature, verified
from dnsserver.wire import const
from dnsserver.wire.message import extras_of, header_of, question_of
from dnsserver.wire.name import FormatError, Name, to_text
from dnsserver.zone.rrset import RRset
from dnsserver.zone.zone import Zone

log = logging.getLogger("dnsserver.transfer")

MAX_TRANSFERS: Final = 32
"""At once; one more is answered SERVFAIL."""

MAX_UDP_RECORDS: Final = 64
"""RRsets in an IXFR that may still fit a datagram."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Records = Iterator[tuple[Name, RRset] | None]


class Peer(NamedTuple):
    """Who may transfer a zone."""

    network: Network
    key: Name | None = None
    """The key that must sign the query; None takes unsigned ones too."""


class Served(NamedTuple):
    """A zone that some may transfer."""

    zone: Zone
    journal: Journal
    allow: Sequence[Peer]

    def allows(self, client: bytes, key: Name | None) -> bool:
        address = ipaddress.ip_address(client)
        return any(address in peer.network and peer.key in (None, key) for peer in self.allow)


class _Request(NamedTuple):
    head: Head
    responder: Responder
    client: bytes
    """The octets of its address."""
    key: Name | None
    signature: Signature | None
    sign: Sign


class Transfers:
    """Answers by address and key. `clock` gives the seconds since 1970."""

    def __init__(
        self,
        served: Mapping[Name, Served],
        keys: Keys,
        responders: Mapping[Transport, Responder],
        *,
        clock: Callable[[], float],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._served, self._keys, self._responders = served, keys, responders
        self._clock, self._on_fault = clock, on_fault
        self._active = 0
        self.idle = asyncio.Event()
        """Set while no transfer is under way."""
        self.idle.set()
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        """Transfers asked for, by zone ("" for one not served so), kind and what became of them."""

    def over_udp(self, query: bytes, address: bytes, port: int) -> Response:
        """Return the response to a datagram that the responder had none for; None if it gets none."""
        return self._respond(query, address, "udp")

    def over_tcp(self, query: bytes, address: bytes, port: int) -> Response:
        """Return the response, or the messages of one: empty octets among them are pauses."""
        return self._respond(query, address, "tcp")

    def _respond(self, query: bytes, client: bytes, transport: Transport) -> Response:
        header = header_of(query)
        if header is None:
            return None
        responder = self._responders[transport]
        try:
            question = question_of(query)
            edns, tsig_at = extras_of(query, header, question.end)
            key, signature = None, None
            if tsig_at is not None:
                rcode, bare, key, signature = verified(query, tsig_at, self._keys, int(self._clock()))
                if rcode:
                    return self._signed(responder.refuse(query, rcode), signature)
                query = bare
            if question.type not in (const.AXFR, const.IXFR):
                return self._signed(responder.slow(query, signature.octets if signature else 0), signature)

            def sign(message: bytes) -> bytes:
                return self._signed(message, signature) or b""

            head = Head(query, header, question, edns)
            return self._transfer(_Request(head, responder, client, key, signature, sign), transport)
        except FormatError:
            return None
        except Exception as error:
            self._on_fault(error)
            return responder.refuse(query, const.SERVFAIL)

    def _signed(self, message: bytes | None, signature: Signature | None) -> bytes | None:
        return signature.sign(message, int(self._clock())) if message and signature else message

    def _transfer(self, request: _Request, transport: Transport) -> Response:
        question = request.head.question
        full = question.type == const.AXFR
        served = self._served.get(question.name) if question.cls == const.IN else None
        rcode, serial = const.NOERROR, 0
        if served is None or not served.allows(request.client, request.key):
            rcode = const.REFUSED
        elif full and transport == "udp":
            rcode = const.REFUSED  # RFC 5936 §4.2 knows no AXFR over UDP
        elif not served.zone.synced or self._active >= MAX_TRANSFERS:
            rcode = const.SERVFAIL
        elif not full:
            found = _serial(request.head.query)
            rcode, serial = (const.FORMERR, 0) if found is None else (const.NOERROR, found)
        if served is None or rcode:
            self._count(served, full, "unavailable" if rcode == const.SERVFAIL else "refused")
            return self._signed(request.responder.refuse(request.head.query, rcode), request.signature)
        if transport == "udp":
            return self._datagram(served, request, serial)
        return self._stream(served, request, None if full else serial)

    def _datagram(self, served: Served, request: _Request, serial: int) -> bytes:
        """Answer an IXFR by one message: the difference, or the SOA alone where it does not fit."""
        journal, edns = served.journal, request.head.edns
        next(journal.commit(), None)
        limit = min(max(edns.payload, const.UDP_MINIMUM), const.UDP_PAYLOAD) if edns else const.UDP_MINIMUM
        is_reached = _is_reached(serial, journal.serial)
        deltas = None if is_reached else journal.deltas(serial)
        if deltas and sum(len(delta.deleted) + len(delta.added) for delta in deltas) <= MAX_UDP_RECORDS:
            records = _difference(served.zone, journal.serial, deltas)
            whole = list(filter(None, messages(request.head, records, lambda message: message)))
            spent = request.signature.octets if request.signature else 0
            if len(whole) == 1 and len(whole[0]) + spent <= limit:
                self._count(served, False, "incremental")
                return request.sign(whole[0])
        self._count(served, False, "current" if is_reached else "truncated")
        return next(messages(request.head, [soa(served.zone, journal.serial)], request.sign))

    def _stream(self, served: Served, request: _Request, serial: int | None) -> Iterator[bytes]:
        """Yield the messages of an AXFR, or of an IXFR from a serial."""
        zone, journal, outcome = served.zone, served.journal, "aborted"
        self._active += 1
        self.idle.clear()
        try:
            for _ in journal.commit():
                yield b""
            reached = journal.serial
            deltas = None if serial is None else journal.deltas(serial)
            if serial is not None and _is_reached(serial, reached):
                yield from messages(request.head, [soa(zone, reached)], request.sign)
                outcome = "current"
            elif deltas:
                yield from messages(request.head, _difference(zone, reached, deltas), request.sign)
                outcome = "incremental"
            else:
                yield from messages(request.head, _whole(served), request.sign)
                outcome = "full"
            client = ipaddress.ip_address(request.client)
            log.info("%s: to %s, %s, serial %d", to_text(zone.apex), client, outcome, reached)
        except Exception as error:
            self._on_fault(error)
            raise
        finally:
            self._active -= 1
            if not self._active:
                self.idle.set()
            self._count(served, serial is None, outcome)

    def _count(self, served: Served | None, full: bool, outcome: str) -> None:
        zone = to_text(served.zone.apex) if served else ""
        self.outcomes[zone, "axfr" if full else "ixfr", outcome] += 1


def _serial(query: bytes) -> int | None:
    """Return the serial that the client of an IXFR has, or None if it does not say (RFC 1995 §3)."""
    try:
        message = dns.message.from_wire(query, ignore_trailing=True)
    except dns.exception.DNSException:
        return None
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA and rrset.name == message.question[0].name:
            record = rrset[0]
            assert isinstance(record, dns.rdtypes.ANY.SOA.SOA)
            return int(record.serial)
    return None


def _is_reached(serial: int, ours: int) -> bool:
    """Say whether who has `serial` has all there is, or more (RFC 1982)."""
    return (serial - ours) & 0xFFFF_FFFF < 2**31


def _difference(zone: Zone, reached: int, deltas: Sequence[Delta]) -> Records:
    """Yield the records of an IXFR (RFC 1995 §4)."""
    yield soa(zone, reached)
    for delta in deltas:
        yield soa(zone, delta.old)
        yield from _paused(delta.deleted)
        yield soa(zone, delta.new)
        yield from _paused(delta.added)
    yield soa(zone, reached)


def _paused(records: Sequence[tuple[Name, RRset]]) -> Records:
    iterator = iter(records)
    while part := list(islice(iterator, 100)):
        yield from part
        yield None


def _whole(served: Served) -> Records:
    """Yield the records of an AXFR: one state of the zone, however long it takes."""
    snapshot = served.journal.snapshot()
    try:
        yield soa(served.zone, snapshot.serial)
        for part in served.journal.read(snapshot):
            if part is None:
                yield None
            else:
                name, rrsets = part
                yield from ((name, rrset) for rrset in rrsets.values())
        yield soa(served.zone, snapshot.serial)
    finally:
        served.journal.close(snapshot)
