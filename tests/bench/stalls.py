"""How long a server keeps queries waiting: the latencies of a steady trickle of them, from another process.

A response is stamped by the kernel as the server sends it (SO_TIMESTAMPNS; on loopback within the server's
own system call), so the time in which who asks waits for a CPU does not count. And who asks goes before all
others on its CPU, where the system permits that (SCHED_FIFO).

What is left is still the machine's as well: other programs on the server's CPU, or a hypervisor that takes it
away. So it is also told how much CPU time the server spent while the query waited: that is its own part.
"""

import contextlib
import multiprocessing as mp
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import dns.message

from tests.bench.servers import LOAD_CPU, cpu_clock

RATE: Final = 500
"""Queries a second."""

PRIORITY: Final = 10
"""Of 1 to 99 under SCHED_FIFO; any is above all that is not."""

_TIMESTAMPNS: Final = 35  # SO_TIMESTAMPNS_OLD; Python has no name for it
_TIMESPEC: Final = struct.Struct("@qq")


def pin(pid: int, cpu: int) -> None:
    """Let a process, with the threads that it has and will have, run on one CPU."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {cpu})


@contextmanager
def starting_on(cpu: int) -> Iterator[None]:
    """Let what is started in the block run on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def going_first() -> Iterator[None]:
    """Let this thread go before all others on its CPU, where that is permitted."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class Asker:
    """Asks one server, one query at a time, and takes the time. To be closed."""

    def __init__(self, port: int, name: str) -> None:
        self._query = dns.message.make_query(name, "A", id=0).to_wire()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(5)

    def ask(self) -> tuple[bytes, int, float]:
        """Return a response, when it was sent, in nanoseconds since 1970, and the seconds until then."""
        began = time.clock_gettime_ns(time.CLOCK_REALTIME)
        self._socket.send(self._query)
        response, [(_, _, stamp)], _, _ = self._socket.recvmsg(512, 64)
        seconds, nanoseconds = _TIMESPEC.unpack(stamp)
        sent = seconds * 10**9 + nanoseconds
        return response, sent, (sent - began) / 1e9

    def close(self) -> None:
        self._socket.close()


def _trickle(port: int, name: str, told: Connection, results: Connection) -> None:
    latencies: list[float] = []
    own: list[float] = []
    clock = time.CLOCK_PROCESS_CPUTIME_ID
    with starting_on(LOAD_CPU), going_first(), contextlib.closing(Asker(port, name)) as asker:
        results.send(None)
        while True:
            if told.poll(1 / RATE):
                pid = told.recv()
                if not pid:
                    break
                clock = cpu_clock(pid)
            before = time.clock_gettime(clock)
            with contextlib.suppress(ConnectionRefusedError):  # nobody listens yet
                latencies.append(asker.ask()[2])
                own.append(time.clock_gettime(clock) - before)
    results.send((latencies, own))


@contextmanager
def stalls(label: str, port: int, name: str) -> Iterator[Callable[[int], None]]:
    """Print the latencies of queries for a name while the block runs, from when there is a server on.

    It is to be told the server's process.
    """
    receiver, teller = mp.Pipe(duplex=False)
    results, sender = mp.Pipe(duplex=False)
    process = mp.get_context("spawn").Process(target=_trickle, args=(port, name, receiver, sender))
    process.start()
    results.recv()  # it begins
    try:
        yield teller.send
    finally:
        teller.send(0)
        latencies, own = results.recv()
        process.join()
    print(f"{label}: {len(latencies)} queries, ms: {_shares(latencies)}", flush=True)
    print(f"    the server's CPU time in them: {_shares(own)}", flush=True)


def _shares(seconds: Sequence[float]) -> str:
    found = sorted(seconds)
    at = {share: found[int((len(found) - 1) * share)] for share in (0.5, 0.99, 0.999)}
    told = ", ".join(f"p{share * 100:g} {each * 1e3:.1f}" for share, each in at.items())
    return f"{told}, max {found[-1] * 1e3:.1f}"
