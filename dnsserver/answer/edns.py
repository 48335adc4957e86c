"""EDNS options that are answered, and OPT records known by their first octets. Pure."""

from typing import Final

from dnsserver.answer.render import OPT, OPT_DO
from dnsserver.wire import const

NSID: Final = 3
KEEPALIVE: Final = 11

OPT_OCTETS: Final = 11
"""Of an OPT record without options."""

OPTION_OCTETS: Final = OPT_OCTETS + 4
"""Of an OPT record up to the data of its first option."""

COOKIE_OCTETS: Final = OPTION_OCTETS + 8
"""Of an OPT record with nothing but a client cookie (RFC 7873 §4), from who has no server's yet."""

MAX_OPTS: Final = 1024
"""Spellings of an OPT record that are remembered; clients of the world use some dozens."""

Known = tuple[int, bytes, int]
"""Octets of a response before our OPT record, at most; that record; octets of the query's OPT record."""


class Opts(dict[bytes, Known]):
    """First OPTION_OCTETS of an OPT record → what is known of it, where they tell all that matters.

    That is so with no option, and with a single one that needs no answer, as a cookie of whatever data.
    """

    def __init__(self, udp: bool) -> None:
        super().__init__()
        self._udp = udp
        self.cookies: Final[dict[bytes, Known]] = {}
        """Those of COOKIE_OCTETS."""

    def learn(self, record: bytes) -> Known | None:
        """Return what is to be known of `record`, which is what follows a query's question.

        None unless that is one OPT record of version 0, without options that ask for something.
        """
        octets = len(record)
        if record[:3] != b"\0\0\x29" or octets < OPT_OCTETS or record[6]:
            return None
        if octets != OPT_OCTETS + (record[9] << 8 | record[10]) or not _ignorable(record):
            return None
        payload = record[3] << 8 | record[4]
        limit = min(max(payload, const.UDP_MINIMUM), const.UDP_PAYLOAD) if self._udp else const.TCP_MAXIMUM
        known = limit - OPT_OCTETS, OPT_DO if record[7] & 0x80 else OPT, octets
        single = octets == OPT_OCTETS or octets == OPTION_OCTETS + (record[13] << 8 | record[14])
        if single and len(self) < MAX_OPTS:
            self[record[:OPTION_OCTETS]] = known
            if octets == COOKIE_OCTETS:
                self.cookies[record[:OPTION_OCTETS]] = known
        return known


def _ignorable(opt: bytes) -> bool:
    """Say whether the options of an OPT record are whole and need no answer."""
    at, end = OPT_OCTETS, len(opt)
    while at + 4 <= end:
        code = opt[at] << 8 | opt[at + 1]
        if code in (NSID, KEEPALIVE):
            return False
        at += 4 + (opt[at + 2] << 8 | opt[at + 3])
    return at == end
