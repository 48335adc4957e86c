"""The parts of a server, made of a checked Config: its table, where etcd is, who may transfer what."""

from functools import partial

from dnsserver.config import models
from dnsserver.config.load import soa_names, static_records
from dnsserver.config.zone import Zone as ZoneModel
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
