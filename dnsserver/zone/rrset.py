"""RRsets: the data of one type at one name."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from dnsserver.wire import const
from dnsserver.wire.name import Name


class RRset(NamedTuple):
    type: int
    ttl: int
    """Seconds, 0..2^31-1; one for all its records (RFC 2181 §5.2)."""
    rdatas: tuple[bytes, ...]
    """Each once, names uncompressed."""


RRsets = Mapping[int, RRset]
"""Type → RRset, of one name."""

NONE: Final[RRsets] = {}


def soa_rdata(
    mname: Name, rname: Name, serial: int, *, refresh: int, retry: int, expire: int, minimum: int
) -> bytes:
    """Return SOA rdata (RFC 1035 §3.3.13); times in seconds."""
    numbers = (serial & 0xFFFF_FFFF, refresh, retry, expire, minimum)
    return mname + rname + b"".join(number.to_bytes(4, "big") for number in numbers)


def merged(own: RRsets, other: RRsets) -> RRsets:
    """Return the RRsets of both, where `own` wins a type that both have.

    A CNAME stands alone (RFC 1034 §3.6.2): with a CNAME of its own `own` is all there is, and a CNAME
    of the other is left out beside anything of `own`.
    """
    if not own or not other:
        return own or other
    if const.CNAME in own:
        return own
    return {**{kind: rrset for kind, rrset in other.items() if kind != const.CNAME}, **own}
