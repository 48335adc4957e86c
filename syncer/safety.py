"""What keeps names alive when their sources are wrong for a while. Pure.

A controller that restarts clears the status of objects that still exist, and a broken source sees nothing
at all. The first costs no name for a grace, the second no more names than a share of all.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from syncer.plan import Change, Current, Plan

FEW: Final = 10
"""Names that may always go in one run, whatever their share."""


class Grace:
    """Since when objects claim names without a target. It lives in memory alone: a restart lengthens it.

    Times are seconds on a clock that may stand still, as it does while the objects cannot be watched.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._since: dict[str, dict[str, float]] = {}
        """By name and object."""
        self._begun: deque[tuple[float, str]] = deque()
        """When graces began and of which name, in order; some are not any more."""

    def see(self, now: float, name: str, waiting: Collection[str], *, is_served: bool) -> bool:
        """Take what is claimed of a name, and return whether the grace of any of these objects runs.

        Args:
            now: the time.
            name: the name.
            waiting: the objects that claim it without having a target for it.
            is_served: some other object has one; the name needs no grace.
        """
        before = self._since.pop(name, {})
        if not waiting or is_served:
            return False
        self._since[name] = {resource: before.get(resource, now) for resource in waiting}
        if self._since[name].keys() - before.keys():
            self._begun.append((now, name))
        return bool(self.running(now, name))

    def running(self, now: float, name: str) -> list[str]:
        """Return the objects for which a name is in grace."""
        return [r for r, since in self._since.get(name, {}).items() if now - since < self._period]

    def over(self, now: float) -> set[str]:
        """Return the names of which a grace has ended since this was asked last."""
        ended: set[str] = set()
        while self._begun and now - self._begun[0][0] >= self._period:
            ended.add(self._begun.popleft()[1])
        return ended

    def remaining(self, now: float) -> float | None:
        """Return the seconds until the next grace is over, None where none runs."""
        while self._begun:
            since, name = self._begun[0]
            if since in self._since.get(name, {}).values():
                return max(since + self._period - now, 0.0)
            self._begun.popleft()
        return None


def is_kept(resources: Collection[str], current: Iterable[Current], owner_id: str) -> bool:
    """Say whether a name has records of ours that were made for one of these objects."""
    return bool(resources) and any(
        record.owner_id == owner_id and record.targets and record.resource in ("", *resources)
        for record in current
    )


class Limited(NamedTuple):
    plan: Plan
    refused: tuple[str, ...]
    """Names that would have vanished, sorted."""
    held: int
    """Names there are of ours."""
    lost: tuple[Change, ...] = ()
    """The changes that were taken out."""


def limit_deletions(
    planned: Plan, current: Iterable[Current], owner_id: str, share: float, elsewhere: int = 0
) -> Limited:
    """Take all vanishing names out of a plan in which they are over `share` of ours, and more than FEW.

    A name of which something stays or comes does not vanish. `current` is what the planned names hold, and
    `elsewhere` the number of other names that are ours.
    """
    left: dict[str, set[str]] = defaultdict(set)
    for record in current:
        if record.owner_id == owner_id and record.targets:
            left[record.name].add(record.type)
    held = len(left) + elsewhere
    touched: set[str] = set()
    for change in planned.changes:
        if change.after is not None:
            left[change.name].add(change.type)
        elif change.type in left.get(change.name, ()):
            left[change.name].discard(change.type)
            touched.add(change.name)
    vanishing = {name for name in touched if not left[name]}
    if len(vanishing) <= FEW or len(vanishing) <= share * held:
        return Limited(planned, (), held)
    kept = tuple(change for change in planned.changes if change.name not in vanishing)
    lost = tuple(change for change in planned.changes if change.name in vanishing)
    return Limited(replace(planned, changes=kept), tuple(sorted(vanishing)), held, lost)
