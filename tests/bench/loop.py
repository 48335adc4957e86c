"""What a query costs in the batch loop, without its system calls: `python -m tests.bench.loop`.

Warm: the same batch again and again, the least of many. Cold: batches of different names, asked for in
another order than they were first, and other memory is read between two of them, as the kernel does: the
median.
"""

import random
import socket
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from dnsserver.answer.respond import Responder
from dnsserver.handle import nothing
from dnsserver.skydns.key import Key
from dnsserver.transport import mmsg
from tests.bench.workload import MIXES, PREFIX, SMALL, Mix
from tests.dnsserver.support import filled, responder

QUERIES: Final = mmsg.BATCH - 1
"""Of a batch: what a turn of the loop takes when no more are there."""

TIMES: Final = 3000
"""A batch is answered, when warm."""

PASSES: Final = 10
"""All batches are answered, when cold."""

OTHER: Final = 300 << 10
"""Octets read between batches: about what the kernel touches of its own."""


class Loop:
    """A socket's batch loop, given its datagrams."""

    def __init__(self, answering: Responder) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            self._batch = mmsg.Batch(sock, answering, nothing)
        self._count = 0
        self._batch._receive = lambda *_: self._count
        self._batch._send = lambda fd, at, count, flags: count

    def sample(self, datagrams: Sequence[bytes]) -> int:
        """Return the nanoseconds of CPU time that a batch takes, of QUERIES at most."""
        self._count = len(datagrams)
        for k, datagram in enumerate(datagrams):
            self._batch._box[k * mmsg.SLOT : k * mmsg.SLOT + len(datagram)] = datagram
            self._batch._in_octets[k] = len(datagram)
        began = time.thread_time_ns()
        self._batch.ready()
        return time.thread_time_ns() - began


def _measured(answering: Responder, mix: Mix) -> tuple[float, float]:
    """Return nanoseconds for a query, warm and cold."""
    loop, other = Loop(answering), bytearray(OTHER)
    queries = [framed[2:] for framed in mix.queries()]
    for query in sorted(queries):
        answering.respond(query)
    warm = min(loop.sample(queries[:QUERIES]) for _ in range(TIMES))
    random.Random(mix.name).shuffle(queries)
    cold = []
    for start in list(range(0, len(queries) - QUERIES, QUERIES)) * PASSES:
        other.count(1)
        cold.append(loop.sample(queries[start : start + QUERIES]))
    return warm / QUERIES, median(cold) / QUERIES


def _records() -> Iterator[tuple[str, bytes]]:
    for key, value in SMALL.etcd_records():
        yield bytes(Key(key)).decode().removeprefix(f"{PREFIX}/"), value


def main() -> None:
    answering = responder(filled([{"name": f"{SMALL.zone}."}], dict(_records())))
    print(f"{'mix':<40}{'warm ns':>9}{'cold ns':>9}")
    for mix in MIXES:
        if mix.saturates and mix.world is SMALL and not (mix.settings or mix.updates):
            warm, cold = _measured(answering, mix)
            print(f"{mix.what:<40}{warm:>9.0f}{cold:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
