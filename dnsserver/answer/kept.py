"""Of which types answers are kept for the next query. Pure."""

from typing import Final

from dnsserver.answer.tally import kind_of
from dnsserver.wire import const


def in_wire_form(kind: int) -> bytes:
    """Return type and class IN, as they stand in a question."""
    return kind.to_bytes(2, "big") + b"\0\1"


def is_kept(kind: int) -> bool:
    """Say whether answers of a type are kept for the next query.

    A question is looked up folded as a whole, and 65 is `A`. So nothing is kept of a type with octets that
    are lower-case letters, such as 97, which would answer for its twin in upper case; and what is kept of
    that twin is found only by its exact octets, in `absent`.
    """
    octets = in_wire_form(kind)
    return octets == octets.upper()


META: Final = frozenset({const.OPT, 249, const.TSIG, const.IXFR, const.AXFR, 253, 254, const.ANY})
"""Types of which no name has data (RFC 6895 §3.1)."""


def denial(kind: int, rcode: int) -> int:
    """Return the key of a zone's denials for a kind of types, less the octets of the question's name.

    Kinds are those of Tally, which counts them apart, so they have denials of their own.
    """
    return kind << 12 | rcode << 8


VIEWS: Final = frozenset({const.SRV, const.MX, const.PTR})
"""Types that SkyDNS has of any host; compiled only when somebody asks for them."""

COMPLETE: Final = 1
LACKS: Final = {in_wire_form(kind): 2 << place for place, kind in enumerate(sorted(VIEWS))}
"""Bits of Node.complete: every ordinary type that it has is kept; by type and class, which view it lacks."""

_FIRST_OTHER: Final = 300
"""From here on no type is counted apart."""

_KEYS: Final = {
    in_wire_form(kind): denial(kind_of(kind), const.NOERROR)
    for kind in range(1, _FIRST_OTHER)
    if kind not in META and is_kept(kind)
}

ORDINARY: Final = {asked: key for asked, key in _KEYS.items() if asked not in LACKS}
"""Type and class, in wire form, of which a node that is COMPLETE and has no answer has none → the key."""

EXACT: Final = frozenset(asked for asked in ORDINARY if asked != asked.lower())
"""Those of which a question changes when it is folded, as with 65, which is `A`."""


OUTSIDE: Final = b"OUTSIDE"
"""In the place of the octets behind a label: what names outside all zones get, by kind of type. In upper
case, so it is behind no label of a folded question."""


def denials(asked: bytes) -> int | None:
    """Return the key of NODATA for a type and class in wire form, less the octets of the name.

    None for another class, and for types of which no name has data or nothing is kept.
    """
    key = _KEYS.get(asked)
    if key is not None or asked[2:] != b"\0\1":
        return key
    kind = asked[0] << 8 | asked[1]
    return denial(0, const.NOERROR) if kind >= _FIRST_OTHER and is_kept(kind) else None
