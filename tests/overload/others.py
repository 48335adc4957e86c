"""Who else asks during a flood, over UDP and TCP, at a steady pace; and what that was like."""

import socket
import struct
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.overload.flood import framed, query

PACE: Final = 0.005
"""Seconds between two queries of one client."""

GRACE: Final = 1.0
"""Seconds that a response may take."""

_STAMP: Final = 35  # SO_TIMESTAMPNS


class Service(NamedTuple):
    """What one client got. Times are seconds since 1970, as the kernel tells them."""

    answered: list[tuple[float, float]]
    """When it asked, and when the response arrived."""
    lost: list[float]
    """When it asked and got nothing."""

    def between(self, begin: float, end: float) -> "Service":
        """Return what it got of what it asked in this time."""
        return Service(
            [pair for pair in self.answered if begin <= pair[0] < end],
            [at for at in self.lost if begin <= at < end],
        )

    @property
    def loss(self) -> float:
        return len(self.lost) / (len(self.lost) + len(self.answered))

    @property
    def waits(self) -> list[float]:
        return [end - begin for begin, end in self.answered]


def quantile(values: list[float], share: float) -> float:
    """Return what this share of the values is not above; 0 where there are none."""
    values = values or [0.0]
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def over_udp(port: int, source: str, stop: threading.Event) -> Service:
    text, asked, answered = query("www.k8s.local.")[2:], {}, []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # When this thread has its turn is no matter of the server's: not after a send, nor for a response.
        sock.setsockopt(socket.SOL_SOCKET, _STAMP, 1)
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", port))
        number, due = 0, time.monotonic()
        until = None
        while until is None or time.monotonic() < until:
            if until is None and stop.is_set():
                until = time.monotonic() + GRACE
            if until is None and time.monotonic() >= due:
                number = number + 1 & 0xFFFF
                sock.send(number.to_bytes(2, "big") + text)
                asked[number] = time.time()
                due += PACE
            sock.settimeout(max(0.0005, min(PACE, due - time.monotonic())))
            with suppress(TimeoutError, ConnectionError):
                reply, ((_, _, stamp),), _, _ = sock.recvmsg(4096, 64)
                seconds, nanoseconds = struct.unpack("qq", stamp)
                arrived = seconds + nanoseconds * 1e-9
                answered.append((asked.pop(int.from_bytes(reply[:2], "big")), arrived))
    return Service(answered, list(asked.values()))


def over_tcp(port: int, source: str, stop: threading.Event) -> Service:
    text, answered, began = framed(query("www.k8s.local.")), [], 0.0
    with socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0)) as sock:
        file = sock.makefile("rb")
        while not stop.is_set():
            began = time.time()
            try:
                sock.sendall(text)
                head = file.read(2)
                if not head or not file.read(int.from_bytes(head, "big")):
                    return Service(answered, [began])
            except OSError:
                return Service(answered, [began])
            answered.append((began, time.time()))
            stop.wait(PACE)
    return Service(answered, [])


def resident(pid: int) -> int:
    """Return the octets of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def stalled(pid: int) -> float:
    """Return for how many seconds a process could have run and others were let."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) * 1e-9


class Watch:
    """Clients of a server, its memory and its CPU, from `start` to `stop`."""

    def __init__(self, port: int, pid: int) -> None:
        self._stop = threading.Event()
        self._pid = pid
        self.udp = self.tcp = Service([], [])
        self.memory = resident(pid)
        """Octets, the most there were."""
        self._stalls = [(time.time(), stalled(pid))]
        self._threads = [
            threading.Thread(target=self._serve, args=("udp", over_udp, port, "127.0.3.1")),
            threading.Thread(target=self._serve, args=("tcp", over_tcp, port, "127.0.3.2")),
            threading.Thread(target=self._measure),
        ]

    def waits(self, service: Service) -> list[float]:
        """Return the seconds until each response, without those in which the server had no CPU."""
        times, total = zip(*self._stalls, strict=True)
        last = len(times) - 1

        def stall(begin: float, end: float) -> float:
            return total[min(bisect_left(times, end), last)] - total[bisect_right(times, begin) - 1]

        return [end - begin - stall(begin, end) for begin, end in service.answered]

    def _serve(self, name: str, ask: Callable[..., Service], *arguments: Any) -> None:
        setattr(self, name, ask(*arguments, self._stop))

    def _measure(self) -> None:
        while not self._stop.wait(0.005):
            self.memory = max(self.memory, resident(self._pid))
            self._stalls.append((time.time(), stalled(self._pid)))

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
