"""Targets ↔ SkyDNS values, by type of record. Pure.

SkyDNS knows addresses, host names and texts; SRV is a host name with a port, MX one with `mail`, and PTR
one at a reverse name. A priority, preference or weight of 0 is an unset field, for which readers take their
own default.
"""

from collections.abc import Callable
from typing import Final

from dnsserver.skydns.record import Record
from syncer.endpoint import RecordType, address

_REVERSE: Final = (".in-addr.arpa", ".ip6.arpa")


def record_of(type_: RecordType, data: str, *, text: str = "", ttl: int = 0, group: str = "") -> Record:
    """Return the value for a target in canonical form; `text` is a note of ownership beside it."""

    def made(**fields: object) -> Record:
        make: Callable[..., Record] = Record
        return make(**{"text": text, "ttl": ttl, "group": group, "targetstrip": 1, **fields})

    match type_:
        case "A" | "AAAA" | "CNAME" | "PTR":
            return made(host=data)
        case "MX":
            preference, host = data.split(" ")
            return made(host=host, priority=int(preference), mail=True)
        case "SRV":
            priority, weight, port, host = data.split(" ")
            return made(host=host, priority=int(priority), weight=int(weight), port=int(port))
        case "TXT":
            return made(text=data)


def target_of(name: str, record: Record) -> tuple[RecordType, str]:
    """Return the type of a value and its target in canonical form."""
    if not record.host:
        return "TXT", record.text
    if found := address(record.host):
        return found.type, found.text
    host = record.host.lower().removesuffix(".")
    if record.mail:
        return "MX", f"{record.priority} {host}"
    if record.port:
        return "SRV", f"{record.priority} {record.weight} {record.port} {host}"
    return ("PTR" if name.endswith(_REVERSE) else "CNAME"), host
