"""What a second worker brings: `python -m tests.bench.workers`.

On a machine of two cores a load that runs leaves no two for the workers. So it does not run: the workers are
stopped (SIGSTOP), queries are queued in their sockets, as many for each worker, and only then they go on,
each on a core of its own, both at once, in full batches. The CPU time of all processes until the last
response, the parent's too, divided by the responses, is that of a response. What the cores do to each other
is in it.

Cores ÷ CPU time of a response is what as many workers give; that of two ÷ that of one is the gain, the median
of rounds in which servers with one worker and with two are asked in turn. Shares are of all responses, by
worker, as `/metrics` has them.
"""

import argparse
import os
import re
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.peers import Dnsserver
from tests.bench.run import filled_etcd
from tests.bench.servers import LOAD_CPU, SERVER_CPU, START_TIMEOUT, BenchError
from tests.bench.workload import PAGES, SMALL, query
from tests.programs import eventually
from tools.embedded_etcd import EtcdNotStarted

WANTED: Final = 1.9
"""Times what one worker gives that two must give."""

CLIENTS: Final = 64
"""Sockets: the kernel divides them among the workers by address and port."""

QUEUED: Final = 4
"""Queries of a client for each worker; all of one worker's are below what its socket holds."""

TIMEOUT: Final = 10.0
"""Seconds until a query without a response is lost, and until a process has stopped."""

PAUSE: Final = 0.01
"""Seconds between two looks for responses: some times what they take, for who looks needs a core."""

_SHARE: Final = re.compile(r'^dnsserver_worker_responses_total\{worker="\d+"\} (\S+)$', re.MULTILINE)


class Workers(Dnsserver):
    """Ours with some workers."""

    def __init__(self, directory: Path, etcd: str, workers: int) -> None:
        directory /= str(workers)
        directory.mkdir()
        pages = f"metrics: {{listen: {PAGES}}}\nready: {{listen: {PAGES}}}\n"
        self.count = workers
        super().__init__(directory, SMALL, etcd, f"workers: {workers}\n{pages}")

    def is_ready(self) -> bool:
        """Say whether all of them answer."""
        try:
            return bool(self._page("/ready"))
        except urllib.error.URLError:
            return False

    def shares(self) -> list[float]:
        """Return how many responses each has given; nothing for one, which has no parent."""
        return [float(found) for found in _SHARE.findall(self._page("/metrics"))]

    def workers(self) -> list[int]:
        return self.processes()[-self.count :]

    def place(self) -> None:
        """Put each of them on a core of its own."""
        for pid, cpu in zip(self.workers(), (SERVER_CPU, LOAD_CPU), strict=False):
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {cpu})

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have none of them run until the block ends."""
        pids = self.workers()
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            eventually(lambda: all(_state(pid) == "T" for pid in pids), TIMEOUT)
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.pages}{path}", timeout=10) as reply:
            return str(reply.read().decode())


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


class Clients:
    """Sockets that ask a server for the hosts of its world, one after the other."""

    def __init__(self, server: Workers) -> None:
        self._server = server
        self._queries = cycle(query(f"{SMALL.host(n)}.{SMALL.zone}") for n in range(SMALL.hosts))
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(CLIENTS)]
        for client in self._sockets:
            client.connect(("127.0.0.1", server.port))
            client.setblocking(False)

    def cost(self) -> float:
        """Return microseconds of CPU time for a response, of as many for each worker.

        Raises:
            BenchError: there were queries without a response.
        """
        asked = CLIENTS * QUEUED * self._server.count
        with self._server.stopped():
            for client in islice(cycle(self._sockets), asked):
                client.send(next(self._queries))
            before = self._server.cpu_seconds()
        missing, deadline = asked, time.monotonic() + TIMEOUT
        while missing:
            if time.monotonic() > deadline:
                raise BenchError(f"{missing} queries without a response")
            time.sleep(PAUSE)
            missing -= sum(map(_received, self._sockets))
        return (self._server.cpu_seconds() - before) / asked * 1e6

    def close(self) -> None:
        for client in self._sockets:
            client.close()


def _received(client: socket.socket) -> int:
    """Take what is there, and return how many they were."""
    for number in count():
        try:
            client.recv(512)
        except BlockingIOError:
            return number
    raise AssertionError


def report(one: Sequence[float], two: Sequence[float], shares: Sequence[float]) -> str:
    """Return what was measured, as text: CPU times by round, responses by worker."""
    gain = median(2 * alone / both for alone, both in zip(one, two, strict=True))
    lines = [f"{'workers':<9}{'CPU us':>7}{'responses/s':>13}{'x one':>7}"]
    for workers, cost, times in ((1, median(one), 1.0), (2, median(two), gain)):
        lines.append(f"{workers:<9}{cost:>7.2f}{workers / cost * 1e6:>13,.0f}{times:>7.2f}")
    told = ", ".join(f"{share / sum(shares):.0%}" for share in shares)
    return "\n".join([*lines, f"wanted: {WANTED:.2f}; shares of the two workers: {told}"])


def run(rounds: int) -> str:
    """Measure, and return the report.

    Raises:
        BenchError, EtcdNotStarted: it cannot be measured.
    """
    with (
        tempfile.TemporaryDirectory(prefix="dns-bench-") as path,
        filled_etcd(SMALL) as etcd,
        Workers(Path(path), etcd, 1) as one,
        Workers(Path(path), etcd, 2) as two,
        closing(Clients(one)) as of_one,
        closing(Clients(two)) as of_two,
    ):
        for server, clients in ((one, of_one), (two, of_two)):
            eventually(server.is_ready, START_TIMEOUT)
            server.place()
            for _ in range(4 * SMALL.hosts // (CLIENTS * QUEUED)):
                clients.cost()  # answers are compiled at first use, by each worker
        costs = [(of_one.cost(), of_two.cost()) for _ in range(rounds)]
        return report(*zip(*costs, strict=True), two.shares())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.workers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=300, help="of each server (default: %(default)s)")
    arguments = parser.parse_args(argv)
    os.sched_setaffinity(0, {LOAD_CPU})
    try:
        print(run(arguments.rounds))
    except (BenchError, EtcdNotStarted) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
