"""The etcd reflector: list, then watch, and list again after any gap; the table follows.

A thread of its own does the blocking calls and the decoding. It hands over whole batches and waits until
the event loop has applied each, so nothing piles up. While etcd is away the table stays as it is.
"""

import asyncio
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.entry import Entry, Head
from dnsserver.skydns.key import Key, labels_of
from dnsserver.skydns.record import Reason, Record, RecordError, decode
from dnsserver.skydns.store import Store
from dnsserver.source.rrsets import checked, clashes, owner_of
from dnsserver.wire.name import Name, to_text
from dnsserver.zone.table import Change, ZoneTable

log = logging.getLogger("dnsserver.etcd")

RESYNC_INTERVAL: Final = 600.0
"""Seconds after which the table is compared with etcd although the watch is well: a restored backup that
has overtaken our revision shows in nothing else."""

FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 5.0
"""Seconds between two attempts; doubled from the first to the greatest."""

SLICE: Final = 200
"""Changes applied before queries get their turn: about a millisecond."""

MAX_CLASHING: Final = 1000
"""Names with clashing records that are kept in mind."""

MAX_LEASES: Final = 10_000
"""Leases whose TTL is kept in mind; more are asked for again."""

MAX_ATOMIC: Final = 2000
"""Changes of a watch batch that are applied with no query between them."""


