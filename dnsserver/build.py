"""The parts of a server, made of a checked Config: its table, where etcd is, who may transfer what."""

from collections.abc import Callable
from functools import partial

from dnsserver.answer.tally import Tally
from dnsserver.config import models
from dnsserver.config.forward import Upstream as UpstreamModel
from dnsserver.config.forward import tls_context
from dnsserver.config.load import soa_names, static_records
from dnsserver.config.zone import Zone as ZoneModel
from dnsserver.forward.cache import Cache
from dnsserver.forward.resolver import Resolver
from dnsserver.forward.response import Limits
from dnsserver.forward.service import ForwardService
from dnsserver.forward.stream import Tls
from dnsserver.forward.upstream import Upstream
from dnsserver.limits.access import action_of
from dnsserver.skydns.address import EtcdAddress
from dnsserver.source.rrsets import is_reverse, rrsets_of
from dnsserver.source.static import rrsets_by_name
from dnsserver.transfer import tsig
from dnsserver.transfer.serve import Peer
from dnsserver.transfer.service import Policy
from dnsserver.transfer.tsig import Keys
from dnsserver.wire.name import Name
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Soa, Zone, soa_of


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
    """Return where etcd is, and who we are there."""
    return EtcdAddress(
        endpoints=tuple(etcd.endpoints),
        username=etcd.username,
        password=etcd.password,
        ca_file=etcd.ca_file,
        cert_file=etcd.cert_file,
        key_file=etcd.key_file,
        server_name=etcd.server_name,
    )


def forwarding(
    config: models.Config, table: ZoneTable, tally: Tally, on_fault: Callable[[Exception], None]
) -> ForwardService | None:
    """Return what forwards, if anything does. To be called on the running event loop."""
    forward = config.forward
    if forward is None:
        return None
    upstreams = [
        Upstream(
            upstream.address.address,
            _tls(upstream),
            lambda name: table.zone_of(name) is not None,
            timeout=forward.timeout,
            failures=forward.health.failures,
            interval=forward.health.interval,
        )
        for upstream in forward.upstreams
    ]
    kept = forward.cache
    resolver = Resolver(
        upstreams,
        Cache(kept.size),
        Limits(kept.max_ttl, kept.negative_ttl, kept.failure_ttl),
        deadline=forward.deadline,
        max_in_flight=forward.max_in_flight,
        on_fault=on_fault,
    )
    rules = {apex: action_of(rules) for apex, rules in config.zone_acl.items()}

    def may_ask(address: bytes, apex: Name) -> bool:
        return apex not in rules or rules[apex](address) == "allow"

    return ForwardService(table, tally, resolver, forward.allow, on_fault, may_ask)


def _tls(upstream: UpstreamModel) -> Tls | None:
    if not upstream.address.tls:
        return None
    name = upstream.server_name or upstream.address.address.host
    return Tls(tls_context(upstream.ca_file), name)


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


def transfer_keys(config: models.Config) -> Keys:
    """Return the keys that sign transfers, by name."""
    return {key.name: tsig.key(key.name, key.algorithm, key.secret) for key in config.tsig}
