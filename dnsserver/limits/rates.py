"""Response rate limiting (ISC-TN-2012-1): to one network, no more alike responses a second than allowed.

It is for forged addresses: whom a flood is aimed at gets little of it, and who really asks gets now and then
a response that sends it to TCP, or gives it a cookie. Over TCP nothing is limited.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from dnsserver.handle import Handle, Response
from dnsserver.limits.message import truncated
from dnsserver.wire import const
from dnsserver.wire.message import HEADER_OCTETS
from dnsserver.wire.name import FormatError, end_of_name

Account = tuple[bytes, bytes]
"""The network that is answered (/24, /56), and what it is told: of which name, or that there is nothing."""

_SECOND: Final = 10**9
"""In nanoseconds."""

_NO_DATA: Final = tuple(bytes((0x40 | rcode,)) for rcode in range(16))
"""What accounts of responses without data begin with, by rcode; a name never begins so."""


class Limit(NamedTuple):
    per_second: int
    """Alike responses to one network."""
    window: int
    """Seconds for which who goes on asking gets nothing after that, at most."""
    slip: int
    """Of the responses withheld every so many-th is sent truncated; 0: none."""
    accounts: int
    """Kept at once, at most."""


class Rates:
    """Limits responses, and counts. `clock` gives nanoseconds from any start.

    Of accounts the older half goes when they are too many, so a flood of addresses takes no more memory.
    """

    def __init__(
        self,
        limit: Limit,
        clock: Callable[[], int],
        is_exempt: Callable[[bytes], bool],
    ) -> None:
        """`is_exempt` says of an address whether it has no limit."""
        self._limit, self._clock, self._is_exempt = limit, clock, is_exempt
        # When an account will be even, by the clock: each response costs a part of a second.
        self._recent: dict[Account, int] = {}
        self._older: dict[Account, int] = {}
        self.withheld = self.slipped = 0
        """Responses over the limit, and how many of them were sent truncated."""

    @property
    def accounts(self) -> int:
        return len(self._recent) + len(self._older)

    def around(
        self, handle: Handle, exists: Callable[[bytes], bool], slip: Callable[[bytes], bytes] = truncated
    ) -> Handle:
        """Return `handle` with its responses limited. What comes later is not: it is for few clients.

        `exists` says of a name whether a zone has it; `slip` makes what is sent at times for one withheld.
        """
        clock, is_exempt = self._clock, self._is_exempt
        cost, window = _SECOND // self._limit.per_second, _SECOND * self._limit.window

        def limited(message: bytes, address: bytes, port: int) -> Response:
            response = handle(message, address, port)
            if not isinstance(response, bytes):
                return response
            if response[6:8] == b"\0\0":
                told = _denied(response)
            else:
                told = response[HEADER_OCTETS : response.find(0, HEADER_OCTETS) + 1].lower()
                if not exists(told):
                    told = _made_up(response, exists)
            account = address[:3] if len(address) == 4 else address[:7], told
            now = clock()
            even = self._recent.get(account)
            if even is None:
                even = self._brought_back(account)
            even = (even if even > now - _SECOND else now - _SECOND) + cost
            if even <= now:
                self._recent[account] = even
                return response
            self._recent[account] = min(even, now + window)
            return response if is_exempt(address) else self._held(response, slip)

        return limited

    def _brought_back(self, account: Account) -> int:
        """Return when an account will be even that is not among the recent, and make room for it there."""
        even = self._older.pop(account, 0)
        if len(self._recent) >= self._limit.accounts // 2:
            self._older, self._recent = self._recent, {}
        return even

    def _held(self, response: bytes, slip: Callable[[bytes], bytes]) -> bytes | None:
        self.withheld += 1
        if self._limit.slip and self.withheld % self._limit.slip == 0:
            self.slipped += 1
            return slip(response)
        return None


def _made_up(response: bytes, exists: Callable[[bytes], bool]) -> bytes:
    """Return what the answer for a name that no zone has is made of: the name above, as of a wildcard."""
    try:
        name = response[HEADER_OCTETS : end_of_name(response, HEADER_OCTETS)].lower()
    except FormatError:
        return b""
    at = 0
    while name[at]:
        at += name[at] + 1
        if exists(name[at:]):
            return name[at:]
    return name


def _denied(response: bytes) -> bytes:
    """Return what a response without data tells: its rcode, and of which zone or delegation that holds.

    That is the owner of its first record, a pointer into the question in what we write.
    """
    rcode = response[3] & 15
    kind = _NO_DATA[rcode]
    if rcode not in (const.NOERROR, const.NXDOMAIN) or response[8:10] == b"\0\0":
        return kind
    try:
        end = end_of_name(response, HEADER_OCTETS) + 4
    except FormatError:
        return kind
    pointer = int.from_bytes(response[end : end + 2], "big")
    if pointer >= 0xC000:
        return kind + response[pointer & 0x3FFF : end - 4].lower()
    return kind + response[end : response.find(0, end) + 1].lower()
