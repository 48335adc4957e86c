"""What is served, record by record: as text, as JSON lines, and as a zone file.

The zone is listed as a transfer has it: a legal zone, without what SkyDNS only tells again of a host.
"""

import json
from collections.abc import Iterable, Iterator

from dnsserver.source.provenance import NONE_OUTSIDE, Ownerships, Row, rows
from dnsserver.transfer.contents import Contents
from dnsserver.wire import const
from dnsserver.wire.name import Name, labels_of, to_text
from dnsserver.zone.presentation import data, mnemonic, shown
from dnsserver.zone.rrset import RRsets
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Zone


def listed(table: ZoneTable, zone: Zone, outside: Ownerships = NONE_OUTSIDE) -> Iterator[Row]:
    """Yield the RRs of a zone: those of its apex, SOA first, then name by name in the order of DNSSEC."""
    contents = Contents(table, zone)
    names = [owner for owner, node in table.nodes.items() if node.zone is zone]
    for owner in sorted(names, key=_canonical):
        soa: RRsets = {const.SOA: zone.soa_rrset()} if owner == zone.apex else {}
        yield from rows(table, owner, {**soa, **contents(owner)}, outside)


def _canonical(owner: Name) -> tuple[bytes, ...]:
    """Return the key of a name in canonical order (RFC 4034 §6.1)."""
    return labels_of(owner)[::-1]


def as_text(found: Iterable[Row], zone: Zone) -> Iterator[str]:
    """Yield a line for each RR: owner, TTL, type and data, then what it comes from."""
    for row in found:
        yield f"{_line(row)}\t; {_source(row)}"


def as_zone_file(found: Iterable[Row], zone: Zone) -> Iterator[str]:
    """Yield the lines of a zone file (RFC 1035 §5), all names absolute."""
    yield f"$ORIGIN {to_text(zone.apex)}"
    yield from map(_line, found)


def as_json(found: Iterable[Row], zone: Zone) -> Iterator[str]:
    """Yield one JSON object a line; `key` and `object` are null where there is none."""
    for row in found:
        yield json.dumps(
            {
                "zone": to_text(zone.apex),
                "name": to_text(row.name),
                "type": mnemonic(row.type),
                "ttl": row.ttl,
                "data": data(row.type, row.rdata),
                "key": shown(row.source.key) if row.source else None,
                "object": row.object or None,
            },
            ensure_ascii=False,
        )


def _line(row: Row) -> str:
    return f"{to_text(row.name)}\t{row.ttl}\tIN\t{mnemonic(row.type)}\t{data(row.type, row.rdata)}"


def _source(row: Row) -> str:
    if row.source is None:
        return "configuration"
    return f"{shown(row.source.key)} {row.object or 'object unknown'}"


FORMS = {"text": as_text, "json": as_json, "zonefile": as_zone_file}
