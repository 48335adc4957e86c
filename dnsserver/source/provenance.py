"""Where served data comes from: a key of etcd or the configuration, and the object it was made for. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

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
    """As `ingress/default/cheese`; empty where no text says it that is found."""


Ownerships = Mapping[Name, Ownership]
"""By the name that their text stands at."""

NONE_OUTSIDE: Final[Ownerships] = {}


def rows(table: ZoneTable, owner: Name, rrsets: RRsets, outside: Ownerships = NONE_OUTSIDE) -> Iterator[Row]:
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
            ownership = ownership_of(table, source, kind, outside) if source else None
            yield Row(owner, kind, rrset.ttl, octets, source, ownership.resource if ownership else "")


def records_at(table: ZoneTable, owner: Name) -> Sequence[Owned]:
    """Return the records of etcd that answer for a name, at an apex those that SkyDNS keeps below it."""
    if owner in table.zones:
        return table.at_apex(owner)
    return table.answering(owner)


def ownership_of(
    table: ZoneTable, source: Owned, kind: int, outside: Ownerships = NONE_OUTSIDE
) -> Ownership | None:
    """Return the ownership of a record: that in its own text, else that of the text beside it.

    None where no text says it that can be read, and that is where it would be without an affix of one's own
    (`--txt-prefix`). That of a zone's own name is `outside` of the zone.
    """
    if own := parse_text(source.record.text):
        return own
    for place in places_of(source, kind):
        for text in texts_at(table, place):
            if found := parse_text(text):
                return found
        if place in outside:
            return outside[place]
    return None


def places_of(source: Owned, kind: int) -> Iterator[Name]:
    """Yield the names that texts about a record of a type may stand at.

    ExternalDNS keeps those of `www.k8s.local` at `a-www.k8s.local`, `cname-www.k8s.local` and so on, its old
    versions at the name itself.
    """
    if not source.owner[0]:
        return
    host = rdata.address(source.record.host)
    types = [const.TYPE_NAMES.get(each) for each in (kind, host[0] if host else const.CNAME)]
    label, *rest = name.labels_of(source.owner)
    marks = dict.fromkeys(each.lower().encode() for each in types if each)
    for beside in (*(b"%s-%s" % (mark, label) for mark in marks), label):
        with suppress(NameFault):
            yield name.from_labels([beside, *rest])


def texts_at(table: ZoneTable, place: Name) -> Iterator[str]:
    """Yield the texts that stand at a name."""
    node = table.nodes.get(place)
    for stored in node.records if node else ():
        yield stored.record.text
