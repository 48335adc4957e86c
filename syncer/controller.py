"""The loop: make etcd hold what the sources ask for, whenever something changed, and check all now and then.

Level-triggered: a reconcile looks at what is there now for the names that something has happened to.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final, Protocol

from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.store import Conflict, Fence, Fenced
from syncer.happening import Happening, of_changes, of_rejections
from syncer.ledger import Ledger
from syncer.metrics import Statistics
from syncer.notes import Notes
from syncer.observation import Observation
from syncer.reconciler import Outcome, Reconciler, Settings
from syncer.registry.registry import Registry

QUIET: Final = 0.02
"""Seconds without an event after which a reconcile starts."""

PATIENCE: Final = 0.1
"""Seconds after which it starts in any case, so that constant events cannot hold it up."""

FIRST_RETRY: Final = 0.5
LAST_RETRY: Final = 15.0
"""Seconds; the wait doubles from one to the other while etcd is away."""

RESYNC_STEP: Final = 200
"""Objects, or names, that a full resync looks at before a change may be written: some milliseconds."""

_FIRST_CONFLICT_RETRY: Final = 0.02

log = logging.getLogger("syncer")


class Leadership(Protocol):
    """Says who writes, where several could."""

    @property
    def fence(self) -> Fence | None:
        """What every write must carry; None: another one leads, or nobody is known to."""
        ...


class Observer(Protocol):
    """Says what is asked for."""

    def look(self) -> Observation:
        """Return what has come to be asked for."""
        ...

    def differences(self, step: int) -> Iterator[int]:
        """Work everything out again, `step` objects at a time; yield how many were not as they are known."""
        ...


def _keep_quiet(_: Iterable[Happening]) -> None:
    return None


class Controller:
    """Reconciles one registry with what an observer sees."""

    def __init__(
        self,
        observer: Observer,
        registry: Registry,
        settings: Settings,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        leadership: Leadership | None = None,
        tell: Callable[[Iterable[Happening]], None] = _keep_quiet,
    ) -> None:
        """Make one.

        `clock` times the deletion grace; it stands still while objects cannot be watched. Without a
        `leadership` this is the only writer. `tell` takes what happens to the records of objects.
        """
        self._leadership, self._tell = leadership, tell
        self.turned = time.monotonic()
        """When the loop last showed that it runs."""
        self._noticed: float | None = None
        """When the oldest change that is not written yet was noticed."""
        self._observer, self._registry, self._settings, self._sleep = observer, registry, settings, sleep
        self._reconciler = Reconciler(registry, settings)
        self._clock = clock
        self._notes = Notes(
            settings.deletion_grace, settings.max_delete_share, settings.prints, is_dry=settings.dry_run
        )
        self._ledger = Ledger()
        self._changed = asyncio.Event()
        self._resync_at = time.monotonic() + settings.interval
        self._resync_found = 0
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
            await self._reconcile_until_done(self.reconcile)
            if time.monotonic() >= self._resync_at:
                await self._reconcile_until_done(self.resync)
                self._resync_at = time.monotonic() + self._settings.interval
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_next()):
                    await self._changed.wait()

    def _until_next(self) -> float:
        resync = max(0.0, self._resync_at - time.monotonic())
        remaining = self._reconciler.grace.remaining(self._clock())
        return resync if remaining is None else min(resync, max(PATIENCE, remaining))

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

    async def _reconcile_until_done(self, once: Callable[[], Awaitable[None]]) -> None:
        unavailable, conflict = FIRST_RETRY, _FIRST_CONFLICT_RETRY
        while True:
            self.turned = time.monotonic()
            try:
                self._changed.clear()
                await once()
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
        """Plan what has changed, and carry it out, once.

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

    async def resync(self) -> None:
        """Look at everything again, in small steps between which changes are written. It is to find nothing.

        Raises:
            As `reconcile`; it is to be begun anew then.
        """
        observation, self._resync_found = self.look(), 0
        self._fence()
        for found in self._observer.differences(RESYNC_STEP):
            self._resync_found += found
            await self._let_changes_through()
        try:
            self._resync_found += await asyncio.to_thread(self._registry.differences)
            names = sorted({*observation.names(), *await asyncio.to_thread(self._reconciler.names)})
        except (StoreUnavailable, Compacted) as error:
            self._note_store(False, str(error))
            raise
        for start in range(0, len(names), RESYNC_STEP):
            part, observation = names[start : start + RESYNC_STEP], self.look()
            drifted = await asyncio.to_thread(self._reconciler.drifted, observation, part)
            self._reconciler.question(drifted)
            self._resync_found += len(drifted)
            await self._let_changes_through()
        if self._resync_found:
            self.statistics.resync_differences += self._resync_found
            log.warning("a full resync found %d things that no event had told of", self._resync_found)
        await self.reconcile()

    async def _let_changes_through(self) -> None:
        self.turned = time.monotonic()
        await asyncio.sleep(0)
        if self._changed.is_set():
            self._changed.clear()
            await self.reconcile()

    def look(self) -> Observation:
        """Take what has come to be asked for."""
        observation = self._observer.look()
        self._reconciler.question(observation.touched)
        for where, rejections in observation.rejections.items():
            self._ledger.put(where, rejections)
        self.statistics.synced = {kind: kind not in observation.unsettled for kind in observation.kinds}
        return observation

    async def _attempt(self) -> Outcome:
        statistics, fence = self.statistics, self._fence()
        statistics.last_reconcile = time.time()
        observation = self.look()
        try:
            outcome = await asyncio.to_thread(self._reconciler.run, observation, self._clock(), fence)
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
            self._note_rejections()
            raise
        self._note_store(True, "")
        self._notes.changes(outcome.plan, statistics)
        self._tell(of_changes(outcome.plan.changes))
        self._tell(self._notes.grace(outcome.kept, statistics))
        self._tell(self._notes.refusal(outcome.limited, statistics))
        for name, rejections in outcome.rejected.items():
            self._ledger.put(name, rejections)
        for key, fault in outcome.faults.items():
            self._ledger.put(key, () if fault is None else (fault,))
        self._note_rejections()
        census = self._reconciler.census
        statistics.source_records, statistics.registry_records = census.wanted, census.held
        statistics.verified_records = census.verified
        statistics.last_sync = time.time()
        statistics.consecutive_errors = 0
        return outcome

    def _fence(self) -> Fence | None:
        if self._leadership is None:
            return None
        fence = self._leadership.fence
        if fence is None:
            self._reconciler.forget()
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

    def _note_rejections(self) -> None:
        news = self._ledger.take_news()
        for rejection in news:
            log.warning("%s", rejection)
        self._tell(of_rejections(news))
        self.statistics.rejected = self._ledger.reasons
