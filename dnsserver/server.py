"""One serving process: builds the parts from a Config, joins them, runs them and stops them."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Iterable
from typing import Final

from prometheus_client.core import Metric

from dnsserver import metrics
from dnsserver.answer.identity import Identity
from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Tally, Transport
from dnsserver.build import etcd_address, transfer_keys, transfer_policies, zone_table
from dnsserver.config import models
from dnsserver.ops import http
from dnsserver.ops.metrics import Metrics, build_version
from dnsserver.policies import Policies
from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.store import Store
from dnsserver.source.reflector import Reflector
from dnsserver.transfer.service import TransferService
from dnsserver.transport.sockets import Address, ListenError, NoIPv6, listen_tcp, listen_udp
from dnsserver.transport.tcp import IDLE_TIMEOUT, TcpListener
from dnsserver.transport.udp import UdpListener, serve_udp
from dnsserver.wire import name

log = logging.getLogger("dnsserver")

SWITCH_INTERVAL: Final = 0.0005
"""Seconds the decoding thread may keep the interpreter from the event loop."""

GC_THRESHOLDS: Final = (50_000, 50, 1_000_000)
"""Full collections practically never: with a million names one takes a quarter of a second."""


class Server:
    """A running server. `run` serves until a signal."""

    def __init__(self, config: models.Config) -> None:
        self._config = config
        self.table = zone_table(config)
        self.tally = Tally()
        self._policies = Policies(config)
        self._faults_logged = 0
        self._udp: list[UdpListener] = []
        self._tcp: list[TcpListener] = []
        self._http: list[asyncio.Server] = []
        self._transfers: TransferService | None = None
        self._reflector: Reflector | None = None
        if config.etcd:
            store = Store(etcd_address(config.etcd))
            self._reflector = Reflector(store, prefix_of(config.etcd.prefix), self.table, on_synced=gc.freeze)

    async def run(self) -> None:
        """Listen, follow etcd and answer, until SIGTERM or SIGINT; then finish what is under way.

        Raises:
            ListenError: an address cannot be taken; nothing is left open.
        """
        sys.setswitchinterval(SWITCH_INTERVAL)
        gc.set_threshold(*GC_THRESHOLDS)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            self._transfers = await self._listen()
            self._transfers.start()
            if self._reflector:
                self._reflector.start()
            zones = ", ".join(name.to_text(apex) for apex in self.table.zones)
            listeners = ", ".join(str(address) for address in self._config.listen)
            log.info("dnsserver %s serves %s on %s", build_version(), zones, listeners)
            await stop.wait()
            log.info("stopping")
        finally:
            await self._close()

    async def _listen(self) -> TransferService:
        udp, tcp = self._responder("udp"), self._responder("tcp")
        peers, keys = transfer_policies(self._config), transfer_keys(self._config)
        service = TransferService(self.table, peers, keys, {"udp": udp, "tcp": tcp}, self._fault)
        datagram = self._policies.around(udp, service.transfers.over_udp)
        stream = self._policies.around(tcp, service.transfers.over_tcp)
        served = 0
        for address in self._config.listen:
            try:
                datagrams, streams = listen_udp(address), listen_tcp(address)
            except NoIPv6 as error:
                log.warning("%s", error)
                continue
            self._udp.append(await serve_udp(datagrams, *datagram))
            listener = TcpListener(*stream, admits=self._policies.admits)
            await listener.start(streams)
            self._tcp.append(listener)
            served += 1
        if not served:
            raise ListenError("no address to listen on is left")
        await self._serve_pages(service)
        return service

    async def _serve_pages(self, service: TransferService) -> None:
        shown = Metrics("dnsserver")
        shown.add(self._metrics)
        shown.add(service.metrics)
        pages: dict[Address, dict[str, http.Handler]] = {}
        for option, path, handler in (
            (self._config.metrics, "/metrics", lambda *_: shown.page()),
            (self._config.health, "/health", lambda *_: http.Page(200, b"OK\n")),
            (self._config.ready, "/ready", lambda *_: self._ready()),
        ):
            if option:
                pages.setdefault(option.listen, {})[path] = handler
        for address, handlers in pages.items():
            try:
                self._http.append(await http.serve(address.host, address.port, handlers))
            except OSError as error:
                raise ListenError(f"cannot listen on {address} (http): {error.strerror}") from None

    def _responder(self, transport: Transport) -> Responder:
        told = self._config.identity
        return Responder(
            self.table,
            self.tally,
            transport,
            self._fault,
            identity=Identity(told.id.encode(), told.version.encode()),
            idle_timeout=IDLE_TIMEOUT,
            defers=True,
        )

    def _fault(self, error: Exception) -> None:
        # Anyone may send what raises it again, so it is told with its trace once, and counted.
        if not self._faults_logged:
            log.error("a query was answered with SERVFAIL because of a fault here", exc_info=error)
        self._faults_logged += 1

    def _ready(self) -> http.Page:
        missing = [name.to_text(apex) for apex, zone in self.table.zones.items() if not zone.synced]
        if missing:
            return http.Page(503, f"waiting for the first snapshot of {', '.join(missing)}\n".encode())
        return http.Page(200, b"OK\n")

    async def _close(self) -> None:
        if self._transfers:
            self._transfers.close()
        for listener in (*self._udp, *self._tcp):
            listener.close()
        for server in self._http:
            server.close()
        if self._reflector:
            await self._reflector.stop()

    def _metrics(self) -> Iterable[Metric]:
        yield from metrics.of_answers(self.tally)
        yield from metrics.of_listeners(self._udp, self._tcp)
        yield from metrics.of_table(self.table)
        yield from self._policies.metrics()
        if self._reflector:
            yield from metrics.of_etcd(self._reflector)
