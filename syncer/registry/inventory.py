"""All keys below the prefix → what is ours, key by key, and what every name holds. Pure.

A host key is ours if its own text or `owner` field says so, or if an ownership text for its name and type
does and it looks like a key of ExternalDNS's or of a syncer's. Everything else is somebody's, or nobody's.
"""

from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

from dnsserver.skydns.key import Key, Labels, key_of, labels_of
from dnsserver.skydns.ownership import Ownership, is_ownership, parse_text, text_of
from dnsserver.skydns.record import Record, RecordError, decode
from syncer.endpoint import RecordType, Rejection, target_order
from syncer.plan import Current
from syncer.registry.ownership import (
    Convention,
    Owned,
    is_label,
    label_of,
)
from syncer.registry.values import record_of, target_of

_DEFAULT: Final = Convention()


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

    def __init__(self, prefix: Key, owner_id: str, convention: Convention) -> None:
        self.prefix, self.owner_id, self.convention = prefix, owner_id, convention
        self.owner_ids = {owner_id, convention.migrate_from} - {""}
        """Whose records are ours."""
        self.keys: set[Key] = set()
        """Every key there is, readable or not."""
        self.holdings: dict[tuple[str, RecordType], Holding] = {}
        self.rejections: list[Rejection] = []
        self.current: list[Current] = []
        """What is held for each name and type, ours and others'."""

    def add_foreign(self, name: str, type_: RecordType, data: str, owner_id: str) -> None:
        if not self.convention.is_strict:
            self.current.append(Current(name=name, type=type_, targets=(data,), owner_id=owner_id))


def take_inventory(
    entries: Iterable[Entry], prefix: Key, owner_id: str, convention: Convention = _DEFAULT
) -> Inventory:
    """Sort all keys below a prefix by owner. A key that cannot be read is rejected and left alone."""
    inventory = Inventory(prefix, owner_id, convention)
    hosts: dict[tuple[str, RecordType], list[Held]] = defaultdict(list)
    notes: list[tuple[str, Held, Ownership]] = []
    for entry in entries:
        inventory.keys.add(entry.key)
        try:
            name, held = _read(entry, prefix)
        except RecordError as error:
            shown = entry.key.decode("utf-8", "backslashreplace")
            inventory.rejections.append(Rejection(shown, "shape", str(error)))
            continue
        if held.record.host:
            hosts[name, target_of(name, held.record)[0]].append(held)
        elif (ownership := parse_text(held.record.text)) is not None:
            notes.append((name, held, ownership))
        elif held.record.text and not is_ownership(held.record.text):
            hosts[name, "TXT"].append(held)
    texts: dict[tuple[str, RecordType], list[tuple[Held, Ownership]]] = defaultdict(list)
    certain: set[tuple[str, RecordType]] = set(hosts)
    for name, held, ownership in notes if convention.has_texts else ():
        for owned in _meant(list(convention.naming.names_owned(name)), held, hosts):
            texts[owned.name, owned.type].append((held, ownership))
            if owned.is_certain:
                certain.add((owned.name, owned.type))
    for at in hosts.keys() | texts.keys():
        _assign(inventory, at, hosts.get(at, []), texts.get(at, []), at in certain)
    return inventory


def _meant(candidates: list[Owned], held: Held, hosts: Container[tuple[str, RecordType]]) -> list[Owned]:
    """Return which of the names that an ownership text may be about it is about."""
    with_records = [owned for owned in candidates if (owned.name, owned.type) in hosts]
    if not candidates[0].is_certain:
        return with_records or candidates
    # The star and what stands for it share a name; the label tells whose a text of ours is.
    labelled = [owned for owned in candidates if _has_our_label(held, owned.name, owned.type, "")]
    return (labelled or with_records or candidates)[:1]


def _read(entry: Entry, prefix: Key) -> tuple[str, Held]:
    labels = labels_of(entry.key, prefix)
    record = decode(entry.value or b"")
    strip = record.targetstrip if record.targetstrip < len(labels) else 0
    own = labels[strip:]
    name = b".".join(own).decode("utf-8", "surrogateescape")
    type_, data = target_of(name, record)
    made_here = replace(
        record_of(type_, data, ttl=record.ttl, group=record.group),
        host=record.host,
        text=record.text if not record.host or parse_text(record.text) else "",
        owner=record.owner,
    )
    is_plain = record == made_here and is_label(labels[0]) and not entry.lease
    return name, Held(entry.key, record, entry.revision, data, is_plain)


