"""Durations and sizes of queries over UDP, from samples: counting each would cost what answering costs.

One turn of the batch loop in each INTERVAL is timed, and the last batch of it measured. It stands for all
queries since the one before, so the counts are those of all queries, and quantiles those of the samples.
"""

import asyncio
import math
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from dnsserver.transport.mmsg import Batch

INTERVAL: Final = 0.1
"""Seconds from one sample to the next, at least; there is none without a query."""

SECONDS: Final = (*(0.00025 * 2**power for power in range(16)), math.inf)
OCTETS: Final = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000, math.inf)
"""Upper ends of buckets; those of CoreDNS."""


class Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds: Final = bounds
        self.counts = [0.0] * len(bounds)
        """Of each bucket by itself."""
        self.sum = 0.0

    def add(self, value: float, count: float) -> None:
        """Count a value so many times, which need not be whole."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.sum += value * count


class Sampler:
    """Reads a socket's batches in the place of their `ready`, from time to time."""

    def __init__(self, fd: int, batch: Batch) -> None:
        self._fd, self._batch = fd, batch
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._seen = 0
        self._ready: Callable[[], object] = batch.ready
        self.seconds = Histogram(SECONDS)
        """A query's part of the time that its turn took, in the kernel and here; not what it waited."""
        self.query_octets = Histogram(OCTETS)
        self.response_octets = Histogram(OCTETS)
        self._arm()

    def close(self) -> None:
        """Read no more."""
        if self._timer:
            self._timer.cancel()

    def read_by(self, ready: Callable[[], object]) -> None:
        """Have something that reads the batch by its `ready` called in the place of that."""
        self._ready = ready
        self.close()
        self._arm()

    def _arm(self) -> None:
        self._loop.add_reader(self._fd, self._sample)

    def _sample(self) -> None:
        batch = self._batch
        before, began = batch.taken, time.perf_counter()
        self._ready()
        took, count = time.perf_counter() - began, batch.taken - before
        if not count:
            return
        since, self._seen = batch.taken - self._seen, batch.taken
        self.seconds.add(took / count, since)
        queries, responses = batch.last_octets()
        for octets in queries:
            self.query_octets.add(octets, since / len(queries))
        for octets in responses:
            self.response_octets.add(octets, since / len(queries))
        self._loop.add_reader(self._fd, self._ready)
        self._timer = self._loop.call_later(INTERVAL, self._arm)
