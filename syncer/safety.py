"""What keeps names alive when their sources are wrong for a while. Pure.

A controller that restarts clears the status of objects that still exist, and a broken source sees nothing
at all. The first costs no name for a grace, the second no more names than a share of all.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from syncer.plan import Current, Plan

FEW: Final = 10
"""Names that may always go in one run, whatever their share."""


class Claim(NamedTuple):
    """A name that an object asks for without having a target for it."""

    name: str
    resource: str


class Grace:
    """Since when which claims are without targets. It lives in memory alone: a restart lengthens it."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._since: dict[Claim, float] = {}

    def step(self, now: float, claims: Collection[Claim], served: Collection[str]) -> frozenset[Claim]:
        """Take what an observation saw at `now`; return the claims whose records are to stay.

        Args:
            now: seconds on a clock that may stand still, as it does while the objects cannot be watched.
            claims: all claims without targets.
            served: names that have targets from some object; they need no grace.
        """
        current = {claim for claim in claims if claim.name not in served}
        self._since = {claim: self._since.get(claim, now) for claim in current}
        return frozenset(claim for claim, since in self._since.items() if now - since < self._period)

    def remaining(self, now: float) -> float | None:
        """Return the seconds until the next claim's grace is over, None where none runs."""
        ends = [since + self._period - now for since in self._since.values()]
        return min((left for left in ends if left > 0), default=None)


def names_kept(claims: Collection[Claim], current: Iterable[Current], owner_id: str) -> frozenset[str]:
    """Return the names whose records were made for an object that still claims them."""
    wanted = {*claims, *(claim._replace(resource="") for claim in claims)}
    return frozenset(
        record.name
        for record in current
        if record.owner_id == owner_id and record.targets and Claim(record.name, record.resource) in wanted
    )


class Limited(NamedTuple):
    plan: Plan
    refused: tuple[str, ...]
    """Names that would have vanished, sorted."""
    held: int
    """Names there are of ours."""


def limit_deletions(planned: Plan, current: Iterable[Current], owner_id: str, share: float) -> Limited:
    """Take all vanishing names out of a plan in which they are over `share` of ours, and more than FEW.

    A name of which something stays or comes does not vanish.
    """
    left: dict[str, set[str]] = defaultdict(set)
    for record in current:
        if record.owner_id == owner_id and record.targets:
            left[record.name].add(record.type)
    held = len(left)
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
    return Limited(Plan(kept, planned.rejections), tuple(sorted(vanishing)), held)
