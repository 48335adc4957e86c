"""One reconcile: what is asked for and what is held under the names in question → a plan, carried out.

A name is in question when something has changed for it, on either side, and stays so until it is as it is
to be. Blocking; used by one thread at a time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Fence
from syncer.desired import Asked
from syncer.endpoint import Rejection
from syncer.metrics import Census
from syncer.observation import Observation
from syncer.plan import Current, Plan, Policy, plan
from syncer.registry.inventory import Inventory
from syncer.registry.registry import Registry
from syncer.safety import Grace, Limited, is_kept, limit_deletions
from syncer.source.filters import DomainFilter, NameFilter
from syncer.source.shaping import MANAGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    policy: Policy = "sync"
    domain_filter: NameFilter = field(default_factory=DomainFilter)
    managed_types: frozenset[str] = MANAGED
    """Types of our records that are changed at all."""
    interval: float = 60.0
    """Seconds between two full resyncs."""
    dry_run: bool = False
    prints: Literal["", "text", "json"] = ""
    """How changes are printed; empty: they are logged."""
    deletion_grace: float = 300.0
    """Seconds for which records stay whose object still asks for them and has no targets."""
    max_delete_share: float = 0.3
    """Of our names; more do not vanish in one run."""


class Outcome(NamedTuple):
    plan: Plan
    rejected: Mapping[str, tuple[Rejection, ...]]
    """Of each name that was in question."""
    faults: Mapping[Key, Rejection | None]
    """Of the keys in etcd that can be read no more, or again, since the last run."""
    kept: Mapping[str, Sequence[str]]
    """All names that stay for want of targets, with the objects that ask for them."""
    limited: Limited


class Reconciler:
    """Keeps one registry as it is to be."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry, self._settings = registry, settings
        self.grace = Grace(settings.deletion_grace)
        self.census = Census()
        self._open: set[str] = set()
        """The names in question."""
        self._kept: dict[str, Sequence[str]] = {}

    def question(self, names: Iterable[str]) -> None:
        """Have the next run look at these names."""
        self._open.update(names)

    def forget(self) -> None:
        """Have the next run read all records: what others write until then is theirs to know."""
        self._registry.forget()

    def run(self, observation: Observation, now: float, fence: Fence | None) -> Outcome:
        """Plan the names in question and carry it out.

        Args:
            observation: what is asked for.
            now: the time of the deletion grace.
            fence: what every write must carry.

        Raises:
            Conflict, StoreUnavailable, Compacted, Fenced: the names stay in question.
        """
        inventory = self._registry.read()
        self._open |= inventory.take_touched() | self.grace.over(now)
        names = [name for name in self._open if self._settings.domain_filter.holds(name)]
        asked = {name: observation.at(name) for name in names}
        current = self._current(inventory, names)
        self._keep(now, asked, current)
        planned = self._planned(asked, current, observation)
        elsewhere = self.census.names_held - sum(map(self.census.holds, names))
        flat = [record for records in current.values() for record in records]
        limited = limit_deletions(
            planned, flat, self._registry.owner_id, self._settings.max_delete_share, elsewhere
        )
        if limited.plan.changes and not self._settings.dry_run:
            self._registry.commit(limited.plan, inventory, fence)
            # What we wrote ourselves is as it is to be.
            inventory.take_touched()
        self._open = {*planned.unsettled, *limited.refused}
        if self._settings.dry_run:
            self._open.update(change.name for change in planned.changes)
        self._count(inventory, asked)
        return Outcome(
            limited.plan,
            {name: (*asked[name].rejections, *planned.rejected.get(name, ())) for name in names},
            inventory.take_faults(),
            dict(self._kept),
            limited,
        )

    def drifted(self, observation: Observation, names: Collection[str]) -> list[str]:
        """Return those of the names that are not in question and yet not as they are to be.

        Raises:
            StoreUnavailable, Compacted: nothing is known.
        """
        inventory = self._registry.read()
        self._open |= inventory.take_touched()
        sure = [n for n in names if n not in self._open and self._settings.domain_filter.holds(n)]
        asked = {name: observation.at(name) for name in sure}
        planned = self._planned(asked, self._current(inventory, sure), observation)
        return [change.name for change in planned.changes]

    def names(self) -> Collection[str]:
        """Return every name that anything is held for.

        Raises:
            StoreUnavailable, Compacted: nothing is known.
        """
        return self._registry.read().names

    def _current(self, inventory: Inventory, names: Iterable[str]) -> dict[str, list[Current]]:
        me, managed = self._registry.owner_id, self._settings.managed_types
        return {
            name: [r for r in inventory.at(name).current if r.type in managed or r.owner_id != me]
            for name in names
        }

    def _keep(self, now: float, asked: Mapping[str, Asked], current: Mapping[str, list[Current]]) -> None:
        """Bring the names that stay for want of targets up to date."""
        for name, what in asked.items():
            self.grace.see(now, name, what.waiting, is_served=bool(what.endpoints))
            running = self.grace.running(now, name)
            self._kept.pop(name, None)
            if is_kept(running, current[name], self._registry.owner_id):
                self._kept[name] = running

    def _planned(
        self, asked: Mapping[str, Asked], current: Mapping[str, list[Current]], observation: Observation
    ) -> Plan:
        return plan(
            (endpoint for what in asked.values() for endpoint in what.endpoints),
            (record for records in current.values() for record in records),
            self._registry.owner_id,
            self._settings.policy,
            settled=observation.settled,
            pending={name for name, what in asked.items() if what.is_pending or name in self._kept},
        )

    def _count(self, inventory: Inventory, asked: Mapping[str, Asked]) -> None:
        me = self._registry.owner_id
        for name, records in self._current(inventory, asked).items():
            wanted = frozenset[str](endpoint.type for endpoint in asked[name].endpoints)
            held = frozenset[str](r.type for r in records if r.owner_id == me and r.targets)
            self.census.put(name, wanted, held)
