"""What the server says of itself: NSID (RFC 5001), class CH (RFC 4892). Nothing, unless configured. Pure."""

from typing import Final, NamedTuple

from dnsserver.answer.lookup import Answer
from dnsserver.wire import const, name
from dnsserver.wire.rdata import strings
from dnsserver.zone.rrset import RRset


class Identity(NamedTuple):
    """Both empty: the server does not tell."""

    id: bytes = b""
    """Which of several servers this is."""
    version: bytes = b""


SILENT: Final = Identity()

_IDS: Final = frozenset(map(name.from_text, ("id.server.", "hostname.bind.")))
_VERSIONS: Final = frozenset(map(name.from_text, ("version.server.", "version.bind.")))


def chaos(identity: Identity, qname: name.Name, qtype: int) -> Answer:
    """Return the answer to a question of class CH."""
    text = identity.id if qname in _IDS else identity.version if qname in _VERSIONS else b""
    if not text or qtype not in (const.TXT, const.ANY):
        return Answer(const.REFUSED)
    return Answer(const.NOERROR, True, ((qname, RRset(const.TXT, 0, (strings([text]),))),), cls=const.CH)
