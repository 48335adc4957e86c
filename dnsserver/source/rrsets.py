"""SkyDNS records to RRsets: A, AAAA and CNAME by `host`, TXT by `text`. Pure.

Where CoreDNS's etcd plugin serves an owner's note or hides a host behind it, the host is served and the
note is not.
"""

from collections.abc import Sequence
from typing import Final

from dnsserver.skydns.key import Labels
from dnsserver.skydns.record import MAX_TTL, Record, RecordError, is_ownership
from dnsserver.wire import const, name, rdata
from dnsserver.wire.name import Name, NameFault
from dnsserver.zone.rrset import RRset, RRsets
from dnsserver.zone.zone import Stored


def owner_of(labels: Labels, record: Record) -> Name:
    """Return the name that owns a record: its key's, less the labels that targetstrip cuts.

    More to cut than there are labels cuts none, as in CoreDNS.

    Raises:
        RecordError: the labels make no name.
    """
    strip = record.targetstrip if record.targetstrip < len(labels) else 0
    try:
        return name.from_labels(labels[strip:])
    except NameFault as fault:
        raise RecordError("key", str(fault)) from None


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


def rrsets_of(records: Sequence[Stored], default_ttl: int) -> RRsets:
    """Return the RRsets of the records that answer one name, given in key order.

    Of two keys that differ in case only the first counts; of the groups the shallowest key's; equal
    data is served once, with the smallest TTL of its RRset. A CNAME beside other data is left out, of
    several CNAMEs the first is served (RFC 1034 §3.6.2).
    """
    data: dict[int, dict[bytes, int]] = {}
    for _, record in _of_group(_without_case_twins(records)):
        ttl = min(record.ttl or default_ttl, MAX_TTL)
        for kind, octets in _rdata(record):
            ttls = data.setdefault(kind, {})
            ttls[octets] = min(ttl, ttls.get(octets, ttl))
    if const.CNAME in data:
        if len(data) > 1:
            del data[const.CNAME]
        else:
            target, ttl = next(iter(data[const.CNAME].items()))
            data[const.CNAME] = {target: ttl}
    return {kind: RRset(kind, min(ttls.values()), tuple(ttls)) for kind, ttls in data.items()}


def _rdata(record: Record) -> list[tuple[int, bytes]]:
    found = []
    if record.host:
        found.append(rdata.address(record.host) or (const.CNAME, _target(record.host)))
    if record.text and not (record.host and is_ownership(record.text)):
        found.append((const.TXT, rdata.strings([record.text.encode("utf-8")])))
    return found


def _target(host: str) -> Name:
    # Hosts are absolute, with or without the final dot, and have no zone-file escapes.
    labels = host.removesuffix(".").encode("utf-8").split(b".")
    try:
        return name.from_labels(labels)
    except NameFault as fault:
        raise RecordError("host", f"host: {fault}") from None


def _without_case_twins(records: Sequence[Stored]) -> list[Stored]:
    seen: set[bytes] = set()
    return [
        stored
        for stored in records
        if (folded := stored.key.lower()) not in seen and not seen.add(folded)  # type: ignore[func-returns-value]
    ]


_NO_GROUP: Final = ""


def _of_group(records: list[Stored]) -> list[Stored]:
    """Keep the group of the shallowest key, and all without a group; all, where two groups are shallowest."""
    if len(records) == 1:
        return records
    grouped = [(stored.key.count(b"/"), stored.record.group) for stored in records if stored.record.group]
    if not grouped:
        return records
    depth = min(grouped)[0]
    groups = {group for level, group in grouped if level == depth}
    if len(groups) > 1:
        return records
    return [stored for stored in records if stored.record.group in (*groups, _NO_GROUP)]
