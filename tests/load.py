"""A steady load of queries upon a server, of which every answer is checked."""

import itertools
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, Self

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

Check = Callable[[dns.message.Message], bool]
"""Says whether a response is right."""

GRACE = 2.0
"""Seconds after the last query until what is not answered is lost."""


def data(response: dns.message.Message) -> set[str]:
    """Return the addresses of an answer."""
    return {item.to_text() for rrset in response.answer if rrset.rdtype == dns.rdatatype.A for item in rrset}


def is_denied(response: dns.message.Message) -> bool:
    return response.rcode() == dns.rcode.NXDOMAIN and bool(response.authority)


def has(*addresses: str) -> Check:
    return lambda response: data(response) == set(addresses)


def either(*checks: Check) -> Check:
    return lambda response: any(check(response) for check in checks)


class Live:
    """A name that gets one value after the other: right is any that was written, but none twice."""

    def __init__(self) -> None:
        self.written = self.seen = 0
        self._floor, self._from = 0, 0

    def next(self) -> str:
        """Return the address to write next. It counts as written from now on."""
        self.written += 1
        return _address(self.written)

    def is_fresh(self) -> bool:
        return self.seen == self.written

    def may_go_back(self, written: int) -> None:
        """Expect that the store has an older value again, until a newer one than ever is served."""
        self._floor, self._from = written, self.written

    def __call__(self, response: dns.message.Message) -> bool:
        values = [int.from_bytes(socket.inet_aton(address)) - _BASE for address in data(response)]
        least = self.seen if self.seen > self._from else self._floor
        if len(values) != 1 or not least <= values[0] <= self.written:
            return False
        self.seen = values[0]
        return True


_BASE = 10 << 24


def _address(number: int) -> str:
    return socket.inet_ntoa((_BASE + number).to_bytes(4))


class _Asked(NamedTuple):
    name: str
    check: Check
    query: dns.message.QueryMessage
    began: float
    sent: float
    """When the last try was."""
    tries: int
    """Those that are left."""


class Load:
    """Asks a server for all names in turn until the block ends, whether answers come or not.

    With and without EDNS, from one socket after the other. `checks` may be changed meanwhile. `{}` in a name
    is the number of the turn: a name never asked before.
    """

    def __init__(
        self,
        port: int,
        checks: Mapping[str, Check],
        *,
        rate: float = 500,
        clients: int = 8,
        tries: int = 1,
        timeout: float = 60,
        tcp: bool = False,
    ) -> None:
        """Ask `rate` times a second from so many `clients`; if told, each fifth turn over TCP.

        A query is lost after so many `tries`, each of `timeout` seconds, or in the end. What one client asks
        is answered in order.
        """
        self.checks = dict(checks)
        self.queries = self.retried = self.lost = 0
        """Queries that were answered or lost, tries beside the first, and queries lost."""
        self.wrong: list[str] = []
        """What was answered wrongly, as text, the first hundred."""
        self.slowest = 0.0
        """Seconds that the slowest response took."""
        self._server, self._rate, self._tcp = ("127.0.0.1", port), rate, tcp
        self._tries, self._timeout = tries, timeout
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(clients)]
        for sock in self._sockets:
            sock.connect(self._server)
            sock.setblocking(False)
        self._turns = itertools.cycle(self._sockets)
        self._ids = itertools.cycle(range(1 << 16))
        self._waiting: dict[tuple[socket.socket, int], _Asked] = {}
        """By who waits and the message's id, the longest first."""
        self._late: set[tuple[socket.socket, int]] = set()
        """What is not waited for any more."""
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def answered(self) -> int:
        return self.queries - self.lost

    def reset(self) -> None:
        self.queries, self.retried, self.lost, self.wrong, self.slowest = 0, 0, 0, [], 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt.set()
        self._thread.join()
        for sock in self._sockets:
            sock.close()

    def _run(self) -> None:
        due = time.monotonic()
        for number in itertools.count():
            for name, check in list(self.checks.items()):
                self._take_until(due)
                if self._halt.is_set():
                    return self._finish()
                due += 1 / self._rate
                self._ask(name, check, number)

    def _take_until(self, due: float) -> None:
        self._take(0)
        while (left := due - time.monotonic()) > 0:
            self._take(left)

    def _finish(self) -> None:
        until = time.monotonic() + GRACE
        while self._waiting and (left := until - time.monotonic()) > 0:
            self._take(left)
        for asked in self._waiting.values():
            self._ended(asked, None)

    def _ask(self, name: str, check: Check, number: int) -> None:
        query = dns.message.make_query(name.format(number), "A", use_edns=0 if number % 2 else False)
        now = time.monotonic()
        asked = _Asked(name, check, query, now, now, self._tries)
        if self._tcp and number % 10 in (4, 9):
            self._ask_by_tcp(asked)
        else:
            self._send(asked)

    def _send(self, asked: _Asked) -> None:
        sock, asked.query.id = next(self._turns), next(self._ids)
        key = sock, asked.query.id
        self._late.discard(key)
        self._waiting[key] = asked._replace(sent=time.monotonic(), tries=asked.tries - 1)
        with suppress(OSError):  # an ICMP error of an earlier one
            sock.send(asked.query.to_wire())

    def _take(self, within: float) -> None:
        """Check what comes, for some seconds or until something has; give up what did not come in time."""
        readable, _, _ = select.select(self._sockets, [], [], min(within, 0.05))
        for sock in readable:
            with suppress(OSError):
                while True:
                    self._taken(sock, sock.recv(65_535))
        while self._waiting:
            key, asked = next(iter(self._waiting.items()))
            if time.monotonic() - asked.sent < self._timeout:
                return
            del self._waiting[key]
            self._late.add(key)
            if asked.tries:
                self.retried += 1
                self._send(asked)
            else:
                self._ended(asked, None)

    def _taken(self, sock: socket.socket, response: bytes) -> None:
        key = sock, int.from_bytes(response[:2])
        if asked := self._waiting.pop(key, None):
            self._ended(asked, response)
        elif key in self._late:
            self._late.discard(key)
        else:
            self.wrong.append(f"an answer that nobody asked for, or a second one: {response.hex()}")

    def _ask_by_tcp(self, asked: _Asked) -> None:
        while self._waiting:  # between UDP and TCP there is no order
            self._take(self._timeout)
        for left in reversed(range(asked.tries)):
            with suppress(OSError):
                return self._ended(asked, self._exchange(asked.query.to_wire()))
            self.retried += left > 0
        self._ended(asked, None)

    def _exchange(self, query: bytes) -> bytes:
        with socket.create_connection(self._server, self._timeout) as client, client.makefile("rb") as stream:
            client.sendall(len(query).to_bytes(2) + query)
            return stream.read(int.from_bytes(stream.read(2)))

    def _ended(self, asked: _Asked, response: bytes | None) -> None:
        self.queries += 1
        if response is None:
            self.lost += 1
            return
        self.slowest = max(self.slowest, time.monotonic() - asked.began)
        try:
            parsed = dns.message.from_wire(response)
            right = (
                asked.query.is_response(parsed) and parsed.edns == asked.query.edns and asked.check(parsed)
            )
            text = " ".join(f"{asked.name}: {parsed}".split())
        except dns.exception.DNSException as error:
            right, text = False, f"{asked.name}: {error!r} {response.hex()}"
        # Its check may have been replaced while it was on its way.
        if not right and self.checks.get(asked.name) is asked.check and len(self.wrong) < 100:
            self.wrong.append(text)
