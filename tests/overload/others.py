"""Who else asks during a flood, over UDP and TCP, at a steady pace; and what that was like."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.overload.flood import framed, query

PACE: Final = 0.01
"""Seconds between two queries of one client."""

GRACE: Final = 1.0
"""Seconds that a response may take."""


class Service(NamedTuple):
    """What one client got."""

    sent: int
    waits: list[float]
    """Seconds until each response."""

    @property
    def loss(self) -> float:
        return 1 - len(self.waits) / self.sent

    def wait(self, share: float) -> float:
        """Return what this share of the responses came within."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(share * len(self.waits)))]


def over_udp(port: int, source: str, stop: threading.Event) -> Service:
    text, sent_at, waits = query("www.k8s.local.")[2:], {}, []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", port))
        due = time.monotonic()
        until = None
        while until is None or time.monotonic() < until:
            if until is None and stop.is_set():
                until = time.monotonic() + GRACE
            if until is None and time.monotonic() >= due:
                ident = len(sent_at) & 0xFFFF
                sent_at[ident] = time.monotonic()
                sock.send(ident.to_bytes(2, "big") + text)
                due += PACE
            sock.settimeout(max(0.0005, min(PACE, due - time.monotonic())))
            with suppress(TimeoutError, ConnectionError):
                reply = sock.recv(4096)
                waits.append(time.monotonic() - sent_at[int.from_bytes(reply[:2], "big")])
    return Service(len(sent_at), waits)


def over_tcp(port: int, source: str, stop: threading.Event) -> Service:
    text, sent, waits = framed(query("www.k8s.local.")), 0, []
    with socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0)) as sock:
        file = sock.makefile("rb")
        while not stop.is_set():
            began = time.monotonic()
            sent += 1
            try:
                sock.sendall(text)
                head = file.read(2)
                if not head or not file.read(int.from_bytes(head, "big")):
                    break
            except OSError:
                break
            waits.append(time.monotonic() - began)
            stop.wait(PACE)
    return Service(sent, waits)


def resident(pid: int) -> int:
    """Return the octets of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


class Watch:
    """Clients of a server, and its memory, from `start` to `stop`."""

    def __init__(self, port: int, pid: int) -> None:
        self._stop = threading.Event()
        self._pid = pid
        self.udp = self.tcp = Service(0, [])
        self.memory = resident(pid)
        """Octets, the most there were."""
        self._threads = [
            threading.Thread(target=self._serve, args=("udp", over_udp, port, "127.0.3.1")),
            threading.Thread(target=self._serve, args=("tcp", over_tcp, port, "127.0.3.2")),
            threading.Thread(target=self._measure),
        ]

    def _serve(self, name: str, ask: Callable[..., Service], *arguments: Any) -> None:
        setattr(self, name, ask(*arguments, self._stop))

    def _measure(self) -> None:
        while not self._stop.wait(0.05):
            self.memory = max(self.memory, resident(self._pid))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def watching(port: int, pid: int):
    watch = Watch(port, pid)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()
