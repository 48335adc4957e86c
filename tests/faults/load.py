"""A steady load of queries upon a server, of which every answer is checked."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Self

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

Check = Callable[[dns.message.Message], bool]
"""Says whether a response is right."""

PAUSE = 0.003
"""Seconds between two queries."""

TIMEOUT = 1.0
"""Seconds after which a response is lost."""


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


class Load(threading.Thread):
    """Asks a server for all names in turn until the block ends: with and without EDNS, at times over TCP.

    `checks` may be changed meanwhile. `{}` in a name is the number of the turn: a name never asked before.
    """

    def __init__(self, port: int, checks: Mapping[str, Check], *, tries: int = 1) -> None:
        """A query is lost after so many `tries`, each of TIMEOUT."""
        super().__init__(daemon=True)
        self.checks = dict(checks)
        self.queries = self.retried = self.lost = 0
        self.wrong: list[str] = []
        """What was answered wrongly, as text, the first hundred."""
        self.slowest = 0.0
        """Seconds that the slowest response took."""
        self._port, self._tries, self._halt = port, tries, threading.Event()

    def reset(self) -> None:
        self.queries, self.retried, self.lost, self.wrong, self.slowest = 0, 0, 0, [], 0.0

    def run(self) -> None:
        for number in itertools.count():
            for name, check in list(self.checks.items()):
                if self._halt.wait(PAUSE):
                    return
                self._ask(name, check, number)

    def _ask(self, name: str, check: Check, number: int) -> None:
        query = dns.message.make_query(name.format(number), "A", use_edns=0 if number % 2 else False)
        began = time.monotonic()
        response = self._answer(query.to_wire(), tcp=number % 10 in (4, 9))
        self.queries += 1
        if response is None:
            self.lost += 1
            return
        self.slowest = max(self.slowest, time.monotonic() - began)
        try:
            parsed = dns.message.from_wire(response)
            right = query.is_response(parsed) and parsed.edns == query.edns and check(parsed)
            text = " ".join(f"{name}: {parsed}".split())
        except dns.exception.DNSException as error:
            right, text = False, f"{name}: {error!r} {response.hex()}"
        # Its check may have been replaced while it was on its way.
        if not right and self.checks.get(name) is check and len(self.wrong) < 100:
            self.wrong.append(text)

    def _answer(self, query: bytes, *, tcp: bool) -> bytes | None:
        """Return the response; None if it is lost."""
        for left in reversed(range(self._tries)):
            try:
                return self._exchange(query, tcp)
            except OSError:
                self.retried += left > 0
        return None

    def _exchange(self, query: bytes, tcp: bool) -> bytes:
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as client:
            client.settimeout(TIMEOUT)
            client.connect(("127.0.0.1", self._port))
            if not tcp:
                client.send(query)
                return client.recv(65_535)
            client.sendall(len(query).to_bytes(2) + query)
            with client.makefile("rb") as stream:
                return stream.read(int.from_bytes(stream.read(2)))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt.set()
        self.join()
