"""Static records: RRsets from the lines of the configuration. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dnsserver.wire import const
from dnsserver.wire.name import Name
from dnsserver.zone.rrset import RRset, RRsets


class StaticRecord(NamedTuple):
    name: Name
    type: int
    ttl: int
    rdata: bytes


class Clash(NamedTuple):
    """A record that cannot stand beside an earlier one."""

    record: int
    """Which of them, from 0."""
    reason: str


def rrsets_by_name(records: Iterable[StaticRecord]) -> Mapping[Name, RRsets]:
    """Group records into RRsets: equal data once, the smallest TTL of an RRset for all of it."""
    zone: dict[Name, dict[int, RRset]] = {}
    for owner, kind, ttl, rdata in records:
        rrsets = zone.setdefault(owner, {})
        old = rrsets.get(kind)
        if old is None:
            rrsets[kind] = RRset(kind, ttl, (rdata,))
        else:
            rdatas = old.rdatas if rdata in old.rdatas else (*old.rdatas, rdata)
            rrsets[kind] = RRset(kind, min(ttl, old.ttl), rdatas)
    return zone


def clashes(records: Iterable[StaticRecord]) -> list[Clash]:
    """Return the records that break a rule of the zone: a CNAME is alone at its name (RFC 1034 §3.6.2)."""
    found: list[Clash] = []
    kinds: dict[Name, dict[int, bytes]] = {}
    for index, (owner, kind, _, rdata) in enumerate(records):
        known = kinds.setdefault(owner, {})
        if kind == const.CNAME and known.get(kind, rdata) != rdata:
            found.append(Clash(index, "a second CNAME at this name; a name has one"))
        elif (kind == const.CNAME and any(k != kind for k in known)) or (
            kind != const.CNAME and const.CNAME in known
        ):
            found.append(Clash(index, "a CNAME beside other records of this name; it must be alone"))
        known.setdefault(kind, rdata)
    return found