def _assign(
    inventory: Inventory,
    name_and_type: tuple[str, RecordType],
    hosts: list[Held],
    texts: list[tuple[Held, Ownership]],
    is_certain: bool,
) -> None:
    name, type_ = name_and_type
    me, mine = inventory.owner_id, inventory.owner_ids
    in_hosts = [found for held in hosts if (found := parse_text(held.record.text))]
    claims = [ownership for _, ownership in texts] + in_hosts
    ours = sorted((c for c in claims if c.owner_id in mine), key=lambda claim: claim.owner_id != me)
    others = [claim for claim in claims if claim.owner_id not in mine]
    holding = Holding(resource=ours[0].resource if ours else "")
    for held in hosts:
        said = parse_text(held.record.text)
        owner_id = held.record.owner or (said.owner_id if said else "")
        if not owner_id and ours and held.is_plain:
            owner_id = me if not others or _has_our_label(held, name, type_, held.data) else ""
        if not inventory.convention.has_texts:
            owner_id = me if held.is_plain and owner_id in ("", *mine) else owner_id
        if owner_id in mine:
            holding.hosts.append(held)
        else:
            owner_id = owner_id or (others[0].owner_id if others and held.is_plain else "")
            inventory.add_foreign(name, type_, held.data, owner_id)
    holding.texts = [held for held, ownership in texts if ownership.owner_id in mine]
    if holding.hosts or holding.texts:
        inventory.holdings[name_and_type] = holding
    # A text without a type or a record may stand where another prefix or suffix had put it. It stays until
    # its name gets a record.
    if holding.hosts or (holding.texts and is_certain):
        inventory.current.append(_current(name, type_, holding, inventory))


def _has_our_label(held: Held, name: str, type_: RecordType, data: str) -> bool:
    """Say whether a key's label is the one that we would give, which settles who wrote it."""
    return held.key.endswith(b"/" + label_of(name, type_, data).encode())


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


def _current(name: str, type_: RecordType, holding: Holding, inventory: Inventory) -> Current:
    hosts = sorted(holding.hosts)
    first = hosts[0].record if hosts else Record()
    return Current(
        name=name,
        type=type_,
        targets=tuple(sorted({held.data for held in hosts}, key=target_order)),
        ttl=first.ttl,
        group=first.group,
        owner_id=inventory.owner_id,
        resource=holding.resource,
        intact=_is_intact(name, type_, holding, inventory),
    )


def _is_intact(name: str, type_: RecordType, holding: Holding, inventory: Inventory) -> bool:
    convention, owner_id, prefix = inventory.convention, inventory.owner_id, inventory.prefix
    at = convention.naming.name_of_ownership(name, type_) if convention.has_texts else None
    text = text_of(Ownership(owner_id, holding.resource)) if convention.has_texts else ""
    try:
        parent = parent_of(name, prefix)
        owner_parent = parent_of(at, prefix) if at else b""
    except RecordError:
        return False
    if at:
        texts_fit = [held.record.text for held in holding.texts if is_below(held, owner_parent)] == [text]
    else:
        texts_fit = not holding.texts
    shapes = {
        (held.record.ttl, held.record.group, held.record.text if held.record.host else "")
        for held in holding.hosts
    }
    hosts_fit = all(
        held.is_plain and is_below(held, parent) and held.record.host == record_of(type_, held.data).host
        for held in holding.hosts
    )
    is_single = len({held.data for held in holding.hosts}) == len(holding.hosts)
    owners = {held.record.owner for held in (*holding.hosts, *holding.texts)}
    owners_fit = owners <= ({owner_id} if convention.is_strict else {owner_id, ""})
    text_in_hosts = {shape[2] for shape in shapes} <= {"" if at else text}
    fits = texts_fit and hosts_fit and is_single and owners_fit and text_in_hosts
    return fits and len(shapes) <= 1 and bool(holding.resource or not convention.has_texts)
