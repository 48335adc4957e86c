"""Which name a key spells, and which name owns its record. Pure."""

from functools import lru_cache
from typing import Final

from dnsserver.skydns.key import MAX_LABEL, MAX_NAME, Key
from dnsserver.skydns.record import Record, RecordError
from dnsserver.wire.name import ROOT, Name

PARENTS: Final = 4096
"""Names above those of keys that are kept in mind: keys come in order, so the next has the same."""


def path_of(key: bytes, prefix: Key) -> Name:
    """Return the name that a key spells, lower-cased (RFC 4343), targetstrip not yet cut.

    Raises:
        RecordError: outside the prefix, an empty or too long label, or a name over 255 octets.
    """
    if not key.startswith(prefix):
        raise RecordError("key", "outside the prefix")
    if len(key) - len(prefix) > MAX_NAME:
        raise RecordError("key", f"a name over {MAX_NAME} octets")
    return _joined(key[len(prefix) :].lower())


def _joined(labels: bytes) -> Name:
    above, slash, label = labels.rpartition(b"/")
    if not 0 < len(label) <= MAX_LABEL:
        raise RecordError("key", f"a label of {len(label)} octets; expected 1..{MAX_LABEL}")
    name = b"%c%b%b" % (len(label), label, _above(above) if slash else ROOT)
    if len(name) > MAX_NAME:
        raise RecordError("key", f"a name over {MAX_NAME} octets")
    return Name(name)


_above = lru_cache(PARENTS)(_joined)


def owner_of(path: Name, record: Record) -> Name:
    """Return the name that owns a record: its key's, less the labels that targetstrip cuts.

    More to cut than there are labels cuts none, as in CoreDNS.
    """
    name = path
    for _ in range(record.targetstrip):
        name = Name(name[name[0] + 1 :])
        if not name[0]:
            return path
    return name
