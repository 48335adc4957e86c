"""Responses made shorter, and longer, by who stands between them and the client."""

from typing import Final

from dnsserver.wire import const
from dnsserver.wire.message import HEADER_OCTETS, opt_of
from dnsserver.wire.name import FormatError, end_of_name

_OPT: Final = b"\0\0\x29" + const.UDP_PAYLOAD.to_bytes(2, "big")
"""How an OPT record of ours begins."""
_OPT_OCTETS: Final = 11


def truncated(response: bytes) -> bytes:
    """Return a response that says to ask over TCP (RFC 2181 §9): its header, question and OPT alone."""
    end = HEADER_OCTETS
    if response[4:6] != b"\0\0":
        end = end_of_name(response, end) + 4
    opt = _bare_opt(response)
    flags = bytes((response[2] | const.TC >> 8, response[3]))
    counts = b"\0\0\0\0\0" + bytes((1 if opt else 0,))
    return response[:2] + flags + response[4:6] + counts + response[HEADER_OCTETS:end] + opt


def bad_cookie(response: bytes) -> bytes:
    """Return a response that says to ask again with the cookie it will have (RFC 7873 §5.2.3).

    Without an OPT record, which the code needs, it is truncated.
    """
    short = truncated(response)
    if short[11] == 0:
        return short
    flags = short[2] & ~((const.AA | const.TC) >> 8)
    codes = bytes((flags, short[3] & 0xF0 | const.BADCOOKIE & 15))
    # The upper bits of the code begin the TTL of the OPT record, which ends the message without an option.
    return short[:2] + codes + short[4:-6] + bytes((const.BADCOOKIE >> 4,)) + short[-5:]


def _bare_opt(response: bytes) -> bytes:
    try:
        found = opt_of(response)
    except FormatError:
        found = None
    return response[found[0] : found[0] + 9] + b"\0\0" if found else b""


def with_option(response: bytes, option: bytes) -> bytes:
    """Return a response with one more EDNS option; as it is, if its last record is no OPT."""
    if response[-_OPT_OCTETS:-6] == _OPT and response[-2:] == b"\0\0":
        return response[:-2] + len(option).to_bytes(2, "big") + option
    try:
        found = opt_of(response)
    except FormatError:
        return response
    if found is None or found[1] != len(response):
        return response
    at = found[0] + _OPT_OCTETS
    whole = response[at:] + option
    return response[: at - 2] + len(whole).to_bytes(2, "big") + whole
