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


def denial(qtype: int, rcode: int) -> int:
    """Return the key of a zone's denials, less the octets of the question's name.

    Types that are counted apart have denials of their own: what is compiled says where to count it.
    """
    return kind_of(qtype) << 12 | rcode << 8


VIEWS: Final = frozenset({const.SRV, const.MX, const.PTR})
"""Types that SkyDNS has of any host; compiled only when somebody asks for them."""

ORDINARY: Final = {
    in_wire_form(kind): kind for kind in range(1, 300) if kind not in META | VIEWS and is_kept(kind)
}
"""Type and class, in wire form, for which a node that has none of it answers NODATA → the type."""
