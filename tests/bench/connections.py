"""TCP with a connection for each query: dnsperf opens them one after the other, this opens many at once."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import Final, NamedTuple

import uvloop

from tests.bench.workload import framed, query

CLIENTS: Final = 50
"""Connections that are open at a time."""

TIMEOUT: Final = 1.0
"""Seconds for a connection, a query and its response."""


class _Client(asyncio.Protocol):
    """Asks one question and is done when its response is whole."""

    def __init__(self, message: bytes) -> None:
        self._message, self._input = message, b""
        self.response = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self._transport = transport
        transport.write(self._message)

    def data_received(self, data: bytes) -> None:
        self._input += data
        if len(self._input) >= 2 + int.from_bytes(self._input[:2], "big"):
            self._transport.close()
            if not self.response.done():
                self.response.set_result(self._input[2:])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.response.done():
            self.response.set_exception(exc or EOFError())


class Outcome(NamedTuple):
    octets: list[int]
    """Of each response."""
    times: list[float]
    """Milliseconds from the beginning of each connection to its response."""
    lost: int


def connect_and_ask(port: int, names: Sequence[str], seconds: float) -> Outcome:
    """Ask for the addresses of names, a connection each, for some seconds."""
    return uvloop.run(_ask(port, cycle(names), seconds))


async def _ask(port: int, names: Iterator[str], seconds: float) -> Outcome:
    loop = asyncio.get_running_loop()
    deadline = time.perf_counter() + seconds
    octets: list[int] = []
    times: list[float] = []
    asked = 0

    async def client() -> None:
        nonlocal asked
        while (began := time.perf_counter()) < deadline:
            message = framed(query(next(names)))
            asked += 1
            with suppress(OSError, EOFError):  # TimeoutError is an OSError
                async with asyncio.timeout(TIMEOUT):
                    _, protocol = await loop.create_connection(partial(_Client, message), "127.0.0.1", port)
                    response = await protocol.response
                if response[3] & 15 == 0 and response[7]:
                    octets.append(len(response))
                    times.append((time.perf_counter() - began) * 1e3)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
    return Outcome(octets, times, asked - len(octets))