class Reflector:
    """Keeps a zone table equal to what etcd holds below a prefix. Attributes are for reading.

    `known` is the state whose records the table has already; the first listing brings it from there to the
    present. On the event loop `on_synced` is called after the first snapshot, `on_lost` after each failure.
    """

    def __init__(
        self,
        store: Store,
        prefix: Key,
        table: ZoneTable,
        *,
        known: Head | None = None,
        on_synced: Callable[[], object] = lambda: None,
        on_lost: Callable[[], object] = lambda: None,
        resync_interval: float = RESYNC_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._prefix, self._table = store, prefix, table
        self._on_synced, self._on_lost = on_synced, on_lost
        self._resync_interval, self._clock = resync_interval, clock
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, name="etcd-reflector", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cluster_id = known.cluster_id if known else 0
        self._delay = FIRST_DELAY
        self._granted: dict[int, int] = {}
        self.connected = False
        self.revision = known.revision if known else 0
        """Of etcd, up to which the table is right; 0 before the first snapshot."""
        self.synced_at: float | None = None
        """When etcd last showed that the table is current, by the clock."""
        self.lists = 0
        self.watches = 0
        self.rejected: dict[bytes, Reason] = {}
        """Keys that are in etcd and no records, with why."""
        self.clashing: set[Name] = set()
        """Names whose records cannot all be served, MAX_CLASHING of them at most."""

    def start(self) -> None:
        """Begin, handing changes to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """End the thread. The table stays as it is."""
        self._halt.set()
        self._store.close()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, MAX_DELAY)

    @property
    def known(self) -> Head | None:
        """The state up to which the table is right; None before the first snapshot."""
        return Head(self._cluster_id, self.revision) if self.revision else None

    @property
    def age(self) -> float | None:
        """Seconds since etcd last showed that the table is current; None before the first snapshot."""
        return None if self.synced_at is None else self._clock() - self.synced_at

    def rejected_by_reason(self) -> Counter[Reason]:
        return Counter(list(self.rejected.values()))

    def _run(self) -> None:
        listed = False
        while not self._halt.is_set():
            try:
                if not listed:
                    self._list()
                    listed = True
                self._watch()
                listed = False  # the interval is over: compare
                continue
            except StoreUnavailable as error:
                self._lost(str(error))
            except Compacted as error:
                listed = False
                log.warning("etcd compacted past revision %d: listing again (%s)", self.revision, error)
            except Exception:
                listed = False
                self._lost("an unexpected error")
                log.exception("etcd reflector")
            self._halt.wait(self._delay * random.uniform(0.5, 1))
            self._delay = min(self._delay * 2, MAX_DELAY)

    def _list(self) -> None:
        """Bring the table to one revision of etcd, page by page, and drop what that revision has not."""
        first, page = self.revision == 0, None
        seen: set[Key] = set()
        for page in self._store.pages(self._prefix):
            self._hand_over(self._apply(self._decoded(page.entries), page.revision, SLICE))
            if not first:
                seen.update(entry.key for entry in page.entries)
        assert page is not None
        if not first:
            self.rejected = {key: reason for key, reason in self.rejected.items() if key in seen}
        self._hand_over(self._finish(seen, page.revision, first))
        self.revision, self._cluster_id = page.revision, page.cluster_id
        self.lists += 1
        self._reached(page.revision)

    def _watch(self) -> None:
        head = self._store.head(self._prefix)
        if head.cluster_id != self._cluster_id or head.revision < self.revision:
            # A watch from a revision that this cluster has not reached would be accepted and stay silent.
            raise Compacted(f"etcd is another or was restored: it is at revision {head.revision}")
        self.watches += 1
        began = self._clock()
        for batch in self._store.watch(self._prefix, self.revision + 1):
            self._reached(max(self.revision, batch.revision))
            if batch.entries:
                self._hand_over(self._apply(self._decoded(batch.entries), batch.revision, MAX_ATOMIC))
            self.revision = max(self.revision, batch.revision)
            if self._halt.is_set() or self._clock() - began > self._resync_interval:
                return

    def _decoded(self, entries: Iterable[Entry]) -> list[Change]:
        changes = []
        for entry in entries:
            try:
                labels = labels_of(entry.key, self._prefix)
            except RecordError as error:
                if entry.value is not None:
                    self._reject(entry.key, error)
                continue
            name = record = None
            if entry.value is None:
                self.rejected.pop(entry.key, None)
            else:
                try:
                    record = checked(decode(entry.value))
                    name = owner_of(labels, record)
                    if entry.lease:
                        record = self._leased(record, name, entry.lease)
                    self.rejected.pop(entry.key, None)
                except RecordError as error:
                    record = None
                    self._reject(entry.key, error)
            changes.append(Change(entry.key, labels, name, record))
        return changes

    def _leased(self, record: Record, name: Name, lease: int) -> Record:
        """Return the record with a TTL of at most what its lease was granted for.

        Not what remains of it: that would be a call for each query. When the lease ends the watch says so.
        """
        granted = self._granted.get(lease)
        if granted is None:
            if len(self._granted) >= MAX_LEASES:
                self._granted.clear()
            granted = self._granted[lease] = self._store.granted_ttl(lease)
        zone = self._table.zone_of(name)
        ttl = record.ttl or (zone.ttl if zone else 0)
        return replace(record, ttl=min(ttl, granted) or ttl)

    def _reject(self, key: bytes, error: RecordError) -> None:
        if self.rejected.get(key) != error.reason:
            log.warning("key %s is skipped: %s", key.decode("utf-8", "backslashreplace"), error)
        self.rejected[key] = error.reason

    async def _apply(self, changes: Sequence[Change], revision: int, size: int) -> None:
        self._table.settled = False
        for at in range(0, len(changes), size):
            part = changes[at : at + size]
            self._table.apply(part, revision, int(time.time()))
            if size == MAX_ATOMIC and at + size >= len(changes):
                self._table.settle()
            self._note_clashes({change.name for change in part if change.name is not None})
            await asyncio.sleep(0)

    def _note_clashes(self, changed: set[Name]) -> None:
        for name in changed | self.clashing:
            node = self._table.nodes.get(name)
            if node is None or len(node.records) < 2 or not clashes(node.records, name):
                self.clashing.discard(name)
            elif name not in self.clashing and len(self.clashing) < MAX_CLASHING:
                self.clashing.add(name)
                log.warning("%s has a host name beside other data; one of them is served", to_text(name))

    async def _finish(self, seen: set[Key], revision: int, first: bool) -> None:
        if not first:
            names = list(self._table.nodes)
            for at in range(0, len(names), SLICE):
                changes = self._table.retain(seen, names[at : at + SLICE])
                self._table.apply(changes, revision, int(time.time()))
                await asyncio.sleep(0)
        self._table.mark_synced(revision, int(time.time()))
        self._table.settle()
        if first:
            self._on_synced()

    def _hand_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` on the event loop and wait for its end."""
        assert self._loop is not None
        if self._loop.is_closed():
            work.close()
            raise StoreUnavailable("the server stops")
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _reached(self, revision: int) -> None:
        self.synced_at = self._clock()
        self._delay = FIRST_DELAY
        if not self.connected:
            self.connected = True
            names = len(self._table.nodes)
            log.info("etcd %s: connected at revision %d, %d names", self._store.endpoint, revision, names)

    def _lost(self, reason: str) -> None:
        if self._halt.is_set():
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_lost)
        if self.connected or self.revision == 0:
            serving = "the last table is served" if self.revision else "only static records are served"
            log.warning("etcd lost, %s, retrying: %s", serving, reason)
        self.connected = False
