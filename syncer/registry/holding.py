"""The keys of one name → whose they are, and what the name holds. Pure.

A host key is ours if its own text or `owner` field says so, or if an ownership text for its name and type
does and it looks like a key of ExternalDNS's or of a syncer's. Everything else is somebody's, or nobody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dnsserver.skydns.key import Key, Labels, key_of
from dnsserver.skydns.ownership import Ownership, parse_text, text_of
from dnsserver.skydns.record import Record, RecordError
from syncer.endpoint import RecordType, target_order
from syncer.plan import Current
from syncer.registry.ownership import Convention, is_label
from syncer.registry.reading import Held, has_our_label
from syncer.registry.values import record_of


@dataclass(slots=True)
class Holding:
    """Our keys for one name and type."""

    hosts: Sequence[Held] = ()
    texts: Sequence[Held] = ()
    resource: str = ""


class AtName(NamedTuple):
    """What is held for one name."""

    holdings: Mapping[RecordType, Holding]
    """Ours."""
    current: tuple[Current, ...]
    """Ours and others'."""


NOTHING = AtName({}, ())


class View(NamedTuple):
    """Through whose eyes keys are looked at."""

    prefix: Key
    owner_id: str
    convention: Convention

    @property
    def owner_ids(self) -> frozenset[str]:
        """Whose records are ours."""
        return frozenset({self.owner_id, self.convention.migrate_from} - {""})


@dataclass(slots=True)
class Found:
    """The keys of one name and type."""

    hosts: list[Held] = field(default_factory=list)
    texts: list[tuple[Held, Ownership]] = field(default_factory=list)
    is_certain: bool = False
    """There is a record of the type, or the ownership's own name says the type."""


def at_name(name: str, found: Mapping[RecordType, Found], view: View) -> AtName:
    """Return what the keys of a name hold."""
    holdings: dict[RecordType, Holding] = {}
    current: list[Current] = []
    for type_, keys in found.items():
        holding, foreign = _sorted_by_owner(name, type_, keys, view)
        current += foreign
        if holding.hosts or holding.texts:
            holdings[type_] = holding
        # A text without a type or a record may stand where another prefix or suffix had put it. It stays
        # until its name gets a record.
        if holding.hosts or (holding.texts and keys.is_certain):
            current.append(_current(name, type_, holding, view))
    return AtName(holdings, tuple(current))


def _sorted_by_owner(name: str, type_: RecordType, found: Found, view: View) -> tuple[Holding, list[Current]]:
    me, mine = view.owner_id, view.owner_ids
    in_hosts = [text for held in found.hosts if (text := parse_text(held.record.text))]
    claims = [ownership for _, ownership in found.texts] + in_hosts
    ours = sorted((c for c in claims if c.owner_id in mine), key=lambda claim: claim.owner_id != me)
    others = [claim for claim in claims if claim.owner_id not in mine]
    # A text of ours that names its owner in a field stands beside keys that do so too.
    is_doubtful = bool(others) or (view.convention.is_strict and any(h.record.owner for h, _ in found.texts))
    hosts: list[Held] = []
    foreign: list[Current] = []
    for held in found.hosts:
        said = parse_text(held.record.text)
        owner_id = held.record.owner or (said.owner_id if said else "")
        if not owner_id and ours and held.is_plain:
            owner_id = me if not is_doubtful or has_our_label(held, name, type_, held.data) else ""
        if not view.convention.has_texts:
            owner_id = me if held.is_plain and owner_id in ("", *mine) else owner_id
        if owner_id in mine:
            hosts.append(held)
        elif not view.convention.is_strict:
            owner_id = owner_id or (others[0].owner_id if others and held.is_plain else "")
            foreign.append(Current(name=name, type=type_, targets=(held.data,), owner_id=owner_id))
    texts = [held for held, ownership in found.texts if ownership.owner_id in mine]
    return Holding(hosts, texts, ours[0].resource if ours else ""), foreign


def parent_of(name: str, prefix: Key) -> bytes:
    """Return the key of a name with its closing slash: its records' keys begin with it.

    Raises:
        RecordError: the name cannot be a key.
    """
    labels: Labels = tuple(label.encode("utf-8", "surrogateescape") for label in name.split("."))
    return key_of(labels, prefix) + b"/"


def is_placed(held: Held, parent: bytes, type_: RecordType) -> bool:
    """Say whether a record's key stands where it would be written: that of a PTR may be the name's own."""
    return is_below(held, parent) or (type_ == "PTR" and held.key + b"/" == parent)


def is_below(held: Held, parent: bytes) -> bool:
    """Say whether a key stands where it would be written: below the name's own key, in lower case."""
    above, _, label = held.key.rpartition(b"/")
    return above + b"/" == parent and is_label(label)


def _current(name: str, type_: RecordType, holding: Holding, view: View) -> Current:
    hosts = sorted(holding.hosts)
    first = hosts[0].record if hosts else Record()
    return Current(
        name=name,
        type=type_,
        targets=tuple(sorted({held.data for held in hosts}, key=target_order)),
        ttl=first.ttl,
        group=first.group,
        owner_id=view.owner_id,
        resource=holding.resource,
        intact=_is_intact(name, type_, holding, view),
    )


def _is_intact(name: str, type_: RecordType, holding: Holding, view: View) -> bool:
    prefix, owner_id, convention = view
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
        held.is_plain
        and is_placed(held, parent, type_)
        and held.record.host == record_of(type_, held.data).host
        for held in holding.hosts
    )
    is_single = len({held.data for held in holding.hosts}) == len(holding.hosts)
    owners = {held.record.owner for held in (*holding.hosts, *holding.texts)}
    owners_fit = owners <= ({owner_id} if convention.is_strict else {owner_id, ""})
    noted = [held for held in (*holding.texts, *holding.hosts) if parse_text(held.record.text)]
    seals_fit = all(held.is_sealed == convention.is_sealed for held in noted)
    text_in_hosts = {shape[2] for shape in shapes} <= {"" if at else text}
    fits = texts_fit and hosts_fit and is_single and owners_fit and text_in_hosts and seals_fit
    return fits and len(shapes) <= 1 and bool(holding.resource or not convention.has_texts)
