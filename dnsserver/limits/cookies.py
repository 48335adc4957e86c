"""DNS cookies (RFC 7873) as all servers make them (RFC 9018): who returns one is where it says it is.

No query is refused for want of a cookie; a good one frees its client from the limit of response rates.
"""

import hmac
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from siphash24 import siphash24

from dnsserver.answer.render import OPT
from dnsserver.handle import Handle, Later, Reply, Response
from dnsserver.limits.message import truncated, with_option
from dnsserver.wire import const
from dnsserver.wire.message import HEADER_OCTETS, extras_of, header_of
from dnsserver.wire.name import FormatError, end_of_name

Refuse = Callable[[bytes, int], bytes | None]
"""(message, rcode) → the response without data."""

COOKIE: Final = 10
"""The EDNS option."""

CLIENT: Final = 8
WHOLE: Final = CLIENT + 16
"""Octets of a client's part, and with the server's part that we make."""

_CODE: Final = b"\0\x0a\0"
"""What a cookie in a query has in it: the option's code and half of its length."""

LENGTHS: Final = frozenset({CLIENT, *range(16, 41)})
"""Octets that the option may have (RFC 7873 §4)."""

MAX_AGE: Final = 3600
MAX_AHEAD: Final = 300
RENEWED_AT: Final = 1800
"""Seconds: how old, and how far ahead of our clock, a cookie may be, and from when on a new one is given."""

MAX_CACHED: Final = 16_384
"""Cookies whose check is remembered; with one more all are forgotten."""


class Verdict(NamedTuple):
    is_valid: bool
    option: bytes
    """The EDNS option with the cookie to return."""
    until: int
    """When this is to be found out anew, in seconds since 1970."""


def made(secret: bytes, client: bytes, address: bytes, now: int) -> bytes:
    """Return the cookie for a client's part, from an address, at a time in seconds since 1970."""
    head = client + b"\1\0\0\0" + (now & 0xFFFF_FFFF).to_bytes(4, "big")
    return head + _hash(head + address, secret)


def _hash(octets: bytes, secret: bytes) -> bytes:
    return bytes(siphash24(octets, key=secret).digest())


def judged(secrets: Sequence[bytes], cookie: bytes, address: bytes, now: int) -> Verdict:
    """Check a cookie against all secrets, and say what to give back, made with the first."""
    client, head = cookie[:CLIENT], cookie[:16]
    age = (now - int.from_bytes(cookie[12:16], "big") + 2**31) % 2**32 - 2**31  # RFC 1982
    is_valid, reply, until = False, b"", now + 1
    if len(cookie) == WHOLE and cookie[CLIENT] == 1 and -MAX_AHEAD <= age <= MAX_AGE:
        made_with = [hmac.compare_digest(_hash(head + address, secret), cookie[16:]) for secret in secrets]
        is_valid = any(made_with)
        if made_with[0] and age < RENEWED_AT and cookie[9:12] == b"\0\0\0":
            reply, until = cookie, now - age + RENEWED_AT
    reply = reply or made(secrets[0], client, address, now)
    return Verdict(is_valid, _CODE + bytes((WHOLE,)) + reply, until)


