"""Ownership texts, the names they stand at, and the labels that tell keys of one name apart. Pure.

Also for a name at a zone's apex the ownership stands at `a-k8s.local`, outside the zone, as with
ExternalDNS: a syncer knows names and no apexes, ExternalDNS can take over again, and no reader serves it.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from dnsserver.skydns.key import MAX_LABEL
from syncer.endpoint import RecordType

TYPES: Final[tuple[RecordType, ...]] = ("A", "AAAA", "CNAME")

_HERITAGE: Final = "heritage=external-dns"
_OWNER: Final = "external-dns/owner="
_RESOURCE: Final = "external-dns/resource="
_LABEL: Final = re.compile(r"[0-7][0-9a-f]{7}")
_OWNER_ID: Final = re.compile(r"[A-Za-z0-9_.:/@-]{1,200}")


class Ownership(NamedTuple):
    owner_id: str
    resource: str
    """The object the record was made for; empty where the text does not say."""


def is_owner_id(text: str) -> bool:
    """Say whether a text can be an owner id: it must survive in a list with commas, within quotes."""
    return _OWNER_ID.fullmatch(text) is not None


def text_of(ownership: Ownership) -> str:
    """Return the text of an ownership, with the literal quotes that ExternalDNS writes."""
    return f'"{_HERITAGE},{_OWNER}{ownership.owner_id},{_RESOURCE}{ownership.resource}"'


def parse_text(text: str) -> Ownership | None:
    """Return the ownership in a record's text, or None where it is none of ExternalDNS's convention."""
    heritage, *labels = text.strip().strip('"').split(",")
    if heritage != _HERITAGE:
        return None
    owner = next((part.removeprefix(_OWNER) for part in labels if part.startswith(_OWNER)), "")
    resource = next((part.removeprefix(_RESOURCE) for part in labels if part.startswith(_RESOURCE)), "")
    return Ownership(owner, resource) if owner else None


def name_of_ownership(name: str, type_: RecordType) -> str | None:
    """Return the name below which a record's ownership stands; None where its label would be too long.

    For such a name the ownership is the text of the records themselves.
    """
    label, dot, rest = name.partition(".")
    long = f"{type_.lower()}-{label}"
    return long + dot + rest if len(long) <= MAX_LABEL else None


def names_owned(name: str) -> Iterator[tuple[str, RecordType]]:
    """Yield the names and types that an ownership text at `name` may be about, the likeliest first.

    Without a type in the name it is about the name itself, but for AAAA: that is what ExternalDNS wrote
    before it knew AAAA.
    """
    for type_ in TYPES:
        if name.startswith(prefix := f"{type_.lower()}-"):
            yield name.removeprefix(prefix), type_
            return
    yield name, "A"
    yield name, "CNAME"


def label_of(name: str, type_: str, data: str, salt: int = 0) -> str:
    """Return the label of a key, of the form that ExternalDNS draws at random: 31 bits in hex.

    It depends on the record alone, so a repeated write hits the same key, and two writers collide
    instead of doubling the record. `salt` gives another where a stranger's key has taken that one.
    """
    octets = "\0".join((name, type_, data, *([str(salt)] if salt else ()))).encode("utf-8", "surrogateescape")
    return f"{int.from_bytes(hashlib.sha256(octets).digest()[:4]) & 0x7FFFFFFF:08x}"


def is_label(label: bytes) -> bool:
    """Say whether a key's label is one that ExternalDNS or a syncer would have made."""
    return _LABEL.fullmatch(label.decode("latin-1")) is not None
