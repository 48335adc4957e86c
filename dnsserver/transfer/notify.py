"""NOTIFY (RFC 1996): when a zone's serial has moved, its secondaries are told until each has answered."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Sequence
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig

from dnsserver.transfer.history import Journal
from dnsserver.transfer.messages import soa
from dnsserver.transfer.tsig import dnspython_name
from dnsserver.transport.sockets import Address
from dnsserver.wire.name import to_text
from dnsserver.zone.zone import Zone

log = logging.getLogger("dnsserver.transfer")

GATHER: Final = 0.05
"""Seconds between a change after a quiet time and its NOTIFY, so that what comes together is told once."""

INTERVAL: Final = 1.0
"""Seconds between two commits of a zone, at least, and so between two NOTIFYs."""

FIRST_RETRY: Final = 1.0
MAX_RETRY: Final = 60.0
"""Seconds until a NOTIFY without an answer is sent again; doubled from the first to the greatest."""


class Secondary:
    """One that is told of one zone's changes. `counts` takes `sent` and `failed`."""

    def __init__(
        self, zone: Zone, address: Address, key: dns.tsig.Key | None, counts: Counter[tuple[str, str]]
    ) -> None:
        self._zone, self._address, self._key, self._counts = zone, address, key, counts
        self._loop = asyncio.get_running_loop()
        self._label = to_text(zone.apex)
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._query: dns.message.Message | None = None
        self._serial = 0
        self._delay = FIRST_RETRY
        self._silent = False

    def tell(self, serial: int) -> None:
        """Send a NOTIFY of a serial, and again until it is answered; an earlier one is forgotten."""
        self._serial, self._delay = serial, FIRST_RETRY
        self._send()

    def close(self) -> None:
        """Stop telling."""
        if self._timer:
            self._timer.cancel()
        if self._socket:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        self._timer = self._socket = None

    def _send(self) -> None:
        self.close()
        self._query = query = self._message()
        # A socket of its own for each attempt: connected, so that nobody else's answer is taken, and at a
        # port that cannot be guessed.
        try:
            self._socket = socket.socket(self._address.family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.connect(tuple(self._address))
            self._loop.add_reader(self._socket.fileno(), self._answered)
            self._socket.send(query.to_wire())
        except OSError as error:
            log.debug("NOTIFY to %s: %s", self._address, error)
        self._counts[self._label, "sent"] += 1
        self._timer = self._loop.call_later(self._delay, self._lost)

    def _message(self) -> dns.message.Message:
        apex = dnspython_name(self._zone.apex)
        query = dns.message.make_query(apex, dns.rdatatype.SOA, flags=dns.flags.AA)
        query.set_opcode(dns.opcode.NOTIFY)
        _, rrset = soa(self._zone, self._serial)
        rdata = dns.rdata.from_wire("IN", "SOA", rrset.rdatas[0], 0, len(rrset.rdatas[0]))
        query.answer.append(dns.rrset.from_rdata(apex, rrset.ttl, rdata))
        if self._key:
            query.use_tsig(self._key)
        return query

    def _answered(self) -> None:
        query = self._query
        try:
            assert query
            assert self._socket
            response = dns.message.from_wire(
                self._socket.recv(65_535),
                keyring=self._key or False,
                request_mac=query.mac if self._key else b"",
            )
        except (OSError, dns.exception.DNSException) as error:
            # Nobody listens there, or it is no answer of the secondary's: the retry is near.
            log.debug("NOTIFY to %s: %r", self._address, error)
            return
        if not query.is_response(response) or (self._key and not response.had_tsig):
            return
        self.close()
        if response.rcode() != dns.rcode.NOERROR:
            self._counts[self._label, "failed"] += 1
            rcode = dns.rcode.to_text(response.rcode())
            log.warning("%s: %s answers NOTIFY by %s", self._label, self._address, rcode)
        elif self._silent:
            log.info("%s: %s answers NOTIFY again", self._label, self._address)
        self._silent = False

    def _lost(self) -> None:
        self._counts[self._label, "failed"] += 1
        if not self._silent:
            log.warning("%s: %s does not answer NOTIFY, retrying", self._label, self._address)
        self._silent = True
        self._delay = min(self._delay * 2, MAX_RETRY)
        self._send()


class Announcer:
    """Commits what changes in a zone, at most every INTERVAL, and tells the secondaries."""

    def __init__(self, zone: Zone, journal: Journal, secondaries: Sequence[Secondary]) -> None:
        self._zone, self._journal, self._secondaries = zone, journal, secondaries
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = None
        self._earliest = 0.0
        self._told: int | None = None

    def start(self) -> None:
        self._journal.on_moved = self._moved
        if self._zone.synced:
            self._moved()

    def close(self) -> None:
        self._journal.on_moved = lambda: None
        if self._handle:
            self._handle.cancel()
        for secondary in self._secondaries:
            secondary.close()

    def _moved(self) -> None:
        if self._handle is None:
            at = max(self._loop.time() + GATHER, self._earliest)
            self._handle = self._loop.call_at(at, self._begin)

    def _begin(self) -> None:
        self._earliest = self._loop.time() + INTERVAL
        self._steps = self._journal.commit()
        self._step()

    def _step(self) -> None:
        if next(self._steps, self) is not self:
            self._handle = self._loop.call_soon(self._step)
            return
        self._handle = None
        if self._journal.serial != self._told:
            self._told = self._journal.serial
            for secondary in self._secondaries:
                secondary.tell(self._told)
        self._journal.moved()  # what came while this commit was under way
