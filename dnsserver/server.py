"""One serving process: the parts of a Config joined, exchanged at a reload, and ended."""

import asyncio
import gc
import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client.core import Metric

from dnsserver import metrics
from dnsserver.answer.tally import Tally, Transport
from dnsserver.config import models
from dnsserver.generation import Generation
from dnsserver.handle import Handle, Responding
from dnsserver.listeners import Listeners
from dnsserver.ops import http
from dnsserver.ops.metrics import Metrics
from dnsserver.policies import Policies
from dnsserver.status.pages import Status, View
from dnsserver.transport.sockets import Address, NoAddress, Sockets, listen
from dnsserver.wire import name

log = logging.getLogger("dnsserver")

SWITCH_INTERVAL: Final = 0.0005
"""Seconds the decoding thread may keep the interpreter from the event loop."""

GC_THRESHOLDS: Final = (50_000, 50, 1_000_000)
"""Full collections practically never: with a million names one takes a quarter of a second."""


class Server:
    """Answers by a Config from `start` on, until `drain` or `close`."""

    def __init__(self, config: models.Config, *, tells: bool = True) -> None:
        """Of several that serve the same, one `tells` secondaries of changes."""
        self._config, self._tells = config, tells
        self._tally = Tally()
        self._faults_logged = 0
        self._generation: Generation
        self._policies = Policies(config)
        self.listeners = Listeners(
            self._answering,
            lambda address: self._policies.admits(address),
            lambda: self._policies.denied(),
            lambda: self._policies.query_limit,
        )
        self._retiring: set[asyncio.Task[None]] = set()
        self._shown = Metrics("dnsserver")
        self._status = Status(self._tally)
        self._sampling: asyncio.Task[None] | None = None

    async def start(self, opened: Mapping[Address, Sockets] | None = None) -> None:
        """Listen, on sockets given or its own, follow etcd and answer.

        Raises:
            ListenError: an address cannot be taken; nothing is left open.
        """
        sys.setswitchinterval(SWITCH_INTERVAL)
        gc.set_threshold(*GC_THRESHOLDS)
        gc.freeze()  # modules, which stay
        if opened is None and not (opened := listen(self._config.listen)):
            raise NoAddress
        self._generation = await Generation.made(self._config, self._tally, self._fault)
        await self.listeners.open(opened)
        self._generation.start(tells=self._tells)
        self._policies.start()
        self._shown.add(self._metrics)
        self._sampling = asyncio.create_task(self._status.sample())

    async def reload(self, config: models.Config, opened: Mapping[Address, Sockets] | None = None) -> None:
        """Answer by another Config from the return on, and by the present one until then.

        Names that are held against a doubted etcd go: who reloads has looked.

        Addresses that stay keep their sockets. New ones are listened on, on sockets given or its own.

        Raises:
            ListenError: an address cannot be taken; all is as before.
        """
        if opened is None:
            opened = listen([a for a in config.listen if a not in self.listeners.addresses])
        before = after = self._generation
        try:
            if not await asyncio.to_thread(before.is_of, config):
                after = await Generation.made(config, self._tally, self._fault)
                await after.succeed(before, tells=self._tells)
        except BaseException:
            for sockets in opened.values():
                sockets.close()
            if after is not before:
                await after.close()
            raise
        self._config, self._generation = config, after
        self._policies = self._policies.succeeded_by(config)
        self.listeners.renew()
        await self.listeners.open(opened)
        if after is before:
            await before.accept()
        else:
            self._retire(before)
        removed = [address for address in self.listeners.addresses if address not in config.listen]
        if removed:
            await self.listeners.drain(removed, before.settle)

    def _retire(self, generation: Generation) -> None:
        async def retire() -> None:
            await generation.settle()
            await generation.close()
            await generation.free()

        def retired(task: asyncio.Task[None]) -> None:
            self._retiring.discard(task)
            # Responders and gRPC's channels are cycles. Quick, because what is large is frozen.
            gc.collect()

        task = asyncio.create_task(retire())
        self._retiring.add(task)
        task.add_done_callback(retired)

    async def drain(self) -> None:
        """Take no more queries and answer what has arrived. To be closed after it."""
        await self.listeners.drain(self.listeners.addresses, self._generation.settle)

    async def close(self) -> None:
        """End at once."""
        self.listeners.close()
        self._policies.close()
        if self._sampling:
            self._sampling.cancel()
        for task in self._retiring:
            task.cancel()
        if hasattr(self, "_generation"):
            await self._generation.close()

    def _answering(self, transport: Transport, address: Address) -> tuple[Responding | None, Handle]:
        generation = self._generation
        responder, deferred = generation.responder(transport, str(address)), generation.deferred(transport)
        return self._policies.around(responder, deferred, transport, generation.table)

    def _fault(self, error: Exception) -> None:
        # Anyone may send what raises it again, so it is told with its trace once, and counted.
        if not self._faults_logged:
            log.error("a query was answered with SERVFAIL because of a fault here", exc_info=error)
        self._faults_logged += 1

    async def synced(self) -> None:
        """Wait until all zones had their first snapshot."""
        await self._generation.synced.wait()

    @property
    def revision(self) -> int:
        """Of etcd, up to which the table is right; 0 without one, and before the first snapshot."""
        return self._generation.reflector.revision if self._generation.reflector else 0

    @property
    def responses(self) -> int:
        """How many there were."""
        return sum(count for _, count in self._tally.totals())

    async def missing(self) -> str:
        """Say what it waits for until it is ready; nothing when it is."""
        zones = ", ".join(map(name.to_text, self._generation.missing()))
        return f"waiting for the first snapshot of {zones}" if zones else ""

    async def status(self, path: str, query: str) -> http.Page:
        generation = self._generation
        return await self._status.page(View(generation.table, generation.reflector), path, query)

    async def metrics(self) -> Iterable[Metric]:
        return self._shown.collect()

    def _metrics(self) -> Iterable[Metric]:
        prefix = self._config.metrics.prefix if self._config.metrics else models.PREFIX
        yield metrics.build_info(prefix)
        yield from metrics.of_answers(prefix, self._tally, self._generation.plugin)
        yield from self.listeners.metrics(prefix)
        yield from self._generation.metrics(prefix)
        yield from self._policies.metrics()
