"""The composition root: builds the parts from a Config, joins them, runs them and stops them."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Iterable
from functools import partial
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dnsserver import config as cfg
from dnsserver.answer.identity import Identity
from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Tally, Transport
from dnsserver.config import models
from dnsserver.config.load import soa_names, static_records
from dnsserver.config.zone import Zone as ZoneModel
from dnsserver.ops import http
from dnsserver.ops.metrics import Metrics, build_version
from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.store import Store
from dnsserver.source.reflector import Reflector
from dnsserver.source.rrsets import is_reverse, rrsets_of
from dnsserver.source.static import rrsets_by_name
from dnsserver.transfer import tsig
from dnsserver.transfer.serve import Peer
from dnsserver.transfer.service import Policy, TransferService
from dnsserver.transport.sockets import Address, ListenError, NoIPv6, listen_tcp, listen_udp
from dnsserver.transport.tcp import IDLE_TIMEOUT, TcpListener
from dnsserver.transport.udp import UdpListener, serve_udp
from dnsserver.wire import const, name
from dnsserver.wire.name import Name
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Soa, Zone, soa_of

log = logging.getLogger("dnsserver")

SWITCH_INTERVAL: Final = 0.0005
"""Seconds the decoding thread may keep the interpreter from the event loop."""

GC_THRESHOLDS: Final = (50_000, 50, 1_000_000)
"""Full collections practically never: with a million names one takes a quarter of a second."""


def zone_table(config: models.Config) -> ZoneTable:
    """Return the table of a checked configuration, with its static records alone."""
    return ZoneTable(
        _zone(zone, apex, from_etcd=config.etcd is not None) for zone in config.zones for apex in zone.name
    )


def _zone(zone: ZoneModel, apex: Name, *, from_etcd: bool) -> Zone:
    soa, serial, ttl = _soa(zone, apex)
    return Zone(
        apex,
        soa,
        ttl=zone.ttl,
        soa_ttl=ttl,
        static=rrsets_by_name(static_records(zone, apex)),
        rrsets_of=partial(rrsets_of, reverse=is_reverse(apex)),
        skydns_lookup=from_etcd and zone.lookup == "skydns",
        synced=not from_etcd,
        serial=serial,
        serial_is_time=zone.serial == "time",
        minimal=zone.minimal,
    )


def _soa(zone: ZoneModel, apex: Name) -> tuple[Soa, int, int]:
    """Return the SOA, its first serial and its TTL: the zone file's, else those of the configuration."""
    if zone.imported and zone.imported.soa:
        soa, serial = soa_of(zone.imported.soa)
        return soa, serial, zone.imported.soa_ttl
    mname, rname = soa_names(zone.soa, apex)
    fields = zone.soa.model_dump(include={"refresh", "retry", "expire", "minimum"})
    return Soa(mname=mname, rname=rname, **fields), zone.soa.serial, zone.ttl


def etcd_address(etcd: models.Etcd) -> EtcdAddress:
    """Return where etcd is, the password read.

    Raises:
        ConfigError: a file cannot be read.
    """
    password = ""
    for key in ("password_file", "ca_file", "cert_file", "key_file"):
        path = getattr(etcd, key)
        if not path:
            continue
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise cfg.ConfigError([f"etcd.{key}: {path} cannot be read: {reason}"]) from None
        if key == "password_file":
            password = text.rstrip("\r\n")
    return EtcdAddress(
        endpoints=tuple(etcd.endpoints),
        username=etcd.username,
        password=password,
        ca_file=etcd.ca_file,
        cert_file=etcd.cert_file,
        key_file=etcd.key_file,
        server_name=etcd.server_name,
    )


def transfer_policies(config: models.Config) -> dict[Name, Policy]:
    """Return who may transfer what, of the zones that somebody may."""
    return {
        apex: Policy(
            [Peer(peer.address, peer.key) for peer in zone.transfer.allow],
            [(secondary.address, secondary.key) for secondary in zone.transfer.notify],
        )
        for zone in config.zones
        for apex in zone.name
        if zone.transfer.allow
    }


