"""SkyDNS values: the JSON that CoreDNS's etcd plugin reads and ExternalDNS writes.

Nothing here is trusted: a value that is no record is a `RecordError`, whatever its octets. Pure.
"""

import json
import re
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

MAX_VALUE: Final = 65_536
"""Octets of a value; a longer one is rejected before it is parsed (etcd allows 1.5 MiB)."""

MAX_TTL: Final = 2**31 - 1
"""Seconds. RFC 2181 §8: a TTL with the high bit set counts as 0, so none is ever served."""

Reason = Literal["size", "encoding", "json", "shape", "type", "range", "host", "key"]
"""Why a key was rejected; a closed set, because it labels a metric."""


class RecordError(ValueError):
    """A stored key or value that is no record. The reader skips the key and counts it by `reason`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


class Record(NamedTuple):
    """One SkyDNS value. A field with its default is unset."""

    host: str = ""
    """IPv4, IPv6 or a host name; decides A, AAAA or CNAME."""
    port: int = 0
    """SRV port."""
    priority: int = 0
    """SRV priority, MX preference; 0 means 10."""
    weight: int = 0
    """SRV weight; 0 means 100."""
    text: str = ""
    """TXT data, or ownership text when it begins with `heritage=`."""
    mail: bool = False
    """True makes it an MX record."""
    ttl: int = 0
    """Seconds, 0..2^32-1; 0 takes the zone's."""
    targetstrip: int = 0
    """How many leftmost labels of the key do not belong to the name."""
    group: str = ""
    """Of several groups below one name, the shallowest key's is served."""
    owner: str = ""
    """ExternalDNS's owner id under --coredns-strictly-owned."""


_STRINGS: Final = frozenset({"host", "text", "group", "owner"})
_RANGES: Final[dict[str, tuple[int, int]]] = {
    "port": (-(2**63), 2**63 - 1),
    "priority": (-(2**63), 2**63 - 1),
    "weight": (-(2**63), 2**63 - 1),
    "ttl": (0, 2**32 - 1),
    "targetstrip": (0, 127),
}
_ORDER: Final = Record._fields
_EMPTY: Final = Record()


def _unset(name: str) -> str:
    raise RecordError("json", f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_unset)

_USUAL: Final = re.compile(rb'\{"host":"([0-9A-Za-z.:_-]+)"(.{1,60})', re.DOTALL)
"""A host that JSON has as it is, and the rest, which many values share."""

_ANY_HOST: Final = "-" * 61
"""Too long to stand in such a rest."""

FORMS: Final = 1024
"""Such rests that are kept in mind with what they mean."""


def decode(value: bytes) -> Record:
    """Return the record of a stored value, as CoreDNS 1.14 reads it.

    Field names match case-insensitively, the last duplicate wins, unknown fields are ignored, `null`
    leaves a field unset; `null` and `{}` are the empty record.

    Raises:
        RecordError: over 64 KiB, not UTF-8, not JSON, no object, or a field of the wrong type or range.
    """
    usual = _USUAL.fullmatch(value)
    if usual and (form := _form(usual[2])):
        return Record(usual[1].decode("ascii"), *form)
    return parse(value)


@lru_cache(FORMS)
def _form(rest: bytes) -> tuple[Any, ...] | None:
    """Return all fields but the host of a value that goes on like this; None if that is no record.

    Nor is it where a host stands in the rest again, which would count instead.
    """
    try:
        host, *form = parse(b'{"host":"%b"%b' % (_ANY_HOST.encode(), rest))
    except RecordError:
        return None
    return tuple(form) if host == _ANY_HOST else None


def parse(value: bytes) -> Record:
    """Return what `decode` does, the long way: this is its definition."""
    if len(value) > MAX_VALUE:
        raise RecordError("size", f"{len(value)} octets; at most {MAX_VALUE} are read")
    try:
        document = _DECODER.decode(value.decode("utf-8"))
    except UnicodeDecodeError:
        raise RecordError("encoding", "not UTF-8") from None
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:
        raise RecordError("json", f"not JSON: {str(error)[:80]}") from None
    if document is None:
        return _EMPTY
    if not isinstance(document, dict):
        raise RecordError("shape", f"expected a JSON object, got {type(document).__name__}")
    known: dict[str, Any] = {}
    for key, item in document.items():
        name = key if key in _ORDER else key.lower()
        if item is not None and name in _ORDER:
            known[name] = _checked(name, item)
    return Record(**known)


def _checked(name: str, item: object) -> object:
    if name in _STRINGS:
        if not isinstance(item, str):
            raise RecordError("type", f"{name}: expected a string, got {type(item).__name__}")
        if not item.isascii():
            try:
                item.encode("utf-8")
            except UnicodeEncodeError:
                raise RecordError("encoding", f"{name}: a lone surrogate") from None
        return item
    if name == "mail":
        if not isinstance(item, bool):
            raise RecordError("type", f"mail: expected true or false, got {type(item).__name__}")
        return item
    if not isinstance(item, int) or isinstance(item, bool):
        raise RecordError("type", f"{name}: expected a whole number, got {type(item).__name__}")
    low, high = _RANGES[name]
    if not low <= item <= high:
        raise RecordError("range", f"{name}: expected {low}..{high}")
    return item


_GO_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def encode(record: Record) -> bytes:
    """Return the value that ExternalDNS would write: compact, its field order, unset fields left out."""
    document = {name: value for name in _ORDER if (value := getattr(record, name))}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_GO_ESCAPES).encode("utf-8")
