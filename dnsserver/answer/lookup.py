"""The algorithm of RFC 1034 §4.3.2 on the zone table: what is the answer to a question?"""

from typing import Final, NamedTuple

from dnsserver.wire import const
from dnsserver.wire.name import Name
from dnsserver.zone.rrset import RRset
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Zone

MAX_LINKS: Final = 10
"""CNAMEs followed for one question; CoreDNS's bound."""

Section = tuple[tuple[Name, RRset], ...]
"""Owner names with RRsets, in order."""


class Answer(NamedTuple):
    """The result of a lookup, before it is rendered."""

    rcode: int
    authoritative: bool = False
    answer: Section = ()
    authority: Section = ()
    additional: Section = ()
    zone: Zone | None = None
    error: int | None = None
    """Extended DNS error (RFC 8914), told to clients that use EDNS."""
    source: Name | None = None
    """The wildcard that the first owner's data was synthesised from (RFC 4592 §2.2.1)."""

    @property
    def depends(self) -> bool:
        """Say whether it may hold data of names other than the question's, the zone's SOA aside."""
        return bool(self.additional) or any(rrset.type == const.CNAME for _, rrset in self.answer)


def lookup(table: ZoneTable, qname: Name, qtype: int) -> Answer:
    """Return the answer to a question of class IN. Total."""
    zone = table.zone_of(qname)
    if zone is None:
        return Answer(const.REFUSED, error=const.EDE_NOT_AUTHORITATIVE)
    chain: list[tuple[Name, RRset]] = []
    name, wildcard = qname, None
    while True:
        cut = zone.cut_above(name)
        if cut and not (cut == name and qtype == const.DS):
            return _referral(table, zone, cut, tuple(chain))
        node, source = table.nodes.get(name), name
        if node is None and zone.synced:
            encloser = table.encloser(name)
            source = Name(b"\1*" + encloser[0]) if encloser else name
            node = table.nodes.get(source)
            if not chain and node:
                wildcard = source
        if node is None:
            return _negative(zone, const.NXDOMAIN, tuple(chain), wildcard)
        rrsets = table.rrsets(source, node)
        alias = rrsets.get(const.CNAME)
        if alias is None or qtype in (const.CNAME, const.ANY):
            # ANY gets one RRset of those there are (RFC 8482 §4.1).
            rrset = rrsets.get(min(rrsets)) if rrsets and qtype == const.ANY else rrsets.get(qtype)
            if rrset is None:
                return _negative(zone, const.NOERROR, tuple(chain), wildcard)
            return Answer(const.NOERROR, True, (*chain, (name, rrset)), zone=zone, source=wildcard)
        target = Name(alias.rdatas[0])
        chain.append((name, alias))
        followed = any(target == owner for owner, _ in chain)
        if followed or len(chain) == MAX_LINKS or table.zone_of(target) is not zone:
            return Answer(const.NOERROR, True, tuple(chain), zone=zone, source=wildcard)
        name = target


def _negative(zone: Zone, rcode: int, chain: Section, wildcard: Name | None) -> Answer:
    if not zone.synced:
        # What is not known to exist may exist: etcd has not been read yet.
        return Answer(const.SERVFAIL, zone=zone, error=const.EDE_NOT_READY)
    soa = ((zone.apex, zone.negative_soa()),)
    return Answer(rcode, True, chain, soa, zone=zone, source=wildcard)


def _referral(table: ZoneTable, zone: Zone, cut: Name, chain: Section) -> Answer:
    delegation = zone.static[cut][const.NS]
    glue = tuple(
        (target, rrset)
        for target in map(Name, delegation.rdatas)
        for kind, rrset in zone.static.get(target, {}).items()
        if kind in (const.A, const.AAAA) and table.zone_of(target) is zone
    )
    return Answer(const.NOERROR, bool(chain), chain, ((cut, delegation),), glue, zone)
