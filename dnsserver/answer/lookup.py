"""The algorithm of RFC 1034 §4.3.2 on the zone table: what is the answer to a question?"""

from typing import Final, NamedTuple

from dnsserver.wire import const
from dnsserver.wire.name import ROOT, Name, parent
from dnsserver.zone.rrset import NONE, RRset
from dnsserver.zone.search import search
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Zone

MAX_LINKS: Final = 10
"""CNAMEs followed for one question; CoreDNS's bound."""

Section = tuple[tuple[Name, RRset], ...]
"""Owner names with RRsets, in order."""


_TARGET_AT: Final = {const.NS: 0, const.MX: 2, const.SRV: 6}
"""Type → where in its rdata the name of the host begins, whose addresses are worth telling too."""

_POINTING_AT: Final = {const.CNAME: 0, **_TARGET_AT}

MAX_TARGETS: Final = 13
"""Hosts whose addresses go into the additional section: without a bound a few records make much work."""


class Answer(NamedTuple):
    """The result of a lookup, before it is rendered."""

    rcode: int
    authoritative: bool = False
    answer: Section = ()
    authority: Section = ()
    additional: Section = ()
    zone: Zone | None = None
    optional: bool = False
    """Authority and additional are a help, no part of the answer; left out where they do not fit."""
    error: int | None = None
    """Extended DNS error (RFC 8914), told to clients that use EDNS."""
    cls: int = const.IN
    source: Name | None = None
    """The wildcard that the first owner's data was synthesised from (RFC 4592 §2.2.1)."""
    onward: Name | None = None
    """A name outside the zone where the answer goes on, for who resolves: the question's, or an alias's."""

    @property
    def is_denial(self) -> bool:
        """Say whether it holds nothing but that the name, or the type, is not there."""
        return self.authoritative and not self.answer

    def needs(self, table: ZoneTable) -> set[Name]:
        """Return other names of the zone whose data it holds, or would hold if they had any.

        A change at one of them, or below, may make it another answer. Below an apex is all of a zone.
        """
        if self.zone is None:
            return set()
        owners = {owner for owner, _ in (*self.answer[1:], *self.authority, *self.additional)}
        if not all(owner in table.nodes for owner in owners):
            owners.add(self.zone.apex)  # a wildcard answers, until there is a name
        targets = {
            Name(rdata[_POINTING_AT[rrset.type] :])
            for _, rrset in self.answer + self.authority
            if rrset.type in _POINTING_AT
            for rdata in rrset.rdatas
        }
        return owners | {target for target in targets if table.zone_of(target) is self.zone}


def lookup(table: ZoneTable, qname: Name, qtype: int) -> Answer:
    """Return the answer to a question of class IN. Total."""
    zone = _zone_asked(table, qname, qtype)
    if zone is None:
        return Answer(const.REFUSED, error=const.EDE_NOT_AUTHORITATIVE, onward=qname)
    chain: list[tuple[Name, RRset]] = []
    name, wildcard = qname, None
    while True:
        cut = zone.cut_above(name)
        if cut and not (cut == name and qtype == const.DS):
            return _referral(table, zone, cut, tuple(chain), wildcard)
        node, source = table.nodes.get(name), name
        found = search(table, zone, name) if node is None else None
        if node is None and found is None and zone.synced:
            encloser = table.encloser(name)
            source = Name(b"\1*" + encloser[0]) if encloser else name
            node = table.nodes.get(source)
        if not chain and node and source.startswith(b"\1*"):
            wildcard = source
        if found is not None:
            rrsets = zone.rrsets(name, found)
        elif node is None:
            return _negative(zone, const.NXDOMAIN, tuple(chain), wildcard)
        elif node.zone is not zone:
            rrsets = zone.static.get(name, NONE)
        else:
            rrsets = table.rrsets(source, node)
        # ANY gets one RRset of those there are (RFC 8482 §4.1).
        rrset = rrsets.get(min(rrsets, default=0) if qtype == const.ANY else qtype)
        if rrset:
            return _positive(table, zone, (*chain, (name, rrset)), wildcard)
        alias = rrsets.get(const.CNAME)
        if alias is None:
            return _negative(zone, const.NOERROR, tuple(chain), wildcard)
        target = Name(alias.rdatas[0])
        chain.append((name, alias))
        if any(target == owner for owner, _ in chain) or len(chain) == MAX_LINKS:
            return Answer(const.NOERROR, True, tuple(chain), zone=zone, source=wildcard)
        if table.zone_of(target) is not zone:
            return Answer(const.NOERROR, True, tuple(chain), zone=zone, source=wildcard, onward=target)
        name = target


def _positive(table: ZoneTable, zone: Zone, found: Section, wildcard: Name | None) -> Answer:
    additional = _additional(table, zone, found[-1][1])
    authority: Section = ()
    if not zone.minimal:
        servers = table.rrsets(zone.apex, table.nodes[zone.apex])[const.NS]
        if (zone.apex, servers) not in found:
            authority = ((zone.apex, servers),)
            additional = tuple(dict.fromkeys(additional + _additional(table, zone, servers)))
    return Answer(const.NOERROR, True, found, authority, additional, zone, optional=True, source=wildcard)


def _zone_asked(table: ZoneTable, qname: Name, qtype: int) -> Zone | None:
    """Return the zone that a question is for: that of its name, but a DS is kept above the zone cut."""
    zone = table.zone_of(qname)
    if zone and qtype == const.DS and qname == zone.apex != ROOT:
        above = table.zone_of(parent(qname))
        # The nearest zone we serve need not be the one that delegates it (RFC 4035 §3.1.4.1).
        if above and above.cut_above(qname) in (None, qname):
            return above
    return zone


def _negative(zone: Zone, rcode: int, chain: Section, wildcard: Name | None) -> Answer:
    if not zone.synced:
        # What is not known to exist may exist: etcd has not been read yet.
        return Answer(const.SERVFAIL, zone=zone, error=const.EDE_NOT_READY)
    soa = ((zone.apex, zone.negative_soa()),)
    return Answer(rcode, True, chain, soa, zone=zone, source=wildcard)


def _additional(table: ZoneTable, zone: Zone, rrset: RRset) -> Section:
    """Return the addresses of the hosts that an RRset points to, as far as the zone has them."""
    at = _TARGET_AT.get(rrset.type)
    if at is None:
        return ()
    found: list[tuple[Name, RRset]] = []
    for rdata in rrset.rdatas[:MAX_TARGETS]:
        target = Name(rdata[at:])
        node = table.nodes.get(target)
        if node is None or node.zone is not zone or zone.cut_above(target):
            continue
        rrsets = table.rrsets(target, node)
        found += [(target, rrsets[kind]) for kind in (const.A, const.AAAA) if kind in rrsets]
    return tuple(dict.fromkeys(found))


def _referral(table: ZoneTable, zone: Zone, cut: Name, chain: Section, wildcard: Name | None) -> Answer:
    delegation = zone.static[cut][const.NS]
    glue = tuple(
        (target, rrset)
        for target in map(Name, delegation.rdatas)
        for kind, rrset in zone.static.get(target, {}).items()
        if kind in (const.A, const.AAAA) and table.zone_of(target) is zone
    )
    return Answer(const.NOERROR, bool(chain), chain, ((cut, delegation),), glue, zone, source=wildcard)
