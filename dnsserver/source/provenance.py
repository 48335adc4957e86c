"""Where served data comes from: a key of etcd or the configuration, and the object it was made for. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dnsserver.skydns.ownership import Ownership, parse_text
from dnsserver.source.rrsets import is_reverse, parts_of
from dnsserver.wire import const, name, rdata
from dnsserver.wire.name import Name, NameFault
from dnsserver.zone.rrset import NONE, RRsets
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Owned


class Row(NamedTuple):
    """One RR that is served, with its source."""

    name: Name
    type: int
    ttl: int
    rdata: bytes
    source: Owned | None
    """The record of etcd, the first in key order of those that bring these data; None: the configuration."""
    object: str
    """As `ingress/default/cheese`; empty where nothing says it."""


def rows(table: ZoneTable, owner: Name, rrsets: RRsets) -> Iterator[Row]:
    """Yield the RRs of some RRsets that are served at a name of the table."""
    node = table.nodes.get(owner)
    static = node.zone.static.get(owner, NONE) if node else NONE
    origins: dict[tuple[int, bytes], Owned] = {}
    reverse = node is not None and is_reverse(node.zone.apex)
    for part in parts_of(records_at(table, owner), reverse=reverse):
        for data in (*part.main, *part.views):
            origins.setdefault(data, part.owned)
    for kind, rrset in rrsets.items():
        for octets in rrset.rdatas:
            source = None if kind in static else origins.get((kind, octets))
            made_for = object_of(table, source, kind) if source else ""
            yield Row(owner, kind, rrset.ttl, octets, source, made_for)


def records_at(table: ZoneTable, owner: Name) -> Sequence[Owned]:
    """Return the records of etcd that answer for a name, at an apex those that SkyDNS keeps below it."""
    if owner in table.zones:
        return table.at_apex(owner)
    return table.answering(owner)


def object_of(table: ZoneTable, source: Owned, kind: int) -> str:
    """Return the object that a record of a type was made for, empty where no text says it."""
    found = ownership_of(table, source, kind)
    return found.resource if found else ""


def ownership_of(table: ZoneTable, source: Owned, kind: int) -> Ownership | None:
    """Return the ownership of a record: that in its own text, else that of the text beside it.

    ExternalDNS keeps the texts of `www.k8s.local` at `a-www.k8s.local`, `cname-www.k8s.local` and so on, its
    old versions at the name itself. Texts with an affix of one's own (`--txt-prefix`) are not found.
    """
    if own := parse_text(source.record.text):
        return own
    if not source.owner[0]:
        return None
    host = rdata.address(source.record.host)
    kinds = dict.fromkeys((kind, host[0] if host else const.CNAME))
    label, *rest = name.labels_of(source.owner)
    for beside in (*(b"%s-%s" % (_mnemonic(each), label) for each in kinds), label):
        try:
            node = table.nodes.get(name.from_labels([beside, *rest]))
        except NameFault:
            continue
        for stored in node.records if node else ():
            if found := parse_text(stored.record.text):
                return found
    return None


def _mnemonic(kind: int) -> bytes:
    return const.TYPE_NAMES.get(kind, "").lower().encode()
