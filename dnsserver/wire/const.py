"""Numbers of the protocol, as IANA lists them.

Plain ints, not an IntEnum: on the query path an enum member costs four times as much.
"""

from typing import Final

# Types.
A: Final = 1
NS: Final = 2
CNAME: Final = 5
SOA: Final = 6
PTR: Final = 12
MX: Final = 15
TXT: Final = 16
AAAA: Final = 28
SRV: Final = 33
DNAME: Final = 39
OPT: Final = 41
DS: Final = 43
RRSIG: Final = 46
NSEC: Final = 47
TSIG: Final = 250
IXFR: Final = 251
AXFR: Final = 252
ANY: Final = 255

TYPES: Final[dict[str, int]] = {
    "A": A,
    "NS": NS,
    "CNAME": CNAME,
    "SOA": SOA,
    "PTR": PTR,
    "HINFO": 13,
    "MX": MX,
    "TXT": TXT,
    "RP": 17,
    "AAAA": AAAA,
    "LOC": 29,
    "SRV": SRV,
    "NAPTR": 35,
    "DNAME": DNAME,
    "DS": DS,
    "SSHFP": 44,
    "RRSIG": RRSIG,
    "NSEC": NSEC,
    "DNSKEY": 48,
    "TLSA": 52,
    "SVCB": 64,
    "HTTPS": 65,
    "SPF": 99,
    "CAA": 257,
}
"""Types by mnemonic; any other is written TYPE<number> (RFC 3597 §5)."""

TYPE_NAMES: Final[dict[int, str]] = {number: name for name, number in TYPES.items()}

# Classes.
IN: Final = 1
CH: Final = 3

# Opcodes.
QUERY: Final = 0

# Response codes; those above 15 need an OPT record.
NOERROR: Final = 0
FORMERR: Final = 1
SERVFAIL: Final = 2
NXDOMAIN: Final = 3
NOTIMP: Final = 4
REFUSED: Final = 5
NOTAUTH: Final = 9
BADVERS: Final = 16
BADCOOKIE: Final = 23

RCODES: Final[dict[int, str]] = {
    NOERROR: "NOERROR",
    FORMERR: "FORMERR",
    SERVFAIL: "SERVFAIL",
    NXDOMAIN: "NXDOMAIN",
    NOTIMP: "NOTIMP",
    REFUSED: "REFUSED",
    NOTAUTH: "NOTAUTH",
    BADVERS: "BADVERS",
    BADCOOKIE: "BADCOOKIE",
}

# Errors of a TSIG record, in it (RFC 8945 §3).
BADSIG: Final = 16
BADKEY: Final = 17
BADTIME: Final = 18
BADTRUNC: Final = 22

# Header flags, in the second 16 bits of a message.
QR: Final = 0x8000
AA: Final = 0x0400
TC: Final = 0x0200
RD: Final = 0x0100
RA: Final = 0x0080
CD: Final = 0x0010

# Extended DNS errors (RFC 8914).
EDE_NOT_READY: Final = 14
EDE_PROHIBITED: Final = 18
EDE_NOT_AUTHORITATIVE: Final = 20
EDE_NO_REACHABLE: Final = 22

UDP_PAYLOAD: Final = 1232
"""Octets we offer and honour over UDP: 1280 (IPv6 minimum MTU) - 40 - 8. DNS Flag Day 2020."""

UDP_MINIMUM: Final = 512
"""Octets of a UDP message without EDNS (RFC 1035 §4.2.1); less in an OPT counts as this (RFC 6891 §6.2.3)."""

TCP_MAXIMUM: Final = 65_535
"""Octets of a message over TCP: its length is 16 bits (RFC 1035 §4.2.2)."""

MAX_TTL: Final = 2**31 - 1
"""Seconds (RFC 2181 §8)."""
