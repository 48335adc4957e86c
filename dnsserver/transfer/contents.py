"""What of a zone is transferred: what it serves, as far as that makes a legal zone. Pure.

At a CNAME nothing else may stand (RFC 1034 §3.6.2), but SkyDNS answers SRV, MX, PTR and TXT beside one, as
views of the same record. So a CNAME is transferred alone, with two exceptions: at the apex, where SOA and
NS stand, it is left out; and at a service name (one whose first label begins with an underscore), which no
host has, it gives way to the SRV records.
"""

from typing import Final

from dnsserver.source.rrsets import is_reverse
from dnsserver.wire import const
from dnsserver.wire.name import Name
from dnsserver.zone.rrset import NONE, RRset, RRsets
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Zone

MAX_RDATA: Final = 64_000
"""Octets: with owner, header, question and TSIG it must fit a message of 65 535. Longer ones fit no
answer with a long name either."""


class Contents:
    """Reads the RRsets that a zone hands to its secondaries."""

    def __init__(self, table: ZoneTable, zone: Zone) -> None:
        self._table, self._zone = table, zone
        self._reverse = is_reverse(zone.apex)
        self._glue: Final = frozenset(
            Name(rdata) for cut in zone.cuts for rdata in zone.static[cut][const.NS].rdatas
        )

    def __call__(self, owner: Name) -> RRsets:
        """Return what is transferred at a name of the zone, the SOA aside."""
        node, zone = self._table.nodes.get(owner), self._zone
        if node is None or node.zone is not zone:
            return NONE
        cut = zone.cut_above(owner)
        if cut:
            return self._delegated(owner, cut)
        rrsets = self._table.rrsets(owner, node)
        static = zone.static.get(owner, NONE)
        kept = {
            kind: rrset
            for kind, whole in rrsets.items()
            if kind != const.SOA and (kind in static or not self._is_view(kind))
            if (rrset := whole if kind in static else _without_portless(whole))
            if max(map(len, rrset.rdatas)) <= MAX_RDATA
        }
        if const.CNAME not in kept:
            return kept
        if owner == zone.apex or (const.SRV in kept and owner[1:2] == b"_"):
            del kept[const.CNAME]
            return kept
        return {const.CNAME: kept[const.CNAME]}

    def _delegated(self, owner: Name, cut: Name) -> RRsets:
        """Return the delegation, at the cut, and below it the glue that referrals carry."""
        kinds = [const.NS, const.DS] if owner == cut else []
        if owner in self._glue:
            kinds += [const.A, const.AAAA]
        static = self._zone.static.get(owner, NONE)
        return {kind: static[kind] for kind in kinds if kind in static}

    def _is_view(self, kind: int) -> bool:
        """Say whether a type from etcd only tells again what another says: the PTR of a host name."""
        return kind == const.PTR and not self._reverse


def _without_portless(rrset: RRset) -> RRset | None:
    """Drop the SRV records that SkyDNS makes up of records without a port."""
    if rrset.type != const.SRV:
        return rrset
    rdatas = tuple(rdata for rdata in rrset.rdatas if rdata[4:6] != b"\0\0")
    return rrset._replace(rdatas=rdatas) if rdatas else None
