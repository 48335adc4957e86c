"""One key in etcd, as far as it can be read. Pure."""

from typing import NamedTuple, Protocol

from dnsserver.skydns.key import Key, labels_of
from dnsserver.skydns.ownership import Ownership, is_ownership, parse_text, text_of
from dnsserver.skydns.record import Record, RecordError, decode
from syncer.endpoint import RecordType, Rejection
from syncer.registry.ownership import Sealing, is_label, label_of
from syncer.registry.values import record_of, target_of


class Entry(Protocol):
    """A key as etcd has it."""

    @property
    def key(self) -> Key: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def revision(self) -> int: ...
    @property
    def lease(self) -> int: ...


class Held(NamedTuple):
    """One key with a record that could be read."""

    key: Key
    record: Record
    revision: int
    data: str
    """Canonical: the address or name of a host key, the text of an ownership key."""
    is_plain: bool
    """Of the shape that ExternalDNS or a syncer writes, where the name's other records have theirs."""
    is_sealed: bool = False
    """The ownership in its text is encrypted in etcd; here it is not."""


class Reading(NamedTuple):
    """What a key says: it is a record's, an ownership's, or neither."""

    revision: int
    name: str = ""
    held: Held | None = None
    type: RecordType | None = None
    """Of a record's."""
    ownership: Ownership | None = None
    """Of an ownership's."""
    fault: Rejection | None = None


def read(entry: Entry, prefix: Key, seal: Sealing | None = None) -> Reading:
    """Return what a key says; encrypted ownerships are read with the `seal`."""
    try:
        name, held = _read(entry, prefix, seal)
    except RecordError as error:
        shown = entry.key.decode("utf-8", "backslashreplace")
        return Reading(entry.revision, fault=Rejection(shown, "shape", str(error)))
    if held.record.host:
        return Reading(entry.revision, name, held, target_of(name, held.record)[0])
    if (ownership := parse_text(held.record.text)) is not None:
        return Reading(entry.revision, name, held, ownership=ownership)
    if held.record.text and not is_ownership(held.record.text):
        return Reading(entry.revision, name, held, "TXT")
    return Reading(entry.revision)


def _read(entry: Entry, prefix: Key, seal: Sealing | None) -> tuple[str, Held]:
    labels = labels_of(entry.key, prefix)
    record, is_sealed = _opened(decode(entry.value or b""), seal)
    strip = record.targetstrip if record.targetstrip < len(labels) else 0
    own = labels[strip:]
    name = b".".join(own).decode("utf-8", "surrogateescape")
    type_, data = target_of(name, record)
    made_here = record_of(type_, data, ttl=record.ttl, group=record.group)._replace(
        host=record.host,
        text=record.text if not record.host or parse_text(record.text) else "",
        owner=record.owner,
        targetstrip=record.targetstrip,
    )
    has_label = is_label(labels[0]) and record.targetstrip == 1
    # The first PTR of a name stands at the name's own key, where CoreDNS looks for it.
    is_placed = has_label or (type_ == "PTR" and record.targetstrip == 0)
    is_plain = record == made_here and is_placed and not entry.lease
    return name, Held(entry.key, record, entry.revision, data, is_plain, is_sealed)


def _opened(record: Record, seal: Sealing | None) -> tuple[Record, bool]:
    """Return a record with its ownership in plain text, and whether it was encrypted."""
    if seal is None or not record.text or is_ownership(record.text):
        return record, False
    ownership = parse_text(seal.open(record.text) or "")
    return (record, False) if ownership is None else (record._replace(text=text_of(ownership)), True)


def has_our_label(held: Held, name: str, type_: RecordType, data: str) -> bool:
    """Say whether a key's label is the one that we would give, which settles who wrote it."""
    return held.key.endswith(b"/" + label_of(name, type_, data).encode())
