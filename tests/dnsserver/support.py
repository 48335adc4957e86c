"""Tables and responders made in memory from what an operator writes: the zone YAML, and keys with values."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import dns.message
import yaml

from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Tally, Transport
from dnsserver.build import zone_table
from dnsserver.config import load
from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.record import RecordError, decode
from dnsserver.source.owner import owner_of, path_of
from dnsserver.source.rrsets import checked
from dnsserver.zone.table import Change, ZoneTable

PREFIX = prefix_of("/skydns")
NO_ETCD = "http://127.0.0.1:1"
"""An endpoint where nothing listens."""


def table_of(zones: list[dict[str, Any]], *, etcd: str = "") -> ZoneTable:
    """Return the table of zones as the YAML has them; with `etcd` they wait for a first snapshot."""
    document: dict[str, Any] = {"zones": zones}
    if etcd:
        document["etcd"] = {"endpoints": [etcd]}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "zone.yaml"
        file.write_text(yaml.safe_dump(document), "utf-8")
        return zone_table(load(file))


def change(path: str, value: str | bytes | None) -> Change:
    """Return the change that brings the key below the prefix to a value, or away."""
    key = Key(PREFIX + path.encode())
    spelt = path_of(key, PREFIX)
    if value is None:
        return Change(key, spelt, None, None)
    try:
        record = checked(decode(value if isinstance(value, bytes) else value.encode()))
        return Change(key, spelt, owner_of(spelt, record), record)
    except RecordError:
        return Change(key, spelt, None, None)


def changes(values: Mapping[str, str | bytes | None]) -> Iterator[Change]:
    """Yield the change of each key that can be a name."""
    for path, value in values.items():
        try:
            yield change(path, value)
        except RecordError:
            continue


def filled(
    zones: list[dict[str, Any]], values: Mapping[str, str | bytes | None], revision: int = 7
) -> ZoneTable:
    """Return the table of zones fed by etcd, after a first snapshot that has these values."""
    table = table_of(zones, etcd=NO_ETCD)
    table.apply(changes(values), revision)
    table.mark_synced(revision)
    return table


def raising(error: Exception) -> None:
    """Stand in for the log of faults: a test wants to see them."""
    raise error


_TALLIES: "WeakKeyDictionary[ZoneTable, Tally]" = WeakKeyDictionary()


def responder(table: ZoneTable, transport: Transport = "udp", **options: Any) -> Responder:
    """Return a responder. Those of one table count in one tally: what is compiled says where."""
    return Responder(table, _TALLIES.setdefault(table, Tally()), transport, raising, **options)


def parsed(reply: bytes) -> dns.message.Message:
    """Return a response as dnspython reads it, each RR apart, so that nothing twice is hidden.

    It is read as one to a QUERY whatever its opcode: in an UPDATE dnspython takes questions for zones.
    """
    as_query = reply[:2] + bytes((reply[2] & 0x87,)) + reply[3:]
    return dns.message.from_wire(as_query, one_rr_per_rrset=True)


def lines(section: Iterable[Any]) -> list[str]:
    """Return the RRs of a section as zone-file text: owner, ttl, class, type, data."""
    return [rrset.to_text() for rrset in section]