class Server:
    """A running server. `run` serves until a signal."""

    def __init__(self, config: models.Config) -> None:
        self._config = config
        self.table = zone_table(config)
        self.tally = Tally()
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
        keys = {key.name: tsig.key(key.name, key.algorithm, key.secret) for key in self._config.tsig}
        policies = transfer_policies(self._config)
        service = TransferService(self.table, policies, keys, {"udp": udp, "tcp": tcp}, self._fault)
        served = 0
        for address in self._config.listen:
            try:
                datagrams, streams = listen_udp(address), listen_tcp(address)
            except NoIPv6 as error:
                log.warning("%s", error)
                continue
            self._udp.append(await serve_udp(datagrams, udp.respond, service.transfers.over_udp))
            listener = TcpListener(tcp.respond, deferred=service.transfers.over_tcp)
            await listener.start(streams)
            self._tcp.append(listener)
            served += 1
        if not served:
            raise ListenError("no address to listen on is left")
        pages: dict[Address, dict[str, http.Handler]] = {}
        metrics = Metrics("dnsserver")
        metrics.add(self._metrics)
        metrics.add(service.metrics)
        for option, path, handler in (
            (self._config.metrics, "/metrics", metrics.page),
            (self._config.health, "/health", lambda: http.Page(200, b"OK\n")),
            (self._config.ready, "/ready", self._ready),
        ):
            if option:
                pages.setdefault(option.listen, {})[path] = handler
        for address, handlers in pages.items():
            try:
                self._http.append(await http.serve(address.host, address.port, handlers))
            except OSError as error:
                raise ListenError(f"cannot listen on {address} (http): {error.strerror}") from None
        return service

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
        responses = CounterMetricFamily(
            "dnsserver_responses",
            "Responses sent, by zone (empty: none of ours), rcode and transport.",
            labels=["zone", "rcode", "transport"],
        )
        for (zone, rcode), slot in self.tally.slots.items():
            for transport, counts in self.tally.responses.items():
                responses.add_metric([zone, const.RCODES[rcode], transport], counts[slot])
        yield responses
        yield _counter("truncated_responses", "Responses cut to fit (TC).", self.tally.truncated)
        yield _counter("dropped_messages", "Messages that get no response.", self.tally.dropped)
        yield _counter("faults", "Queries answered with SERVFAIL because of a fault here.", self.tally.faults)
        yield _counter(
            "udp_send_errors", "Responses the kernel did not take.", _sum(self._udp, "send_errors")
        )
        yield _counter("tcp_connections_accepted", "TCP connections.", _sum(self._tcp, "accepted"))
        yield _counter("tcp_connections_refused", "TCP connections over a limit.", _sum(self._tcp, "refused"))
        yield _counter("tcp_connections_timed_out", "Idle or stuck, closed.", _sum(self._tcp, "timed_out"))
        open_now = sum(len(listener.connections) for listener in self._tcp)
        yield _gauge("tcp_connections", "Open TCP connections.", open_now)
        yield _gauge("names", "Names that exist, empty non-terminals included.", len(self.table.nodes))
        serials = GaugeMetricFamily("dnsserver_zone_serial", "Serial of the SOA.", labels=["zone"])
        for apex, served in self.table.zones.items():
            serials.add_metric([name.to_text(apex)], served.serial)
        yield serials
        if self._reflector:
            yield from _etcd_metrics(self._reflector)


def _etcd_metrics(reflector: Reflector) -> Iterable[Metric]:
    yield _gauge("etcd_connected", "1 while the watch is well.", int(reflector.connected))
    yield _gauge("etcd_revision", "Revision up to which the table is right.", reflector.revision)
    if reflector.age is not None:
        yield _gauge("etcd_age_seconds", "Since etcd last showed the table to be current.", reflector.age)
    yield _counter("etcd_lists", "Snapshots taken.", reflector.lists)
    yield _counter("etcd_watches", "Watches begun.", reflector.watches)
    yield _gauge("clashing_names", "Names with a host name beside other data.", len(reflector.clashing))
    rejected = GaugeMetricFamily(
        "dnsserver_rejected_keys", "Keys in etcd that are no records.", labels=["reason"]
    )
    for reason, count in reflector.rejected_by_reason().items():
        rejected.add_metric([reason], count)
    yield rejected


def _sum(listeners: Iterable[object], attribute: str) -> int:
    return sum(getattr(listener, attribute) for listener in listeners)


def _counter(suffix: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"dnsserver_{suffix}", text, value=value)


def _gauge(suffix: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"dnsserver_{suffix}", text, value=value)
