"""The file that keeps a table over a restart, octet by octet. Pure.

A line that names format and version; a line of JSON with what is of all records; each key with its value as
etcd has it, after their lengths (32 bits each, big-endian); two lengths of zero; SHA-256 of all of that.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from dnsserver.skydns.entry import Entry, Head
from dnsserver.skydns.key import Key
from dnsserver.skydns.record import encode
from dnsserver.zone.zone import Stored, Zone

MAGIC: Final = b"dnsserver table, version 1\n"

DIGEST: Final = 32
"""Octets of the checksum."""

END: Final = bytes(8)

_LENGTHS: Final = struct.Struct(">II")


class SavedFault(Exception):
    """A file that is not to be used; the text says why."""


class SavedZone(NamedTuple):
    serial: int
    fingerprint: str
    """Of what the configuration says of the zone."""


class Header(NamedTuple):
    prefix: str
    head: Head
    """All changes up to this revision are in the file, and maybe some later ones."""
    zones: dict[str, SavedZone]
    """By apex, in hexadecimal; a zone that is not here was not served."""


def fingerprint(zone: Zone) -> str:
    """Return a digest of what the configuration says of a zone: its SOA and its static records."""
    fixed = (
        zone.soa,
        zone.ttl,
        zone.soa_ttl,
        sorted((name, sorted(rrsets.items())) for name, rrsets in zone.static.items()),
    )
    return hashlib.sha256(repr(fixed).encode()).hexdigest()


def header_octets(header: Header) -> bytes:
    """Return the begin of a file."""
    return MAGIC + json.dumps(header).encode() + b"\n"


def item(stored: Stored) -> bytes:
    """Return what a file has of a record."""
    value = encode(stored.record)
    return _LENGTHS.pack(len(stored.key), len(value)) + stored.key + value


def read_header(line: Callable[[], bytes]) -> Header:
    """Read the begin of a file, `line` by line.

    Raises:
        SavedFault: it is of another format or version.
    """
    if line() != MAGIC:
        raise SavedFault("it is of another format or version")
    try:
        prefix, head, zones = json.loads(line())
        return Header(prefix, Head(*head), {apex: SavedZone(*zone) for apex, zone in zones.items()})
    except (ValueError, TypeError, AttributeError):
        raise SavedFault("its header cannot be read") from None


def read_items(read: Callable[[int], bytes]) -> Iterator[Entry]:
    """Yield what follows the header of a file whose checksum is right."""
    while True:
        key, value = _LENGTHS.unpack(read(_LENGTHS.size))
        if not key:
            return
        yield Entry(Key(read(key)), read(value), 0)
