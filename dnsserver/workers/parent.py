"""The parent: it holds the sockets, keeps the workers running, and speaks for them all.

Each worker has a socket of its own for the datagrams of each address; the kernel gives it its share of the
clients. While a worker is away a sibling reads that socket too, until the worker is back with all records:
what was queued is answered, and a worker that never comes back costs no client.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dnsserver.config import Config
from dnsserver.ops import http
from dnsserver.ops.metrics import Metrics
from dnsserver.transport.sockets import Address, NoAddress, Sockets, listen
from dnsserver.workers.aggregate import Aggregate, packed
from dnsserver.workers.channel import Gone, Label, Message, Refused
from dnsserver.workers.process import WorkerProcess

log = logging.getLogger("dnsserver.workers")

FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 30.0
"""Seconds until a worker that ended is started again; doubled from the first to the greatest."""

GOOD: Final = 60.0
"""Seconds after which a worker that ends counts as the first that did."""

PATIENCE: Final = 2.0
"""Seconds for a worker to tell its state or its metrics; without them its last ones count."""

PULSE: Final = 5.0
HUNG: Final = 30.0
"""Seconds between two questions for a sign of life, and without one until a worker is killed."""


class Workers:
    """So many workers that serve a Config as one."""

    def __init__(self, config: Config, count: int) -> None:
        self._config, self._count = config, count
        self._sockets: dict[Address, Sockets] = {}
        self._running: dict[int, WorkerProcess] = {}
        """Started with the present configuration."""
        self._listening: dict[int, WorkerProcess] = {}
        """Those of them that answer."""
        self._lent: dict[int, int] = {}
        """Worker → the sibling that reads its sockets."""
        self._nobody = asyncio.Event()
        """Set while no worker answers."""
        self._nobody.set()
        self._turn = asyncio.Lock()
        """Held by whoever changes what workers have."""
        self._keepers: list[asyncio.Task[None]] = []
        self._told = Aggregate()
        self._own = Metrics("dnsserver")
        self._restarts = 0
        self._ending = False
        self._was_ready = False
        self._wanted_revision = 0

    async def start(self) -> None:
        """See `Serving`."""
        self._sockets = listen(self._config.listen, self._count)
        if not self._sockets:
            raise NoAddress
        self._keepers = [asyncio.create_task(self._keep(number)) for number in range(self._count)]

    async def _keep(self, number: int) -> None:
        """Start a worker, and another when it ends, until the end of all."""
        delay = FIRST_DELAY
        while not self._ending:
            began = time.monotonic()
            try:
                how = await self._lifetime(number)
            except OSError as error:
                how = f"not started: {error.strerror}"
            if self._ending:
                return
            self._restarts += 1
            await self._lend()
            delay = FIRST_DELAY if time.monotonic() - began > GOOD else delay
            sibling = self._lent.get(number)
            reads = "nobody reads" if sibling is None else f"worker {sibling} reads"
            log.error("worker %d: %s; %s its sockets, next start in %.1f s", number, how, reads, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_DELAY)

    async def _lifetime(self, number: int) -> str:
        """Start a worker, return when it has ended, and how.

        Raises:
            OSError: it cannot be started.
        """
        worker = await WorkerProcess.spawned()
        pulse = asyncio.create_task(self._feel(number, worker))
        how = ""
        try:
            await self._employ(number, worker)
            await worker.channel.gone.wait()
        except Refused as error:
            how = f", {error}"
        except Gone:
            pass
        finally:
            pulse.cancel()
            self._running.pop(number, None)
            self._listening.pop(number, None)
            if not self._listening:
                self._nobody.set()
            self._told.end(worker)
            code = await worker.end()
        return f"ended by signal {-code}{how}" if code < 0 else f"ended with {code}{how}"

    async def _employ(self, number: int, worker: WorkerProcess) -> None:
        """Let a new worker fill its table, then answer, and take its sockets back.

        It does not wait for its table when nobody else answers.
        """
        config = self._config
        await worker.channel.ask("start", config.source.packed(), number_of_worker=number)
        async with self._turn:
            if config is not self._config:
                await worker.channel.ask("reload", self._config.source.packed())
            self._running[number] = worker
        await _first(worker.channel.ask("synced"), self._nobody.wait())
        async with self._turn:
            tcp = [(Label(*address, None), sockets.tcp) for address, sockets in self._sockets.items()]
            worker.channel.send_sockets(tcp + self._udp_of(number))
            await worker.channel.ask("listen")
            self._listening[number] = worker
            self._nobody.clear()
            sibling = self._listening.get(self._lent.pop(number, number), worker)
            if sibling is not worker:
                await _quietly(sibling.channel.ask("leave", owner=number))
        await self._lend()

    async def _lend(self) -> None:
        """See that somebody reads the sockets of each worker that does not answer."""
        async with self._turn:
            for owner, sibling in list(self._lent.items()):
                if sibling not in self._listening:
                    del self._lent[owner]
            for owner in range(self._count):
                if owner in self._listening or owner in self._lent:
                    continue
                for sibling in sorted(self._listening, key=lambda n: list(self._lent.values()).count(n)):
                    try:
                        self._listening[sibling].channel.send_sockets(self._udp_of(owner))
                        await self._listening[sibling].channel.ask("take")
                    except Gone:
                        continue
                    self._lent[owner] = sibling
                    break

    def _udp_of(self, number: int) -> list[tuple[Label, socket.socket]]:
        return [(Label(*address, number), sockets.udp[number]) for address, sockets in self._sockets.items()]

    async def _feel(self, number: int, worker: WorkerProcess) -> None:
        """Kill a worker that shows no sign of life."""
        while True:
            await asyncio.sleep(PULSE)
            try:
                async with asyncio.timeout(HUNG):
                    await worker.channel.ask("state")
            except TimeoutError:
                log.error("worker %d (pid %d) does not answer for %.0f s: killed", number, worker.pid, HUNG)
                worker.kill()
                return
            except (Gone, Refused):
                continue

    async def reload(self, config: Config) -> None:
        """See `Serving`."""
        added = listen([a for a in config.listen if a not in self._sockets], self._count)
        async with self._turn:
            self._config = config
            self._sockets |= added
            octets = config.source.packed()
            await asyncio.gather(
                *(self._renew(n, worker, octets, added) for n, worker in self._running.items())
            )
            for address in [address for address in self._sockets if address not in config.listen]:
                self._sockets.pop(address).close()

    async def _renew(
        self, number: int, worker: WorkerProcess, octets: bytes, added: dict[Address, Sockets]
    ) -> None:
        labelled: list[tuple[Label, socket.socket]] = []
        if number in self._listening:
            owners = [number, *(owner for owner, sibling in self._lent.items() if sibling == number)]
            for address, sockets in added.items():
                labelled.append((Label(*address, None), sockets.tcp))
                labelled += [(Label(*address, owner), sockets.udp[owner]) for owner in owners]
        try:
            worker.channel.send_sockets(labelled)
            await worker.channel.ask("reload", octets)
        except Refused as error:
            log.error("worker %d cannot reload, it is started anew: %s", number, error)
            worker.kill()
        except Gone:
            pass  # its successor starts with this configuration

    async def drain(self) -> None:
        """See `Serving`."""
        self._ending = True
        await asyncio.gather(*(_quietly(worker.channel.ask("drain")) for worker in self._running.values()))

    async def close(self) -> None:
        """See `Serving`."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for sockets in self._sockets.values():
            sockets.close()

    async def missing(self) -> str:
        """See `Serving`. The first time all workers must have what one of them had; then one is enough."""
        running = dict(self._running)
        states = await asyncio.gather(*(_asked(worker, "state") for worker in running.values()))
        known = {n: reply.values for n, reply in zip(running, states, strict=True) if reply}
        if self._was_ready and any(not state["missing"] for state in known.values()):
            return ""
        for number in range(self._count):
            if number not in self._listening or number not in known:
                return f"worker {number}: starting"
            if known[number]["missing"]:
                return f"worker {number}: {known[number]['missing']}"
        revisions = {number: state["revision"] for number, state in known.items()}
        self._wanted_revision = self._wanted_revision or max(revisions.values())
        for number, revision in revisions.items():
            if revision < self._wanted_revision:
                return f"worker {number}: at revision {revision} of etcd, {self._wanted_revision} is there"
        self._was_ready = True
        return ""

    async def metrics(self) -> Iterable[Metric]:
        """See `Serving`."""
        workers = list(self._running.values())
        replies = await asyncio.gather(*(_asked(worker, "metrics") for worker in workers))
        for worker, reply in zip(workers, replies, strict=True):
            if reply and worker in self._running.values():
                self._told.note(worker, reply.octets)
        self._told.note(self, packed([*self._own.collect(), *self._own_metrics()]))
        return self._told.metrics()

    async def status(self, path: str, query: str) -> http.Page:
        """See `Serving`. Of the worker with the least number that answers: its table is as good as any."""
        for _, worker in sorted(self._listening.items()):
            if reply := await _asked(worker, "status", path=path, query=query):
                values = reply.values
                headers = tuple((name, value) for name, value in values["headers"])
                return http.Page(values["status"], reply.octets, values["content_type"], headers)
        return http.Page(503, b"no worker answers\n")

    def _own_metrics(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("dnsserver_workers", "Processes that answer.", value=len(self._listening))
        yield CounterMetricFamily("dnsserver_worker_restarts", "Workers that ended.", value=self._restarts)


async def _first(*works: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of several to end, and give the others up.

    Raises:
        Exception: what it ended with.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()


async def _quietly(asking: Coroutine[Any, Any, Message]) -> None:
    """Wait for a reply that nobody needs."""
    with contextlib.suppress(Gone, Refused):
        await asking


async def _asked(worker: WorkerProcess, word: str, **values: Any) -> Message | None:
    """Return a worker's reply; None if it has none in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await worker.channel.ask(word, **values)
    except (Gone, Refused, TimeoutError):
        return None
