"""Which name a key spells, and which name owns its record. Pure."""

from typing import Final

from dnsserver.skydns.key import MAX_LABEL, MAX_NAME, Key
from dnsserver.skydns.record import Record, RecordError
from dnsserver.wire.name import ROOT, Name, parent

_LENGTH: Final = tuple(bytes((octets,)) for octets in range(MAX_LABEL + 1))


def path_of(key: bytes, prefix: Key) -> Name:
    """Return the name that a key spells, lower-cased (RFC 4343), targetstrip not yet cut.

    Raises:
        RecordError: outside the prefix, an empty or too long label, or a name over 255 octets.
    """
    if not key.startswith(prefix):
        raise RecordError("key", "outside the prefix")
    if len(key) - len(prefix) > MAX_NAME:
        raise RecordError("key", f"a name over {MAX_NAME} octets")
    name: bytes = ROOT
    for label in key[len(prefix) :].lower().split(b"/"):
        if not 0 < len(label) <= MAX_LABEL:
            raise RecordError("key", f"a label of {len(label)} octets; expected 1..{MAX_LABEL}")
        name = _LENGTH[len(label)] + label + name
    if len(name) > MAX_NAME:
        raise RecordError("key", f"a name over {MAX_NAME} octets")
    return Name(name)


def owner_of(path: Name, record: Record) -> Name:
    """Return the name that owns a record: its key's, less the labels that targetstrip cuts.

    More to cut than there are labels cuts none, as in CoreDNS.
    """
    name = path
    for _ in range(record.targetstrip):
        name = parent(name)
        if not name[0]:
            return path
    return name
