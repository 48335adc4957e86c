"""The loop: whenever something changed, and at every interval, make etcd hold what the sources ask for.

Level-triggered: a reconcile reads everything it needs and ignores what the event said.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.store import Conflict, Fence, Fenced
from syncer.endpoint import Endpoint, Rejection
from syncer.metrics import Statistics
from syncer.notes import Notes
from syncer.observation import Observation
from syncer.plan import Change, Plan, Policy, diff, plan
from syncer.registry.registry import Registry
from syncer.safety import Claim, Grace, Limited, limit_deletions, names_kept
from syncer.source.filters import DomainFilter, NameFilter
from syncer.source.shaping import MANAGED

QUIET: Final = 0.02
"""Seconds without an event after which a reconcile starts."""

PATIENCE: Final = 0.1
"""Seconds after which it starts in any case, so that constant events cannot hold it up."""

FIRST_RETRY: Final = 0.5
LAST_RETRY: Final = 15.0
"""Seconds; the wait doubles from one to the other while etcd is away."""

_FIRST_CONFLICT_RETRY: Final = 0.02
_SHOWN_CHANGES: Final = 50

log = logging.getLogger("syncer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    policy: Policy = "sync"
    domain_filter: NameFilter = field(default_factory=DomainFilter)
    managed_types: frozenset[str] = MANAGED
    """Types of our records that are changed at all."""
    interval: float = 60.0
    """Seconds between two reconciles that no event asked for."""
    dry_run: bool = False
    deletion_grace: float = 300.0
    """Seconds for which records stay whose object still asks for them and has no targets."""
    max_delete_share: float = 0.3
    """Of our names; more do not vanish in one run."""


class Leadership(Protocol):
    """Says who writes, where several could."""

    @property
    def fence(self) -> Fence | None:
        """What every write must carry; None: another one leads, or nobody is known to."""
        ...


class Outcome(NamedTuple):
    plan: Plan
    held: set[tuple[str, str]]
    """Names and types in etcd now, ours alone."""
    unreadable: list[Rejection]
    kept: frozenset[str]
    """Names that stay for want of targets."""
    limited: Limited


class Controller:
    """Reconciles one registry with what `observe` sees."""

    def __init__(
        self,
        observe: Callable[[], Observation],
        registry: Registry,
        settings: Settings,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        leadership: Leadership | None = None,
    ) -> None:
        """Make one.

        `clock` times the deletion grace; it stands still while objects cannot be watched. Without a
        `leadership` this is the only writer.
        """
        self._leadership = leadership
        self.turned = time.monotonic()
        """When the loop last showed that it runs."""
        self._noticed: float | None = None
        """When the oldest change that is not written yet was noticed."""
        self._observe, self._registry, self._settings, self._sleep = observe, registry, settings, sleep
        self._clock, self._grace = clock, Grace(settings.deletion_grace)
        self._notes = Notes(settings.deletion_grace, settings.max_delete_share)
        self._changed = asyncio.Event()
        self._shown: list[str] = []
        self._logged: set[Rejection] = set()
        self.statistics = Statistics()

    def notify(self) -> None:
        """Ask for a reconcile; to be called on the event loop."""
        if self._noticed is None:
            self._noticed = time.monotonic()
        self._changed.set()

    async def changed(self) -> None:
        """Wait for the next `notify`."""
        await self._changed.wait()
        self._changed.clear()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            await self._settle_down()
            await self._reconcile_until_done()
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with the event.
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._changed.wait()
            except TimeoutError:
                self._registry.forget()

    def _until_next(self) -> float:
        interval = self._settings.interval
        remaining = self._grace.remaining(self._clock())
        return interval if remaining is None else max(PATIENCE, min(interval, remaining))

    async def _settle_down(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while loop.time() < until:
            self._changed.clear()
            try:
                async with asyncio.timeout(QUIET):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _reconcile_until_done(self) -> None:
        unavailable, conflict = FIRST_RETRY, _FIRST_CONFLICT_RETRY
        while True:
            self.turned = time.monotonic()
            try:
                self._changed.clear()
                await self.reconcile()
                return
            except Fenced as error:
                # Becoming leader asks for the next reconcile.
                log.debug("nothing is written: %s", error)
                return
            except Conflict as error:
                log.info("another writer changed %s; planning again", error)
                await self._sleep(conflict * random.uniform(0.5, 1))
                conflict = min(conflict * 2, LAST_RETRY)
            except (StoreUnavailable, Compacted):
                await self._sleep(unavailable * random.uniform(0.5, 1))
                unavailable = min(unavailable * 2, LAST_RETRY)

    async def reconcile(self) -> None:
        """Read everything, plan, and carry it out, once.

        Raises:
            Conflict, StoreUnavailable, Compacted: to be tried again.
            Fenced: to be tried again when this one leads.
        """
        noticed, self._noticed = self._noticed, None
        try:
            outcome = await self._attempt()
        except (Conflict, StoreUnavailable, Compacted):
            self._noticed = self._noticed if noticed is None else noticed
            raise
        if noticed is not None and outcome.plan.changes:
            self.statistics.count_lag(time.monotonic() - noticed)
        await asyncio.to_thread(self._registry.refresh)

    async def _attempt(self) -> Outcome:
        statistics, fence = self.statistics, self._fence()
        statistics.last_reconcile = time.time()
        observation = self._observe()
        desired = [e for e in observation.endpoints if self._settings.domain_filter.holds(e.name)]
        statistics.synced = {kind: kind not in observation.unsettled for kind in observation.kinds}
        claims = [Claim(*claim) for claim in observation.waiting]
        in_grace = self._grace.step(self._clock(), claims, {endpoint.name for endpoint in desired})
        try:
            outcome = await asyncio.to_thread(self._apply, desired, observation, in_grace, fence)
        except Conflict:
            statistics.conflicts += 1
            statistics.consecutive_errors += 1
            raise
        except Fenced:
            statistics.fenced += 1
            log.warning("a write was refused: another syncer leads, or the leader's key was removed")
            raise
        except (StoreUnavailable, Compacted) as error:
            self._note_store(False, str(error))
            self._note_rejections([*observation.rejections])
            raise
        self._note_store(True, "")
        self._note_changes(outcome.plan)
        self._notes.grace(outcome.kept, statistics)
        self._notes.refusal(outcome.limited, statistics)
        self._note_rejections([*observation.rejections, *outcome.plan.rejections, *outcome.unreadable])
        statistics.count_records(desired, outcome.held)
        statistics.last_sync = time.time()
        statistics.consecutive_errors = 0
        return outcome

    def _apply(
        self,
        desired: list[Endpoint],
        observation: Observation,
        in_grace: frozenset[Claim],
        fence: Fence | None,
    ) -> Outcome:
        inventory, me = self._registry.read(), self._registry.owner_id
        managed, holds = self._settings.managed_types, self._settings.domain_filter.holds
        current = [r for r in inventory.current if holds(r.name) and (r.type in managed or r.owner_id != me)]
        kept = names_kept(in_grace, current, me)
        asked = plan(
            desired,
            current,
            me,
            self._settings.policy,
            settled=observation.settled,
            pending=observation.pending | kept,
        )
        limited = limit_deletions(asked, current, me, self._settings.max_delete_share)
        planned = limited.plan
        held = {(r.name, str(r.type)) for r in current if r.owner_id == me}
        if planned.changes and not self._settings.dry_run:
            self._registry.commit(planned, inventory, fence)
            held |= {(change.name, change.type) for change in planned.changes}
            held -= {(change.name, change.type) for change in planned.changes if change.after is None}
        return Outcome(planned, held, inventory.rejections, kept, limited)

    def _fence(self) -> Fence | None:
        if self._leadership is None:
            return None
        fence = self._leadership.fence
        if fence is None:
            # What others write meanwhile is theirs to read.
            self._registry.forget()
            raise Fenced("another one leads")
        return fence

    def _note_store(self, is_up: bool, reason: str) -> None:
        statistics = self.statistics
        if not is_up:
            if statistics.is_store_up or not statistics.store_errors:
                log.warning("etcd is unavailable (%s); retrying, nothing is written meanwhile", reason)
            statistics.store_errors += 1
            statistics.consecutive_errors += 1
        elif statistics.store_errors and not statistics.is_store_up:
            log.info("etcd is available again")
        statistics.is_store_up = is_up

    def _note_changes(self, planned: Plan) -> None:
        lines = diff(planned)
        if self._settings.dry_run:
            if lines != self._shown:
                print("\n".join(lines) or "no changes", flush=True)
            self._shown = lines
            return
        if not planned.changes:
            self.statistics.no_op_runs += 1
            return
        self.statistics.changes.update(_operation(change) for change in planned.changes)
        for line in lines[:_SHOWN_CHANGES]:
            log.info("%s", line)
        if len(lines) > _SHOWN_CHANGES:
            log.info("… and %d more", len(lines) - _SHOWN_CHANGES)

    def _note_rejections(self, rejections: list[Rejection]) -> None:
        now = set(rejections)
        for rejection in sorted(now - self._logged):
            log.warning("%s", rejection)
        self._logged = now
        self.statistics.rejected = Counter(rejection.reason for rejection in now)


def _operation(change: Change) -> str:
    if change.after is None:
        return "delete"
    return "update" if change.before is not None and change.before.targets else "create"
