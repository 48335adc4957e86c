"""A steady load of queries on loopback that checks every answer and counts those that do not come."""

import select
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

import dns.message

GRACE = 2.0
"""Seconds after the last query until an answer counts as lost."""


class Load:
    """Asks the names in turn for their address, `rate` a second, while its `with` block runs.

    Each query is sent once, from one of `clients` sockets. `expected` has the addresses that a name may have,
    empty for a name that must be denied.
    """

    def __init__(
        self, port: int, expected: Mapping[str, Sequence[str]], *, rate: float = 500, clients: int = 8
    ) -> None:
        self.expected = dict(expected)
        self.sent = self.answered = 0
        self.wrong: list[str] = []
        self.slowest = 0.0
        """Seconds."""
        self._rate = rate
        self._names = list(expected)
        self._queries = [dns.message.make_query(name, "A", id=0).to_wire()[2:] for name in self._names]
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(clients)]
        for sock in self._sockets:
            sock.connect(("127.0.0.1", port))
            sock.setblocking(False)
        self._waiting: dict[tuple[socket.socket, int], tuple[int, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def lost(self) -> int:
        """How many queries have no answer; to be read after the block."""
        return len(self._waiting)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for sock in self._sockets:
            sock.close()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            if now - began >= self.sent / self._rate:
                self._ask(now)
            else:
                self._take(self.sent / self._rate - (now - began))
        deadline = time.monotonic() + GRACE
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            self._take(left)

    def _ask(self, now: float) -> None:
        sock = self._sockets[self.sent % len(self._sockets)]
        number = self.sent % len(self._names)
        ident = self.sent // len(self._sockets) & 0xFFFF
        with suppress(OSError):  # an ICMP error of an earlier one; it counts as lost
            self._waiting[sock, ident] = number, now
            sock.send(ident.to_bytes(2, "big") + self._queries[number])
        self.sent += 1

    def _take(self, within: float) -> None:
        readable, _, _ = select.select(self._sockets, [], [], within)
        for sock in readable:
            with suppress(OSError):
                while True:
                    self._check(sock, sock.recv(4096))

    def _check(self, sock: socket.socket, reply: bytes) -> None:
        asked = self._waiting.pop((sock, int.from_bytes(reply[:2], "big")), None)
        if asked is None:
            self.wrong.append("an answer that nobody asked for, or a second one")
            return
        number, sent_at = asked
        self.answered += 1
        self.slowest = max(self.slowest, time.monotonic() - sent_at)
        name = self._names[number]
        rcode = reply[3] & 15
        found = [socket.inet_ntoa(reply[-4:])] if int.from_bytes(reply[6:8], "big") else []
        if rcode != (0 if self.expected[name] else 3) or not set(found) <= set(self.expected[name]):
            self.wrong.append(f"{name}: rcode {rcode}, {found}")
