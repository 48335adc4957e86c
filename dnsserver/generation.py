"""The data of one configuration: a table, who keeps it, and what is made of both.

A reload that changes zones or etcd makes the next generation, which fills a table of its own while the one
before goes on answering. Any other reload leaves the generation as it is.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

from prometheus_client.core import Metric

from dnsserver import metrics
from dnsserver.answer.budget import Budget
from dnsserver.answer.identity import Identity
from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Tally, Transport
from dnsserver.build import etcd_address, forwarding, transfer_keys, transfer_policies, zone_table
from dnsserver.config import models
from dnsserver.handle import Handle
from dnsserver.skydns.entry import Head
from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.store import Store
from dnsserver.source.mirror import FREEZE_AFTER
from dnsserver.source.reflector import Reflector
from dnsserver.source.state import Saver, load
from dnsserver.transfer.service import TransferService
from dnsserver.transport.tcp import IDLE_TIMEOUT
from dnsserver.zone.table import Change, ZoneTable

log = logging.getLogger("dnsserver")

SLICE: Final = 500
"""Names copied or freed before queries get their turn: about a millisecond."""


class Generation:
    """What answers by one Config: table, responders, transfers, reflector. Made on the running event loop."""

    def __init__(
        self, config: models.Config, table: ZoneTable, tally: Tally, on_fault: Callable[[Exception], None]
    ) -> None:
        self._data, self._etcd = _data(config), config.etcd
        self._state_dir = Path(config.state_dir) if config.state_dir else None
        self._saver: Saver | None = None
        self.table = table
        told = config.identity
        identity = Identity(told.id.encode(), told.version.encode())

        self._budget = budget = Budget(time.monotonic)

        def responder(transport: Transport, server: str = "") -> Responder:
            return Responder(
                table,
                tally,
                transport,
                on_fault,
                identity=identity,
                idle_timeout=IDLE_TIMEOUT,
                defers=True,
                forwards=config.forward is not None,
                server=server,
                budget=budget,
            )

        self.responder = responder
        """Makes one for a transport and the server's address, in words, that responses are counted under."""

        self.responders: dict[Transport, Responder] = {"udp": responder("udp"), "tcp": responder("tcp")}
        self.transfers = TransferService(
            table, transfer_policies(config), transfer_keys(config), self.responders, on_fault
        )
        self._forwarding = forwarding(config, table, tally, on_fault)
        self.reflector: Reflector | None = None
        self.synced = asyncio.Event()
        """Set when all zones had their first snapshot."""
        if table.synced:
            self.synced.set()

    @classmethod
    async def made(cls, config: models.Config, tally: Tally, on_fault: Callable[[Exception], None]) -> Self:
        """Return the generation of a checked configuration, with its static records alone."""
        table = await asyncio.to_thread(zone_table, config)
        # A small one is not frozen: cycles that live now would then never be collected.
        if len(table.nodes) >= FREEZE_AFTER:
            gc.freeze()
        return cls(config, table, tally, on_fault)

    def is_of(self, config: models.Config) -> bool:
        """Say whether a configuration has the same data."""
        return self._data == _data(config)

    def start(self, *, tells: bool = True) -> None:
        """Serve what was known before a restart, and follow etcd.

        If it `tells`, it notifies secondaries and keeps the table on disk: one of several processes does.
        """
        self._follow(restore=True)
        if tells:
            self._keep()
            self.transfers.start()

    def _follow(self, known: Head | None = None, restore: bool = False) -> asyncio.Event:
        """Follow etcd; return what is set when the table is at a snapshot, or etcd did not answer.

        `known` is of which state the table has records already.
        """
        if self._forwarding:
            self._forwarding.start()
        attempted = asyncio.Event()
        if self._etcd is None:
            attempted.set()
            return attempted

        # Not by way of self: what is frozen goes by reference counts alone, so it must be in no cycle.
        known_all = self.synced

        def synced() -> None:
            known_all.set()
            attempted.set()

        prefix = prefix_of(self._etcd.prefix)
        self.reflector = Reflector(
            Store(etcd_address(self._etcd)),
            prefix,
            self.table,
            known=known,
            restore=partial(load, self._state_dir, prefix) if self._state_dir and restore else lambda: None,
            trusting=self._etcd.allow_empty,
            on_synced=synced,
            on_lost=attempted.set,
        )
        self.reflector.start()
        return attempted

    def _keep(self) -> None:
        """Write the table to the disk from now on."""
        if self._etcd and self._state_dir:
            prefix = prefix_of(self._etcd.prefix)
            self._saver = Saver(self._state_dir, prefix, self.table, self._savable)
            self._saver.start()

    def _savable(self) -> Head | None:
        """Return the state of the table, if it is one to keep: not of a store in doubt."""
        reflector = self.reflector
        return reflector.known if reflector and reflector.lists and not reflector.held else None

    async def succeed(self, before: "Generation", *, tells: bool = True) -> None:
        """Do as `start` does, and return when the table can take the place of the one before.

        That is after the first snapshot. If etcd does not answer, the table gets the records of the one
        before that are in its zones, as far as they are known, until it does.
        """
        known = [apex for apex in self.table.zones if _is_known(apex, before.table)]
        attempted = self._follow()
        if known:
            await attempted.wait()
        if self.reflector and known and not self.table.synced:
            await self.reflector.stop()
            await self._adopt(before.table)
            for apex in known:
                self.table.zones[apex].synced = True
            self._follow(before.reflector.known if before.reflector else None)
        for apex, zone in self.table.zones.items():
            # A serial must not go back, nor stay where anything may have changed (RFC 1982).
            if self._etcd and zone.synced and apex in before.table.zones:
                serial, zone.serial = zone.serial, before.table.zones[apex].serial
                zone.changed(serial)
        if before._saver:
            await before._saver.close()
        if tells:
            self._keep()
            self.transfers.start()

    async def accept(self) -> None:
        """Believe what etcd has now, although it was emptied or went back in time."""
        if self.reflector:
            await self.reflector.accept()

    async def _adopt(self, table: ZoneTable) -> None:
        names = iter(table.nodes)
        while part := list(islice(names, SLICE)):
            self.table.apply(
                [
                    Change(stored.key, name, name, stored.record)
                    for name in part
                    if (node := table.nodes.get(name))
                    for stored in node.records
                ],
                0,
            )
            await asyncio.sleep(0)

    def deferred(self, transport: Transport) -> Handle:
        """Return who has responses to what the responder of a transport has none for."""
        transfers = self.transfers.transfers
        inner = transfers.over_udp if transport == "udp" else transfers.over_tcp
        if self._forwarding is None:
            return inner
        return self._forwarding.before(inner, self.responders[transport], transport)

    async def settle(self) -> None:
        """Return when nothing waits for an upstream any more."""
        if self._forwarding:
            await self._forwarding.settle()

    async def close(self) -> None:
        """Stop following etcd, telling secondaries and forwarding. The table can still be read."""
        self.transfers.close()
        if self._forwarding:
            self._forwarding.close()
        if self._saver:
            await self._saver.close()
        if self.reflector:
            await self.reflector.stop()

    async def free(self) -> None:
        """Give the memory of a table back that answers no more, in slices, when no transfer reads it."""
        await self.transfers.transfers.idle.wait()
        zones = self.table.zones.values()
        static: Iterable[Any] = [zone.static for zone in zones]
        for part in (self.table.answers, self.table.nodes, *static):
            while part:
                for _ in range(min(SLICE, len(part))):
                    part.popitem()
                await asyncio.sleep(0)
        for zone in zones:
            zone.history = None  # the other way of a cycle, and a cycle that is frozen stays

    def missing(self) -> list[bytes]:
        """Return the zones whose first snapshot is still to come."""
        return [apex for apex, zone in self.table.zones.items() if not zone.synced]

    def plugin(self, zone: str) -> str:
        """Name CoreDNS's plugin for what answers in a zone, or outside all of them."""
        if not zone:
            return "forward" if self._forwarding else ""
        return "etcd" if self._etcd else "file"

    def metrics(self, prefix: str) -> Iterable[Metric]:
        yield from metrics.of_table(self.table)
        yield metrics.of_searches(self._budget.refused)
        yield from self.transfers.metrics()
        if self._forwarding:
            yield from self._forwarding.metrics(prefix)
        if self.reflector:
            yield from metrics.of_etcd(self.reflector)


def _data(config: models.Config) -> tuple[object, ...]:
    return config.zones, config.etcd, config.tsig, config.identity, config.forward, config.state_dir


def _is_known(apex: Any, table: ZoneTable) -> bool:
    zone = table.zone_of(apex)
    return zone is not None and zone.synced
