"""All names of all zones together: the qname's octets find the node, or the node above it.

A node stands for every name that exists: one that has data, and every empty non-terminal between it
and its apex (RFC 4592 §2.2.2). Nodes come and go with the records; nothing is copied.
"""

from collections.abc import Container, Iterable, Iterator, Sequence, Set
from itertools import islice
from typing import Any, Final, NamedTuple

from dnsserver.skydns.key import Key
from dnsserver.skydns.record import Record
from dnsserver.wire.name import ROOT, Name, ancestors, is_within, parent
from dnsserver.zone.dependents import Dependents
from dnsserver.zone.node import Node
from dnsserver.zone.nodes import Nodes
from dnsserver.zone.rrset import RRsets
from dnsserver.zone.zone import Owned, Stored, Zone

MAX_RECORDS: Final = 4096
"""Records that answer a name, at most. More A records do not fit any message."""

MAX_FORMS: Final = 4096
"""Forms of records that are shared by those which are alike."""

_APEX_RECORDS: Final = b"\4apex\3dns"
_APEX_SERVERS: Final = b"\2ns\3dns"
"""Labels below an apex whose records are the apex's own, and its name servers (SkyDNS)."""


class Change(NamedTuple):
    """A key's new state: the record and the name that owns it, or None for both."""

    key: Key
    path: Name
    """What the key spells: there, or above, an old record of the key is found."""
    name: Name | None
    record: Record | None


