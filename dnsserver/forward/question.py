"""What is asked of an upstream, and whether a message answers it. Pure: randomness is an argument."""

from typing import Final, NamedTuple

from dnsserver.wire import const
from dnsserver.wire.message import HEADER_OCTETS
from dnsserver.wire.name import Name

_CASE_BIT: Final = bytes(0x20 if chr(octet).isascii() and chr(octet).isalpha() else 0 for octet in range(256))

_OPT: Final = b"\0\0\x29" + const.UDP_PAYLOAD.to_bytes(2, "big") + b"\0\0"
_DO: Final = 0x8000


class Asked(NamedTuple):
    """A question of class IN with what of a query decides about its answer: the key of all that is kept."""

    name: Name
    type: int
    dnssec_ok: bool
    checking_disabled: bool


def spelled(name: Name, random: bytes) -> bytes:
    """Return a name with the case of each letter as a bit of `random` says, which has as many octets.

    Who answers without having seen the question has to guess it (draft-vixie-dnsext-dns0x20). The octets
    that tell the lengths of labels are no letters.
    """
    letters = int.from_bytes(name.translate(_CASE_BIT))
    return (int.from_bytes(name) ^ (letters & int.from_bytes(random))).to_bytes(len(name))


def query(asked: Asked, ident: int, name: bytes) -> bytes:
    """Return the query for an upstream, with the name as spelled in `name`.

    It has an OPT record of its own: nothing that a client put into one goes on, but DO (RFC 6891 §6.1.1).
    """
    flags = const.RD | (const.CD if asked.checking_disabled else 0)
    return b"".join(
        (
            ident.to_bytes(2, "big"),
            flags.to_bytes(2, "big"),
            b"\0\1\0\0\0\0\0\1",
            name,
            asked.type.to_bytes(2, "big"),
            const.IN.to_bytes(2, "big"),
            _OPT,
            (_DO if asked.dnssec_ok else 0).to_bytes(2, "big"),
            b"\0\0",
        )
    )


def question_end(name: bytes) -> int:
    """Return the offset past the question of a query for a name."""
    return HEADER_OCTETS + len(name) + 4


def matches(message: bytes, ident: int, name: bytes, asked: Asked) -> bool:
    """Say whether a message is a response to this query, its name in any case (RFC 5452 §9.1)."""
    end = question_end(name)
    return (
        len(message) >= end
        and message[:2] == ident.to_bytes(2, "big")
        and message[2] & 0xF8 == 0x80  # a response, to opcode QUERY
        and message[4:6] == b"\0\1"
        and message[12 : end - 4].lower() == name.lower()
        and message[end - 4 : end] == asked.type.to_bytes(2, "big") + const.IN.to_bytes(2, "big")
    )
