"""A plan × the inventory it was made from → guarded transactions. Pure.

All keys of a name change in one transaction, and many names share one. Only a name with more keys than a
transaction may hold is split: ownership first when keys come, last when they go, so that whatever stands
after a crash is owned, and the next run completes it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from dnsserver.skydns.key import Key
from dnsserver.skydns.ownership import Ownership, is_ownership, text_of
from dnsserver.skydns.record import Record, encode
from syncer.endpoint import Endpoint, RecordType
from syncer.plan import Change, Plan
from syncer.registry.holding import Holding, is_below, parent_of
from syncer.registry.inventory import Inventory
from syncer.registry.ownership import label_of
from syncer.registry.reading import Held
from syncer.registry.values import record_of


@dataclass(slots=True)
class Transaction:
    puts: dict[Key, bytes] = field(default_factory=dict)
    deletes: set[Key] = field(default_factory=set)
    expected: dict[Key, int] = field(default_factory=dict)
    """The revision of each key that the transaction depends on; 0 for one that must not exist."""

    def add(self, other: "Transaction") -> None:
        self.puts |= other.puts
        self.deletes |= other.deletes
        self.expected |= other.expected


def transactions(planned: Plan, inventory: Inventory, limit: int) -> Iterator[Transaction]:
    """Yield the transactions that carry out a plan, in the order in which they must be committed.

    None touches or depends on more than `limit` keys.
    """
    packed = Transaction()
    for _, changes in groupby(planned.changes, key=lambda change: change.name):
        name = _Keys(inventory, limit)
        for change in changes:
            name.settle(change)
        if len(name.all.expected) > limit:
            yield from name.split()
            continue
        if len(packed.expected) + len(name.all.expected) > limit:
            yield packed
            packed = Transaction()
        packed.add(name.all)
    if packed.puts or packed.deletes:
        yield packed


class _Keys:
    """The changes to the keys of one name."""

    def __init__(self, inventory: Inventory, limit: int) -> None:
        self._inventory, self._limit = inventory, limit
        self.all = Transaction()
        self._ownership: set[Key] = set()

    def settle(self, change: Change) -> None:
        """Add what one change does to the keys."""
        holding = self._inventory.holding(change.name, change.type)
        if change.after is None:
            for held in (*holding.texts, *holding.hosts):
                self._delete(held)
        else:
            self._settle_records(change.after, holding)
        self._ownership.update(held.key for held in holding.texts)

    def _settle_records(self, after: Endpoint, holding: Holding) -> None:
        _, owner_id, convention = self._inventory.view
        at = convention.naming.name_of_ownership(after.name, after.type) if convention.has_texts else None
        text = text_of(Ownership(owner_id, str(after.resource))) if convention.has_texts else ""
        owner = owner_id if convention.is_strict else ""
        self._settle_group(
            after.name,
            after.name,
            after.type,
            {
                data: record_of(
                    after.type, data, text="" if at else text, ttl=after.ttl, group=after.group
                )._replace(owner=owner)
                for data in after.targets
            },
            list(holding.hosts),
        )
        # One ownership text whatever it says, so its own data does not count for its label.
        texts = [held._replace(data="") for held in holding.texts]
        wanted = {"": Record(text=text, targetstrip=1, owner=owner)} if at else {}
        self._ownership.update(self._settle_group(at or after.name, after.name, after.type, wanted, texts))

    def _settle_group(
        self, at: str, name: str, type_: RecordType, wanted: dict[str, Record], held: list[Held]
    ) -> set[Key]:
        """Make the keys below `at` hold exactly the `wanted` records; return the keys that hold them."""
        parent = parent_of(at, self._inventory.view.prefix)
        left = {key.key: key for key in sorted(held)}
        own = self._own_key(parent, left) if type_ == "PTR" and at == name else None
        first = min(wanted, default="")
        if own is not None and wanted:
            wanted[first] = wanted[first]._replace(targetstrip=0)
        chosen: dict[str, Held] = {}
        for candidate in left.values():
            is_there = is_below(candidate, parent)
            if own is not None:
                is_there = candidate.key == own if candidate.data == first else is_there
            if candidate.data in wanted and candidate.data not in chosen and is_there:
                chosen[candidate.data] = candidate
        for taken in chosen.values():
            del left[taken.key]
        keys = set()
        for data, record in wanted.items():
            if data in chosen:
                keys.add(chosen[data].key)
                self._keep(chosen[data], record)
            else:
                is_own = own is not None and data == first
                key = own if own and is_own else self._key(parent, (name, type_, data), left)
                self._put(key, record, left.pop(key).revision if key in left else 0)
                keys.add(key)
        for gone in left.values():
            self._delete(gone)
        return keys

    def _own_key(self, parent: bytes, left: dict[Key, Held]) -> Key | None:
        """Return the key of the name itself, None where a stranger has it."""
        own = Key(parent.removesuffix(b"/"))
        return own if own in left or own not in self._inventory.keys else None

    def _key(self, parent: bytes, label: tuple[str, str, str], left: dict[Key, Held]) -> Key:
        salt = 0
        while True:
            key = Key(parent + label_of(*label, salt).encode())
            is_free = key not in self._inventory.keys and key not in self.all.puts
            if key in left or is_free:
                return key
            salt += 1

    def _keep(self, held: Held, record: Record) -> None:
        if held.record.owner:
            record = record._replace(owner=self._inventory.view.owner_id)
        is_noted = is_ownership(record.text)
        is_sealed_right = not is_noted or held.is_sealed == self._inventory.view.convention.is_sealed
        if record != held.record or not held.is_plain or not is_sealed_right:
            self._put(held.key, record, held.revision)
        else:
            self.all.expected[held.key] = held.revision

    def _put(self, key: Key, record: Record, revision: int) -> None:
        convention = self._inventory.view.convention
        if convention.is_sealed and convention.seal is not None and is_ownership(record.text):
            record = record._replace(text=convention.seal.seal(record.text.strip('"')))
        self.all.puts[key] = encode(record)
        self.all.expected[key] = revision

    def _delete(self, held: Held) -> None:
        self.all.deletes.add(held.key)
        self.all.expected[held.key] = held.revision

    def split(self) -> Iterator[Transaction]:
        """Yield the changes in transactions within the limit."""
        phases: tuple[Iterable[Key], ...] = (
            (key for key in self.all.puts if key in self._ownership),
            (key for key in self.all.puts if key not in self._ownership),
            (key for key in self.all.deletes if key not in self._ownership),
            (key for key in self.all.deletes if key in self._ownership),
        )
        ordered = [key for phase in phases for key in sorted(phase)]
        for start in range(0, len(ordered), self._limit):
            part = ordered[start : start + self._limit]
            yield Transaction(
                puts={key: self.all.puts[key] for key in part if key in self.all.puts},
                deletes={key for key in part if key in self.all.deletes},
                expected={key: self.all.expected[key] for key in part},
            )
