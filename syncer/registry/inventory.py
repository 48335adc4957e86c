"""All keys below the prefix, indexed by the names they are about, and kept up to date key by key. Pure.

Law: keys taken one after the other, in any order of names, give what taking the last of each at once gives.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from dnsserver.skydns.key import Key
from syncer.endpoint import RecordType, Rejection
from syncer.plan import Current
from syncer.registry.holding import NOTHING, AtName, Found, Holding, View, at_name
from syncer.registry.ownership import Convention, Owned
from syncer.registry.reading import Entry, Held, Reading, has_our_label, read

_DEFAULT: Final = Convention()


class Inventory:
    """The records in etcd, by name and by who owns them."""

    def __init__(self, prefix: Key, owner_id: str, convention: Convention = _DEFAULT) -> None:
        self.view = View(prefix, owner_id, convention)
        self._readings: dict[Key, Reading] = {}
        self._hosts: dict[str, tuple[Key, ...]] = {}
        """The keys of records, by name."""
        self._notes: dict[str, tuple[Key, ...]] = {}
        """The keys of ownerships, by each name that they may be about."""
        self._at: dict[str, AtName] = {}
        self._touched: set[str] = set()
        self._faults: dict[Key, Rejection | None] = {}

    @property
    def keys(self) -> Collection[Key]:
        """Every key there is, readable or not."""
        return self._readings.keys()

    @property
    def names(self) -> Collection[str]:
        """Every name that something is held for."""
        return self._at.keys()

    @property
    def current(self) -> Iterable[Current]:
        """What is held for each name and type, ours and others'."""
        return [record for at in self._at.values() for record in at.current]

    def at(self, name: str) -> AtName:
        """Return what is held for a name."""
        return self._at.get(name, NOTHING)

    def holding(self, name: str, type_: RecordType) -> Holding:
        """Return our keys for a name and type."""
        return self.at(name).holdings.get(type_) or Holding()

    def take_touched(self) -> set[str]:
        """Return the names that any key has changed for since they were last taken."""
        touched, self._touched = self._touched, set()
        return touched

    def take_faults(self) -> Mapping[Key, Rejection | None]:
        """Return what has come to be wrong with keys since this was asked last, None where nothing is now.

        Keys that cannot be read are left alone.
        """
        faults, self._faults = self._faults, {}
        return faults

    def replace(self, entries: Iterable[Entry]) -> None:
        """Take all keys there are; those that are not among them go."""
        # A store that was restored has older revisions: they are taken too.
        there = {entry.key: entry for entry in entries}
        self._take([e for e in there.values() if self._revision(e.key) != e.revision])
        self._forget(self._readings.keys() - there.keys())

    def apply(self, entries: Iterable[Entry]) -> None:
        """Take keys as they are now. What is older than what is known of a key is passed over."""
        self._take(entry for entry in entries if self._revision(entry.key) < entry.revision)

    def _revision(self, key: Key) -> int:
        known = self._readings.get(key)
        return known.revision if known is not None else 0

    def _forget(self, keys: Iterable[Key]) -> None:
        self._assign_all({name for key in keys for name in self._set(key, None)})

    def _take(self, entries: Iterable[Entry]) -> None:
        names: set[str] = set()
        prefix, _, convention = self.view
        for entry in entries:
            reading = None if entry.value is None else read(entry, prefix, convention.seal)
            names |= self._set(entry.key, reading)
        self._assign_all(names)

    def _assign_all(self, names: set[str]) -> None:
        for name in names:
            self._assign(name)
        self._touched |= names

    def revisions(self) -> Mapping[Key, int]:
        """Return the revision of every key."""
        return {key: reading.revision for key, reading in self._readings.items()}

    def _set(self, key: Key, reading: Reading | None) -> set[str]:
        """Put a key into the index in place of what is known of it; return the names that it matters to."""
        before = self._readings.get(key)
        names = self._unindex(key, before) if before is not None else set()
        self._readings.pop(key, None)
        if before is not None and before.fault is not None:
            self._faults[key] = None
        if reading is not None:
            self._readings[key] = reading
            names |= self._index(key, reading)
        return names

    def _index(self, key: Key, reading: Reading) -> set[str]:
        if reading.fault is not None:
            self._faults[key] = reading.fault
        names = self._about(reading)
        table = self._notes if reading.ownership is not None else self._hosts
        for name in names:
            table[name] = (*table.get(name, ()), key)
        return names | self._sharing(names)

    def _unindex(self, key: Key, reading: Reading) -> set[str]:
        names = self._about(reading)
        shared = self._sharing(names)
        table = self._notes if reading.ownership is not None else self._hosts
        for name in names:
            left = tuple(other for other in table.pop(name) if other != key)
            if left:
                table[name] = left
        return names | shared

    def _about(self, reading: Reading) -> set[str]:
        if reading.held is None:
            return set()
        if reading.ownership is None:
            return {reading.name}
        return {owned.name for owned in self._owned(reading)}

    def _sharing(self, names: Iterable[str]) -> set[str]:
        """Return the names that an ownership may be about which may also be about one of these."""
        notes = {key for name in names for key in self._notes.get(name, ())}
        return {owned.name for key in notes for owned in self._owned(self._readings[key])}

    def _owned(self, reading: Reading) -> list[Owned]:
        convention = self.view.convention
        return list(convention.naming.names_owned(reading.name)) if convention.has_texts else []

    def _assign(self, name: str) -> None:
        found: dict[RecordType, Found] = {}
        for key in sorted(self._hosts.get(name, ())):
            reading = self._readings[key]
            if reading.held is not None and reading.type is not None:
                at = found.setdefault(reading.type, Found(is_certain=True))
                at.hosts.append(reading.held)
        for key in sorted(self._notes.get(name, ())):
            reading = self._readings[key]
            if reading.held is None or reading.ownership is None:
                continue
            for owned in self._meant(self._owned(reading), reading.held):
                if owned.name == name:
                    at = found.setdefault(owned.type, Found())
                    at.texts.append((reading.held, reading.ownership))
                    at.is_certain = at.is_certain or owned.is_certain
        if found:
            self._at[name] = at_name(name, found, self.view)
        else:
            self._at.pop(name, None)

    def _meant(self, candidates: list[Owned], held: Held) -> list[Owned]:
        """Return which of the names that an ownership text may be about it is about."""
        with_records = [owned for owned in candidates if self._has_record(owned)]
        if not candidates[0].is_certain:
            return with_records or candidates
        # The star and what stands for it share a name; the label tells whose a text of ours is.
        labelled = [owned for owned in candidates if has_our_label(held, owned.name, owned.type, "")]
        return (labelled or with_records or candidates)[:1]

    def _has_record(self, owned: Owned) -> bool:
        return any(self._readings[key].type == owned.type for key in self._hosts.get(owned.name, ()))


def take_inventory(
    entries: Iterable[Entry], prefix: Key, owner_id: str, convention: Convention = _DEFAULT
) -> Inventory:
    """Return an inventory of these keys."""
    inventory = Inventory(prefix, owner_id, convention)
    inventory.apply(entries)
    return inventory
