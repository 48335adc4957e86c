"""TSIG (RFC 8945): is a query signed with a key of ours, and the signatures of its response. Pure.

MACs are dnspython's work, which compares them in constant time. Time is an argument.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.tsig
import dns.wire

from dnsserver.wire import const
from dnsserver.wire.name import Name, canonical, labels_of

FUDGE: Final = 300
"""Seconds that the clocks of both may differ by (RFC 8945 §10)."""

_LEAST_MAC: Final = 10
"""Octets of a truncated MAC, or half of the whole one if that is more (RFC 8945 §5.2.2.1)."""

Keys = Mapping[Name, dns.tsig.Key]

_Tsig = dns.rdtypes.ANY.TSIG.TSIG


def key(name: Name, algorithm: str, secret: bytes) -> dns.tsig.Key:
    """Return a key. `algorithm` is hmac-sha256 or hmac-sha512."""
    return dns.tsig.Key(dnspython_name(name), secret, dns.name.from_text(algorithm))


def dnspython_name(name: Name) -> dns.name.Name:
    return dns.name.Name([*labels_of(name), b""])


class Signature:
    """Signs the messages of one response, in their order (RFC 8945 §5.3.1).

    Where the key is not known or did not sign the query, it adds an unsigned TSIG that says so.
    """

    def __init__(self, owner: dns.name.Name, request: _Tsig, key: dns.tsig.Key | None, error: int) -> None:
        self._owner, self._request, self._key, self._error = owner, request, key, error
        self._context: Any = None

    @property
    def octets(self) -> int:
        """How much a signature adds to a message, at most."""
        mac = dns.tsig.mac_sizes[self._key.algorithm] if self._key else 0
        return len(self._owner.to_digestable()) + len(self._request.algorithm.to_digestable()) + mac + 32

    def sign(self, message: bytes, now: int) -> bytes:
        """Return the message with its TSIG record."""
        # The client whose clock is off must be able to verify this, so it reads its own time.
        late = self._error == const.BADTIME
        record: Any = _Tsig(
            dns.rdataclass.ANY,
            dns.rdatatype.TSIG,
            self._request.algorithm,
            self._request.time_signed if late else now,
            FUDGE,
            b"",
            struct.unpack_from(">H", message)[0],
            self._error,
            now.to_bytes(6, "big") if late else b"",
        )
        if self._key:
            record, self._context = dns.tsig.sign(
                message, self._key, record, record.time_signed, self._request.mac, self._context, True
            )
        rdata: bytes = record.to_wire()
        count = struct.unpack_from(">H", message, 10)[0] + 1
        fixed = struct.pack(">HHIH", const.TSIG, dns.rdataclass.ANY, 0, len(rdata))
        owner: bytes = self._owner.to_digestable()
        return b"".join((message[:10], count.to_bytes(2, "big"), message[12:], owner, fixed, rdata))


class Verdict(NamedTuple):
    """What a query's TSIG is worth."""

    rcode: int
    """NOERROR; NOTAUTH, with the reason in the signature; FORMERR, without a signature."""
    query: bytes
    """The query less its TSIG record."""
    key: Name | None = None
    """The key that signed it."""
    signature: Signature | None = None
    """Of the response."""


def verified(query: bytes, tsig_at: int, keys: Keys, now: int) -> Verdict:
    """Judge a query whose TSIG record begins at `tsig_at`. Total."""
    count = struct.unpack_from(">H", query, 10)[0] - 1
    bare = query[:10] + count.to_bytes(2, "big") + query[12:tsig_at]
    parser = dns.wire.Parser(query, tsig_at)
    try:
        owner = parser.get_name()
        kind, cls, ttl, octets = parser.get_struct("!HHIH")
        with parser.restrict_to(octets):
            request: Any = dns.rdata.from_wire_parser(cls, kind, parser)
    except dns.exception.DNSException:
        return Verdict(const.FORMERR, bare)
    # Neither class nor TTL is signed as it came: both are what they must be (RFC 8945 §4.2).
    if cls != dns.rdataclass.ANY or ttl or not isinstance(request, _Tsig) or request.error:
        return Verdict(const.FORMERR, bare)

    def refused(error: int, key: dns.tsig.Key | None = None) -> Verdict:
        return Verdict(const.NOTAUTH, bare, signature=Signature(owner, request, key, error))

    name = canonical(owner.to_digestable())
    known = keys.get(name)
    if known is None or known.algorithm != request.algorithm:
        return refused(const.BADKEY)
    whole = dns.tsig.mac_sizes[known.algorithm]
    if len(request.mac) != whole:
        legal = max(_LEAST_MAC, whole // 2) <= len(request.mac) < whole
        # It is not verified, so the response is not signed either.
        return refused(const.BADTRUNC) if legal else Verdict(const.FORMERR, bare)
    try:
        dns.tsig.validate(query, known, known.name, request, now, b"", tsig_at)
    except dns.tsig.BadTime:
        return refused(const.BADTIME, known)
    except dns.tsig.BadSignature:
        return refused(const.BADSIG)
    return Verdict(const.NOERROR, bare, name, Signature(owner, request, known, 0))
