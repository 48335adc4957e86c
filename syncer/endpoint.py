"""Endpoints: names with targets, as Kubernetes objects ask for them, in one canonical form. Pure.

A name is ASCII, lower case and without the final dot. A target is the canonical text of an address, or a
name. Equal things are equal strings, so nothing above this module normalises again.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

RecordType = Literal["A", "AAAA", "CNAME", "MX", "PTR", "SRV", "TXT"]

MAX_NAME: Final = 238
"""Characters of a published name: 255 octets in wire form (RFC 1035 §2.3.4) - 2 for its own form - 6 for the
`cname-` of its ownership key - 9 for the label that tells keys of one name apart."""

MAX_LABEL: Final = 63

MAX_TTL: Final = 2**31 - 1
"""Seconds (RFC 2181 §8)."""

Reason = Literal[
    "annotation", "api-version", "conflict", "duplicate", "foreign", "hostname", "namespace", "shape",
    "target", "template", "ttl", "unsupported",
]  # fmt: skip
"""Why something was not published; a closed set, because it labels a metric."""

_CACHED: Final = 4096
"""Addresses kept parsed: thousands of names share a few, and each run meets all of them several times."""

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")


class Rejection(NamedTuple):
    """Something that is not published, and why. The rest of its object is."""

    resource: str
    """The object, as `ingress/default/cheese`, or the file, or the name in etcd."""
    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.detail}"


class ObjectRef(NamedTuple):
    """The object that something came from; its text is the resource label of ownership records."""

    kind: str
    """Lower case, as `ingress`."""
    namespace: str
    name: str
    created: str = ""
    """When, in RFC 3339 and UTC, so that text order is time order; empty where nobody says, as in a file."""
    uid: str = ""

    @property
    def seniority(self) -> tuple[str, str]:
        """What the claimants of one name are sorted by: the older object first, then by text."""
        return self.created, str(self)

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


class Target(NamedTuple):
    type: RecordType
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An RRset that an object asks for."""

    name: str
    type: RecordType
    targets: tuple[str, ...]
    """Sorted, without duplicates, at least one; a CNAME has exactly one. Of SRV `priority weight port host`,
    of MX `preference host`, of TXT the text."""
    ttl: int = 0
    """Seconds; 0 takes the zone's."""
    group: str = ""
    """SkyDNS's group, from the annotation coredns-group."""
    resource: ObjectRef
    wants_ptr: bool = False
    """A reverse record is asked for, by the annotation record-type."""


def host_name(text: str) -> str:
    """Return a host name in canonical form. A leftmost label `*` makes it a wildcard.

    Raises:
        ValueError: no name that DNS clients could ask for; the text says why.
    """
    name = text.removesuffix(".").lower()
    if not name:
        raise ValueError("an empty name")
    if not name.isascii():
        raise ValueError(f"{text!r} is not ASCII; write an internationalised name as xn--…")
    if len(name) > MAX_NAME:
        raise ValueError(f"{name[:40]!r}… has {len(name)} characters; at most {MAX_NAME} can be stored")
    labels = name.split(".")
    for label in labels[1:] if labels[0] == "*" and len(labels) > 1 else labels:
        if len(label) > MAX_LABEL:
            raise ValueError(f"{name!r} has a label of {len(label)} octets; at most {MAX_LABEL} are allowed")
        if not _LABEL.fullmatch(label):
            raise ValueError(f"{text!r} is no host name: the label {label!r}")
    if labels[-1].isdigit():
        raise ValueError(f"{text!r} is neither an address nor a host name")
    return name


@lru_cache(_CACHED)
def address(text: str) -> Target | None:
    """Return the A or AAAA target that an address literal stands for, or None where it is no address.

    An IPv4-mapped IPv6 address is IPv4, as the reader of the records takes it.
    """
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return Target("A", str(parsed))
    if parsed.scope_id is not None:
        return None
    if parsed.ipv4_mapped is not None:
        return Target("A", str(parsed.ipv4_mapped))
    return Target("AAAA", str(parsed))


def target(text: str) -> Target:
    """Return a target in canonical form.

    Raises:
        ValueError: neither an address nor a host name.
    """
    found = address(text) or address(text.removesuffix("."))
    if found is not None:
        return found
    name = host_name(text)
    if "*" in name:
        raise ValueError(f"{text!r} is no target: a wildcard")
    return Target("CNAME", name)


@lru_cache(_CACHED)
def target_order(text: str) -> tuple[int, int, str]:
    """Return what targets are sorted by: addresses in numeric order, then names."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return (9, 0, text)
    return (parsed.version, int(parsed), "")
