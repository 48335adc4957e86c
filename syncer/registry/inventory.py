"""All keys below the prefix → what is ours, key by key, and what every name holds. Pure.

A host key is ours if its own text or `owner` field says so, or if an ownership text for its name and type
does and it looks like a key of ExternalDNS's or of a syncer's. Everything else is somebody's, or nobody's.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from dnsserver.skydns.key import Key, Labels, key_of, labels_of
from dnsserver.skydns.record import Record, RecordError, decode, is_ownership
from syncer.endpoint import RecordType, Rejection, address, target_order
from syncer.plan import Current
from syncer.registry.ownership import (
    Ownership,
    is_label,
    label_of,
    name_of_ownership,
    names_owned,
    parse_text,
    text_of,
)


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


@dataclass(slots=True)
class Holding:
    """Our keys for one name and type."""

    hosts: list[Held] = field(default_factory=list)
    texts: list[Held] = field(default_factory=list)
    resource: str = ""


class Inventory:
    """A snapshot of the records, sorted by who owns them."""

    def __init__(self, prefix: Key, owner_id: str) -> None:
        self.prefix, self.owner_id = prefix, owner_id
        self.keys: set[Key] = set()
        """Every key there is, readable or not."""
        self.holdings: dict[tuple[str, RecordType], Holding] = {}
        self.rejections: list[Rejection] = []
        self.current: list[Current] = []
        """What is held for each name and type, ours and others'."""

    def add_foreign(self, name: str, type_: RecordType | Literal["TXT"], data: str, owner_id: str) -> None:
        self.current.append(Current(name=name, type=type_, targets=(data,), owner_id=owner_id))


def take_inventory(entries: Iterable[Entry], prefix: Key, owner_id: str) -> Inventory:
    """Sort all keys below a prefix by owner. A key that cannot be read is rejected and left alone."""
    inventory = Inventory(prefix, owner_id)
    hosts: dict[tuple[str, RecordType], list[Held]] = defaultdict(list)
    texts: dict[tuple[str, RecordType], list[tuple[Held, Ownership]]] = defaultdict(list)
    for entry in entries:
        inventory.keys.add(entry.key)
        try:
            name, held = _read(entry, prefix)
        except RecordError as error:
            shown = entry.key.decode("utf-8", "backslashreplace")
            inventory.rejections.append(Rejection(shown, "shape", str(error)))
            continue
        if held.record.host:
            hosts[name, _type_of(held)].append(held)
        elif (ownership := parse_text(held.record.text)) is not None:
            # The first name that could be meant: an `a-` in front of a name is hardly ever its own.
            for owned in names_owned(name):
                texts[owned].append((held, ownership))
        elif held.record.text and not is_ownership(held.record.text):
            inventory.add_foreign(name, "TXT", held.record.text, "")
    for name_and_type in hosts.keys() | texts.keys():
        _assign(inventory, name_and_type, hosts.get(name_and_type, []), texts.get(name_and_type, []))
    return inventory


def _read(entry: Entry, prefix: Key) -> tuple[str, Held]:
    labels = labels_of(entry.key, prefix)
    record = decode(entry.value or b"")
    strip = record.targetstrip if record.targetstrip < len(labels) else 0
    own = labels[strip:]
    found = address(record.host) if record.host else None
    data = found.text if found else record.host.lower().removesuffix(".") or record.text
    made_here = Record(
        host=record.host,
        text=record.text if not record.host or parse_text(record.text) else "",
        ttl=record.ttl,
        targetstrip=1,
        group=record.group,
        owner=record.owner,
    )
    is_plain = record == made_here and is_label(labels[0]) and not entry.lease
    name = b".".join(own).decode("utf-8", "surrogateescape")
    return name, Held(entry.key, record, entry.revision, data, is_plain)


def _type_of(held: Held) -> RecordType:
    found = address(held.data)
    return found.type if found else "CNAME"


def _assign(
    inventory: Inventory,
    name_and_type: tuple[str, RecordType],
    hosts: list[Held],
    texts: list[tuple[Held, Ownership]],
) -> None:
    name, type_ = name_and_type
    me = inventory.owner_id
    in_hosts = [found for held in hosts if (found := parse_text(held.record.text))]
    claims = [ownership for _, ownership in texts] + in_hosts
    ours = [claim for claim in claims if claim.owner_id == me]
    others = [claim for claim in claims if claim.owner_id != me]
    holding = Holding(resource=ours[0].resource if ours else "")
    for held in hosts:
        said = parse_text(held.record.text)
        owner_id = held.record.owner or (said.owner_id if said else "")
        if not owner_id and ours and held.is_plain:
            owner_id = me if not others or _has_our_label(held, name, type_) else ""
        if owner_id == me:
            holding.hosts.append(held)
        else:
            owner_id = owner_id or (others[0].owner_id if others and held.is_plain else "")
            inventory.add_foreign(name, type_, held.data, owner_id)
    holding.texts = [held for held, ownership in texts if ownership.owner_id == me]
    if holding.hosts or holding.texts:
        inventory.holdings[name_and_type] = holding
        inventory.current.append(_current(name, type_, holding, me, inventory.prefix))


def _has_our_label(held: Held, name: str, type_: RecordType) -> bool:
    """Say whether a key's label is the one that we would give, which settles who wrote it."""
    return held.key.endswith(b"/" + label_of(name, type_, held.data).encode())


def parent_of(name: str, prefix: Key) -> bytes:
    """Return the key of a name with its closing slash: its records' keys begin with it.

    Raises:
        RecordError: the name cannot be a key.
    """
    labels: Labels = tuple(label.encode("utf-8", "surrogateescape") for label in name.split("."))
    return key_of(labels, prefix) + b"/"


def is_below(held: Held, parent: bytes) -> bool:
    """Say whether a key stands where it would be written: below the name's own key, in lower case."""
    above, _, label = held.key.rpartition(b"/")
    return above + b"/" == parent and is_label(label)


def _current(name: str, type_: RecordType, holding: Holding, owner_id: str, prefix: Key) -> Current:
    hosts = sorted(holding.hosts)
    first = hosts[0].record if hosts else Record()
    return Current(
        name=name,
        type=type_,
        targets=tuple(sorted({held.data for held in hosts}, key=target_order)),
        ttl=first.ttl,
        group=first.group,
        owner_id=owner_id,
        resource=holding.resource,
        intact=_is_intact(name, type_, holding, owner_id, prefix),
    )


def _is_intact(name: str, type_: RecordType, holding: Holding, owner_id: str, prefix: Key) -> bool:
    at = name_of_ownership(name, type_)
    text = text_of(Ownership(owner_id, holding.resource))
    try:
        parent = parent_of(name, prefix)
        owner_parent = parent_of(at, prefix) if at else b""
    except RecordError:
        return False
    if at:
        texts_fit = [held.record.text for held in holding.texts if is_below(held, owner_parent)] == [text]
    else:
        texts_fit = not holding.texts
    shapes = {(held.record.ttl, held.record.group, held.record.text) for held in holding.hosts}
    hosts_fit = all(
        held.is_plain and is_below(held, parent) and held.record.host == held.data for held in holding.hosts
    )
    is_single = len({held.data for held in holding.hosts}) == len(holding.hosts)
    text_in_hosts = {shape[2] for shape in shapes} <= {"" if at else text}
    return texts_fit and hosts_fit and is_single and len(shapes) <= 1 and text_in_hosts
