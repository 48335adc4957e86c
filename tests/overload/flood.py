"""Floods from one address of loopback: `python -m tests.overload.flood KIND SOURCE PORT SECONDS`.

Prints how many queries, or for `connects` connections, were sent.
"""

import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Final

import dns.message

BURST: Final = 64
"""Datagrams of one system call: the kernel cuts what it is given into so many (UDP_SEGMENT)."""
BURSTS: Final = 256
"""Made beforehand, and sent over and over."""

CONNECTIONS: Final = 100

_SEGMENT: Final = 103  # UDP_SEGMENT, at the level of UDP


def query(name: str, kind: str = "A") -> bytes:
    return dns.message.make_query(name, kind, use_edns=0, payload=1232).to_wire()


def _malformed() -> bytes:
    octets = bytearray(query("www.k8s.local."))
    for _ in range(random.randint(1, 8)):
        octets[random.randrange(4, len(octets))] = random.randrange(256)
    octets[2] &= 0x7F
    return bytes(octets)


def _malformed_burst() -> list[bytes]:
    octets = random.randint(12, len(query("www.k8s.local.")))
    return [_malformed()[:octets] for _ in range(BURST)]


def _burst_of(make: Callable[[], bytes]) -> Callable[[], list[bytes]]:
    return lambda: [make() for _ in range(BURST)]


DATAGRAMS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "unique": _burst_of(lambda: query(f"{random.randbytes(8).hex()}.k8s.local.")),
    "one": _burst_of(lambda: query("www.k8s.local.")),
    "any": _burst_of(lambda: query("large.k8s.local.", "ANY")),
    "denied": _burst_of(lambda: query("www.k8s.local.", "MX")),
    "refused": _burst_of(lambda: query(f"{random.randbytes(8).hex()}.example.")),
    "search": _burst_of(lambda: query(f"{random.randbytes(8).hex()}.any.k8s.local.")),
    "malformed": _malformed_burst,
}
"""Bursts; of one, all datagrams are equally long."""


def in_one(texts: list[bytes]) -> tuple[list[bytes], list[tuple[int, int, bytes]]]:
    """Return what `sendmsg` takes to send a burst."""
    return [b"".join(texts)], [(socket.IPPROTO_UDP, _SEGMENT, struct.pack("H", len(texts[0])))]


def datagrams(make: Callable[[], list[bytes]], sock: socket.socket, seconds: float) -> int:
    """Send as many datagrams as one CPU can."""
    bursts = [in_one(make()) for _ in range(BURSTS)]
    sent, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for octets, cut in bursts:
            sock.sendmsg(octets, cut)
        sent += BURST * BURSTS
    return sent


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def streams(source: str, port: int, stack: ExitStack, count: int) -> Iterator[socket.socket]:
    """Yield connections, not blocking, as many as the server takes."""
    for _ in range(count):
        with suppress(OSError):
            sock = stack.enter_context(
                socket.create_connection(("127.0.0.1", port), 2, source_address=(source, 0))
            )
            sock.setblocking(False)
            yield sock


def connects(source: str, port: int, until: float) -> int:
    """Open connections, and keep the last so many."""
    made, kept = 0, []
    while time.monotonic() < until:
        with suppress(OSError):
            kept.append(socket.create_connection(("127.0.0.1", port), 0.5, source_address=(source, 0)))
            made += 1
        while len(kept) > CONNECTIONS:
            kept.pop(0).close()
    return made


def slow_readers(source: str, port: int, until: float) -> int:
    """Ask for much on many connections, and take nothing."""
    sent, flood = 0, framed(query("large.k8s.local.", "TXT")) * 200
    with ExitStack() as stack:
        socks = list(streams(source, port, stack, CONNECTIONS))
        while time.monotonic() < until:
            for sock in socks:
                with suppress(OSError):
                    sent += sock.send(flood) // (len(flood) // 200)
            time.sleep(0.01)
    return sent


def slow_writers(source: str, port: int, until: float) -> int:
    """Send an octet at a time on many connections."""
    sent, text = 0, framed(query("www.k8s.local."))
    with ExitStack() as stack:
        socks = list(streams(source, port, stack, CONNECTIONS))
        while time.monotonic() < until:
            for sock in socks:
                with suppress(OSError):
                    sent += sock.send(text[sent // len(socks) % len(text) :][:1])
            time.sleep(0.02)
    return sent // len(text)


def pipelined(source: str, port: int, until: float) -> int:
    """Send 50 000 queries at once on one connection, read the responses, and again."""
    sent, text = 0, framed(query("www.k8s.local.")) * 50_000
    with ExitStack() as stack:
        (sock,) = streams(source, port, stack, 1)
        left = memoryview(text)
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                octets = sock.send(left)
                sent, left = sent + octets, left[octets:] if octets < len(left) else memoryview(text)
            with suppress(BlockingIOError):
                while sock.recv(1 << 20):
                    pass
    return sent // (len(text) // 50_000)


STREAMS: Final = {
    "connects": connects,
    "slow-readers": slow_readers,
    "slow-writers": slow_writers,
    "pipelined": pipelined,
}


def main() -> None:
    kind, source, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    if kind in STREAMS:
        print(STREAMS[kind](source, port, time.monotonic() + seconds))
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", port))
        print(datagrams(DATAGRAMS[kind], sock, seconds))


if __name__ == "__main__":
    main()