class ZoneTable:
    """The zones served and their nodes."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self.zones: Final = {zone.apex: zone for zone in zones}
        self.nodes: Final = Nodes()
        self.answers: Final[dict[bytes, Any]] = {}
        """Question in wire form → what the layer above compiled. A node that changes drops its own."""
        self.absent: Final[dict[bytes, Any]] = {}
        """What follows the first label of a question → what the layer above found out of names that are not
        there; emptied by every change."""
        self.owners = 0
        """Names that own records."""
        self.records = 0
        self._forms: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self.dependents: Final = Dependents()
        self._most_cut = 0
        """Labels that the targetstrip of any record has cut, at most."""
        self._moved: dict[Zone, int] = {}
        """Zones whose serial has moved since the table was settled, with the revision that moved it."""
        self.settled = True
        """False while it may be between two states of etcd, as during a listing; queries are answered then,
        but nothing is transferred that was not there before."""
        for zone in self.zones.values():
            self.nodes[zone.apex] = Node(zone)
        for zone in self.zones.values():
            self._join(zone)
            for name in zone.static:
                if self.zone_of(name) is zone:  # else it is glue, below the apex of another zone of ours
                    self._node(name)

    def _join(self, zone: Zone) -> None:
        """Make the names exist that lie between a zone and another of ours above it.

        Denying them would deny the zone below as well (RFC 8020 §2).
        """
        if zone.apex == ROOT:
            return
        over = parent(zone.apex)
        above = self.zone_of(over)
        if above and over != above.apex and (node := self._node(over)):
            node.children = node.children or set()
            node.children.add(zone.apex)

    @property
    def synced(self) -> bool:
        return all(zone.synced for zone in self.zones.values())

    def zone_of(self, name: Name) -> Zone | None:
        """Return the zone that a name belongs to: the one with the longest apex at or above it."""
        find = self.zones.get
        while True:
            zone = find(name)
            if zone or not name[0]:
                return zone
            name = parent(name)

    def encloser(self, name: Name) -> tuple[Name, Node] | None:
        """Return the closest encloser of a name without a node (RFC 4592 §3.3.1); None outside all zones."""
        for above in ancestors(name):
            if node := self.nodes.get(above):
                return above, node
        return None

    def rrsets(self, name: Name, node: Node) -> RRsets:
        """Return what is served at a node."""
        zone = node.zone
        if name == zone.apex:
            return zone.apex_rrsets(self.at_apex(name), self.answering(Name(_APEX_SERVERS + name)))
        return zone.rrsets(name, self.answering(name))

    def at_apex(self, apex: Name) -> Sequence[Owned]:
        """Return the records that answer for an apex. SkyDNS keeps them below a name of its own."""
        return self.answering(Name(_APEX_RECORDS + apex)) or self.answering(apex)

    def answering(self, name: Name) -> Sequence[Owned]:
        """Return the records that answer for a name, in key order: its own, or those below it that may.

        None while the zone is not synced.
        """
        node = self.nodes.get(name)
        if node is None or not node.zone.synced:
            return ()
        if node.records or not node.speakers or name in node.zone.static or name == node.zone.apex:
            return [stored.owned_by(name) for stored in node.records[:MAX_RECORDS]]
        return sorted(islice(self._below(node), MAX_RECORDS), key=lambda owned: owned.key)

    def _below(self, node: Node) -> Iterator[Owned]:
        for name in node.speakers or ():
            child = self.nodes[name]
            yield from (stored.owned_by(name) for stored in child.records if not stored.cut)
            yield from self._below(child)

    def below(self, name: Name, most: int) -> Set[Name] | None:
        """Return the nodes right below a node, or None if there are more than `most`.

        Those of an apex are not kept: they are looked for in a table of at most `most` names.
        """
        node = self.nodes[name]
        if name != node.zone.apex:
            children = node.children or set()
            return children if len(children) <= most else None
        if len(self.nodes) > most:
            return None
        return {other for other in self.nodes if other[0] and parent(other) == name}

    def apply(self, changes: Iterable[Change], revision: int, now: int = 0) -> int:
        """Bring keys to a new state and return how many of them differ from before.

        Changes to a state that is there already are none: applying the pages of a snapshot to a table
        that has them moves no serial. `now` is the clock in seconds.
        """
        touched: set[Zone] = set()
        count = 0
        for change in changes:
            count += self._apply(change, touched, now)
        for zone in touched:
            # The slices of one listing or batch are one change.
            if self.settled or self._moved.get(zone) != revision:
                self._moved[zone] = revision
                zone.changed(now if zone.serial_is_time else revision)
            self.drop(self.nodes[zone.apex])  # it has the SOA
        if touched:
            self.absent.clear()
        return count

    def keys_of(self, changes: Iterable[Change]) -> list[Key]:
        """Return those keys of applied changes that have a record now, as the table holds them."""
        return [
            stored.key
            for change in changes
            if change.name is not None
            and (node := self.nodes.get(change.name))
            and (stored := node.find(change.key))
        ]

    def retain(self, keys: Container[Key], names: Iterable[Name]) -> list[Change]:
        """Return the changes that remove, at `names`, every record whose key is not in `keys`."""
        return [
            Change(stored.key, name, None, None)
            for name in names
            if (node := self.nodes.get(name))
            for stored in node.records
            if stored.key not in keys
        ]

    def mark_synced(self, revision: int, now: int = 0) -> None:
        """Note that a whole snapshot of `revision` has been applied: from now on absence is an answer."""
        for zone in self.zones.values():
            if not zone.synced:
                zone.synced = True
                zone.serial = (now if zone.serial_is_time else revision) & 0xFFFF_FFFF
                zone.negative.clear()
                if zone.history:
                    zone.history.moved()

    def resume(self, zone: Zone, serial: int) -> None:
        """Note that a zone has the records it had before a restart, and go on from a serial."""
        zone.synced = True
        zone.serial = serial & 0xFFFF_FFFF
        zone.negative.clear()
        self.drop(self.nodes[zone.apex])

    def settle(self) -> None:
        """Note that all changes up to some revision of etcd are applied, and no others."""
        self.settled = True
        self._moved.clear()
        for zone in self.zones.values():
            if zone.history and zone.synced:
                zone.history.moved()

    def drop(self, node: Node) -> None:
        """Forget what was compiled of a node."""
        for question in node.questions:
            self.answers.pop(question, None)
        node.questions = ()
        node.complete = 0

    def _apply(self, change: Change, touched: set[Zone], now: int) -> bool:
        """Bring one key to its state; say whether it was another, and add the zones that changed."""
        key, path, name, record = change
        if name is None or record is None:
            return self._remove(key, path, touched)
        host, form = record[0], record[1:]
        node = self.nodes.get(name)
        old = node.find(key) if node else None
        if old and old.host == host and old.form == form:
            return False
        is_changed = self._remove(key, path, touched)
        if node is None:
            node = self._made(name)
        elif is_changed:  # it may be gone with its last record
            node = self._node(name)
        if node is None:
            return is_changed
        zone = node.zone
        new = Stored(key, host, self._form(form), now if zone.synced else 0)
        self._announce(name, zone, new)
        self.owners += not node.records
        self.records += 1
        zone.records += 1
        node.insert(new)
        if new.cut > self._most_cut:
            self._most_cut = new.cut
        self._forget(name, node, new)
        touched.add(zone)
        return True

    def _form(self, form: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(self._forms) >= MAX_FORMS:
            self._forms.clear()
        return self._forms.setdefault(form, form)

    def _remove(self, key: Key, path: Name, touched: set[Zone]) -> bool:
        find, owner = self.nodes.get, path
        # The record's targetstrip is not known from its key: it is at the key's name or above it.
        for _ in range(self._most_cut + 1):
            node = find(owner)
            if node and (stored := node.find(key)):
                break
            if not owner[0]:
                return False
            owner = parent(owner)
        else:
            return False
        self._announce(owner, node.zone, stored)
        node.remove(stored)
        self.owners -= not node.records
        self.records -= 1
        node.zone.records -= 1
        self._forget(owner, node, stored)
        self._prune(owner, node)
        touched.add(node.zone)
        return True

    def _node(self, name: Name) -> Node | None:
        return self.nodes.get(name) or self._made(name)

    def _made(self, name: Name) -> Node | None:
        """Make a node, and those above it that are not there, up to an apex; None outside all zones."""
        if name == ROOT:
            return None
        above = parent(name)
        over = self._node(above)
        if over is None:
            return None
        zone = over.zone
        node = self.nodes[name] = Node(zone)
        zone.names += 1
        zone.wildcards += name.startswith(b"\1*")
        if above != zone.apex:
            over.children = over.children or set()
            over.children.add(name)
        return node

    def _prune(self, name: Name, node: Node) -> None:
        zone = node.zone
        while not node.records and not node.children and name not in zone.static and name != zone.apex:
            del self.nodes[name]
            zone.names -= 1
            zone.wildcards -= name.startswith(b"\1*")
            gone, name = name, parent(name)
            node = self.nodes[name]
            if node.children:
                node.children.discard(gone)

    def _announce(self, name: Name, zone: Zone, stored: Stored) -> None:
        """Tell the zone's history which names a record changes that comes to `name`, or leaves it."""
        history, apex = zone.history, zone.apex
        if history is None or not zone.synced:
            return
        history.before(name)
        if is_within(name, Name(_APEX_RECORDS + apex)) or is_within(name, Name(_APEX_SERVERS + apex)):
            history.before(apex)
        if stored.cut or not zone.skydns_lookup:
            return
        while name != apex:
            name = parent(name)
            node = self.nodes.get(name)
            if node is None or not node.records:
                history.before(name)

    def _forget(self, name: Name, node: Node, stored: Stored) -> None:
        """Drop what was compiled of a record that came or went, and note which names it may answer for."""
        if node.complete or node.questions:
            self.drop(node)
        for dependent in self.dependents.pop(name):
            self.drop(dependent)
        if stored.cut or not node.zone.skydns_lookup:
            return
        while name != node.zone.apex:
            speaks = bool(node.speakers) or any(not other.cut for other in node.records)
            # A wildcard stands for names that are not there, never for the one above it.
            speaks = speaks and not name.startswith(b"\1*")
            above = parent(name)
            node = self.nodes[above]
            self.drop(node)
            if speaks:
                node.speakers = node.speakers or set()
                node.speakers.add(name)
            elif node.speakers:
                node.speakers.discard(name)
            name = above
