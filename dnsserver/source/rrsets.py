"""SkyDNS records to RRsets: A, AAAA and CNAME by `host`, TXT by `text`, SRV, MX and PTR as views. Pure.

Where CoreDNS's etcd plugin serves an owner's note or hides a host behind it, the host is served and the
note is not.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from dnsserver.skydns.ownership import is_ownership
from dnsserver.skydns.record import MAX_TTL, Record, RecordError
from dnsserver.wire import const, name, rdata
from dnsserver.wire.name import Name, NameFault
from dnsserver.zone.rrset import RRset, RRsets
from dnsserver.zone.zone import Owned, Stored


def checked(record: Record) -> Record:
    """Return the record if its host can be served.

    Raises:
        RecordError: a host that is neither an address nor a name, or a text past 65 535 octets.
    """
    if record.host and rdata.address(record.host) is None:
        _target(record.host)
    if record.text:
        try:
            rdata.strings([record.text.encode("utf-8")])
        except rdata.RdataFault as fault:
            raise RecordError("size", f"text: {fault}") from None
    return record


def rrsets_of(records: Sequence[Owned], default_ttl: int, *, reverse: bool = False) -> RRsets:
    """Return the RRsets of the records that answer one name, given in key order.

    Of two keys that differ in case only the first counts; of the groups the shallowest key's; equal
    data is served once, with the smallest TTL of its RRset. A CNAME beside other data is left out, of
    several CNAMEs the first is served (RFC 1034 §3.6.2).

    SkyDNS also answers SRV, MX and PTR of a host, and the text beside a host name as TXT: these are views
    of the same record and no reason to leave out a CNAME. In a `reverse` zone a host name is a PTR and
    nothing else.
    """
    data: dict[int, dict[bytes, int]] = {}
    solid = False
    for owned, main, views in parts_of(records, reverse=reverse):
        ttl = min(owned.record.ttl or default_ttl, MAX_TTL)
        solid = solid or any(kind not in (const.CNAME, const.PTR) for kind, _ in main)
        for kind, octets in main + views:
            ttls = data.setdefault(kind, {})
            ttls[octets] = min(ttl, ttls.get(octets, ttl))
    if const.CNAME in data:
        if solid:
            del data[const.CNAME]
        else:
            target, ttl = next(iter(data[const.CNAME].items()))
            data[const.CNAME] = {target: ttl}
    return {kind: RRset(kind, min(ttls.values()), tuple(ttls)) for kind, ttls in data.items()}


Typed = list[tuple[int, bytes]]
"""Types with rdata."""


class Part(NamedTuple):
    """What a record brings to the name that it answers."""

    owned: Owned
    main: Typed
    """What it is."""
    views: Typed
    """What SkyDNS makes of it besides."""


def parts_of(records: Sequence[Owned], *, reverse: bool = False) -> list[Part]:
    """Return what each record that counts brings, in key order; twins and other groups do not count."""
    counted = _of_group(_without_case_twins(records))
    weights = _weights(owned.record for owned in counted)
    parts = []
    for owned in counted:
        main, views = _rdata(owned.owner, owned.record, weights)
        if reverse:
            main = [(const.PTR if kind == const.CNAME else kind, octets) for kind, octets in main]
        parts.append(Part(owned, main, views))
    return parts


_ARPA: Final = name.from_text("arpa.")


def is_reverse(zone_or_name: Name) -> bool:
    """Say whether a host name here is a PTR."""
    return name.is_within(zone_or_name, _ARPA)


def clashes(records: Iterable[Stored], owner: Name) -> bool:
    """Say whether the records that a name owns cannot all be served: a host name beside other data."""
    if is_reverse(owner):
        return False
    kinds: set[object] = set()
    for record in (stored.record for stored in records):
        if record.host and rdata.address(record.host):
            kinds.add("address")
        elif record.host and not record.port and not record.mail:
            # Each host name for itself: a name has one CNAME. With a port, or for mail, it is asked for by
            # SRV and MX, of which there may be several.
            kinds.add(_target(record.host))
        elif record.text and not record.host:
            kinds.add("text")
    return len(kinds) > 1 and not kinds <= {"address", "text"}


def _rdata(owner: Name, record: Record, weights: Mapping[int, int]) -> tuple[Typed, Typed]:
    """Return what a record is, and the views of it."""
    main: Typed = []
    views: Typed = []
    text = record.text.encode("utf-8")
    if not record.host:
        return ([(const.TXT, rdata.strings([text]))] if text else main), views
    address = rdata.address(record.host)
    target = owner if address else _target(record.host)
    main.append(address or (const.CNAME, target))
    if text and not is_ownership(record.text):
        (main if address else views).append((const.TXT, rdata.strings([text])))
    priority = record.priority or DEFAULT_PRIORITY
    if 0 <= priority <= _MAX16 and 0 <= record.port <= _MAX16:
        share = math.floor(100.0 / weights[priority] * (record.weight or DEFAULT_WEIGHT))
        fields = (priority, min(max(share, 1), _MAX16), record.port)
        views.append((const.SRV, b"".join(field.to_bytes(2, "big") for field in fields) + target))
        if record.mail:
            views.append((const.MX, priority.to_bytes(2, "big") + target))
    if not address and not record.targetstrip:
        views.append((const.PTR, target))
    return main, views


DEFAULT_PRIORITY: Final = 10
DEFAULT_WEIGHT: Final = 100

_MAX16: Final = 65_535


def _weights(records: Iterable[Record]) -> Mapping[int, int]:
    """Return the sum of the weights at each priority; never 0."""
    sums: dict[int, int] = {}
    for record in records:
        priority = record.priority or DEFAULT_PRIORITY
        sums[priority] = sums.get(priority, 0) + (record.weight or DEFAULT_WEIGHT)
    return {priority: total or 1 for priority, total in sums.items()}


def _target(host: str) -> Name:
    # Hosts are absolute, with or without the final dot, and have no zone-file escapes.
    labels = host.removesuffix(".").encode("utf-8").split(b".")
    try:
        return name.from_labels(labels)
    except NameFault as fault:
        raise RecordError("host", f"host: {fault}") from None


def _without_case_twins(records: Sequence[Owned]) -> list[Owned]:
    first: dict[bytes, Owned] = {}
    for owned in records:
        first.setdefault(owned.key.lower(), owned)
    return list(first.values())


_NO_GROUP: Final = ""


def _of_group(records: list[Owned]) -> list[Owned]:
    """Keep the group of the shallowest key, and all without a group; all, where two groups are shallowest."""
    if len(records) == 1:
        return records
    grouped = [(owned.key.count(b"/"), owned.record.group) for owned in records if owned.record.group]
    if not grouped:
        return records
    depth = min(grouped)[0]
    groups = {group for level, group in grouped if level == depth}
    if len(groups) > 1:
        return records
    return [owned for owned in records if owned.record.group in (*groups, _NO_GROUP)]