class Cookies:
    """Reads and gives cookies, and counts. `clock` gives the seconds since 1970."""

    def __init__(self, secrets: Sequence[bytes], clock: Callable[[], float]) -> None:
        self._secrets, self._clock = secrets, clock
        self._judged: dict[bytes, Verdict] = {}
        self.valid = self.new = self.invalid = self.malformed = 0
        """Queries by their cookie; a new one has the client's part alone."""

    def replace(self, secrets: Sequence[bytes]) -> None:
        """Make cookies with the first secret from now on, and take those of all."""
        self._secrets = secrets
        self._judged.clear()

    def around(self, limited: Handle, unproven: Handle, free: Handle, refuse: Refuse, *, udp: bool) -> Handle:
        """Return a Handle that asks `free` for who has a good cookie, `limited` for who has none.

        Who shows a client's part, alone or beside one that is none of ours, is `unproven`.
        """

        def handled(message: bytes, address: bytes, port: int) -> Response:
            query = _asked(message) if message.find(_CODE, HEADER_OCTETS) > 0 else None
            if query is None:
                return limited(message, address, port)
            cookie, plain, room = query
            if len(cookie) not in LENGTHS:
                self.malformed += 1
                return refuse(message, const.FORMERR)
            is_valid, option, _ = self._verdict(cookie, address)
            if not udp:
                room = const.TCP_MAXIMUM
            if message[4:6] == b"\0\0":
                return _given(_nothing_but_opt(message), option, room)
            response = (free if is_valid else unproven)(plain, address, port)
            if isinstance(response, bytes):
                return _given(response, option, room)
            if callable(response):
                return partial(_later, response, option, room)
            return response

        return handled

    def _verdict(self, cookie: bytes, address: bytes) -> Verdict:
        now, key = int(self._clock()), address + cookie
        verdict = self._judged.get(key)
        if verdict is None or verdict.until <= now:
            verdict = judged(self._secrets, cookie, address, now)
            if len(self._judged) >= MAX_CACHED:
                self._judged.clear()
            self._judged[key] = verdict
        if verdict.is_valid:
            self.valid += 1
        elif len(cookie) == CLIENT:
            self.new += 1
        else:
            self.invalid += 1
        return verdict


_ONE_AND_OPT: Final = b"\0\1\0\0\0\0\0\1"
"""Counts of records in an ordinary query with EDNS."""
_ALONE: Final = {(size + 4).to_bytes(2, "big") + _CODE + bytes((size,)): size for size in (CLIENT, WHOLE)}
"""Length of the OPT record's data, and head of the only option in it."""


def _asked(message: bytes) -> tuple[bytes, bytes, int] | None:
    """Return the cookie of a query, the query to answer, and the octets it has room for over UDP.

    A query with no other option is answered without it, for then it is as most are. None: there is no
    cookie, or what it is in cannot be read.
    """
    if len(message) < HEADER_OCTETS or message[2] & 0xF8 or message[4:6] > b"\0\1":
        return None  # a response, another opcode, or several questions
    try:
        at = end_of_name(message, HEADER_OCTETS) + 4 if message[5] else HEADER_OCTETS
        if message[4:12] == _ONE_AND_OPT and message[at : at + 3] == b"\0\0\x29":
            size = _ALONE.get(message[at + 9 : at + 15])
            if size and len(message) == at + 15 + size:
                room = _room(message[at + 3] << 8 | message[at + 4])
                return message[at + 15 :], message[: at + 9] + b"\0\0", room
        header = header_of(message)
        edns = extras_of(message, header, at).edns if header else None
    except FormatError:
        return None
    if edns is None:
        return None
    # Of several cookies the first counts (RFC 7873 §5.2).
    found = next((data for code, data in edns.options if code == COOKIE), None)
    return None if found is None else (found, message, _room(edns.payload))


def _room(payload: int) -> int:
    return min(max(payload, const.UDP_MINIMUM), const.UDP_PAYLOAD)


def _nothing_but_opt(message: bytes) -> bytes:
    """Return the response to who asks nothing but for a cookie (RFC 7873 §5.4)."""
    flags = const.QR | (message[2] << 8 & const.RD)
    return message[:2] + flags.to_bytes(2, "big") + b"\0\0\0\0\0\0\0\1" + OPT


def _given(response: bytes, option: bytes, room: int) -> bytes:
    """Return a response with a cookie; without its data where that would not fit."""
    whole = with_option(response, option)
    return whole if len(whole) <= room else with_option(truncated(response), option)


def _later(response: Later, option: bytes, room: int, reply: Reply) -> None:
    response(lambda message: reply(_given(message, option, room) if message else None))
