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
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.entry import Head
from dnsserver.skydns.key import Key
from dnsserver.skydns.record import Reason
from dnsserver.skydns.store import Store
from dnsserver.source.decoder import Decoder
from dnsserver.source.mirror import Mirror
from dnsserver.source.state import Saved
from dnsserver.wire.name import Name
from dnsserver.zone.table import ZoneTable

log = logging.getLogger("dnsserver.etcd")

RESYNC_INTERVAL: Final = 600.0
"""Seconds after which the table is compared with etcd although the watch is well: a restored backup that
has overtaken our revision shows in nothing else."""

FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 1.0
"""Seconds between two attempts; doubled from the first to the greatest."""


STOP_TIMEOUT: Final = 5.0
"""Seconds that a call under way may take to end."""


class Reflector:
    """Keeps a zone table equal to what etcd holds below a prefix. Attributes are for reading.

    `known` is the state whose records the table has already; the first listing brings it from there to the
    present. What `restore` returns, in the thread, is a table of before a restart, to be served until then.
    On the event loop `on_synced` is called after the first snapshot, `on_lost` after each failure. With
    `trusting` a store that was emptied or went back in time is believed at once.
    """

    def __init__(
        self,
        store: Store,
        prefix: Key,
        table: ZoneTable,
        *,
        known: Head | None = None,
        restore: Callable[[], Saved | None] = lambda: None,
        trusting: bool = False,
        on_synced: Callable[[], object] = lambda: None,
        on_lost: Callable[[], object] = lambda: None,
        resync_interval: float = RESYNC_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._prefix, self._table = store, prefix, table
        self._resync_interval, self._clock = resync_interval, clock
        self._decoder = Decoder(prefix, store.granted_ttl, partial(_default_ttl, table))
        self._mirror = Mirror(table, known, trusting=trusting, on_synced=on_synced)
        self._on_lost, self._restored = on_lost, restore
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, name="etcd-reflector", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._delay = FIRST_DELAY
        self.connected = False
        self.synced_at: float | None = None
        """When etcd last showed that the table is current, by the clock."""
        self.changed_at = 0.0
        """When the watch last brought a change, in seconds since 1970; 0 before the first."""
        self.lists = 0
        self.watches = 0

    def start(self) -> None:
        """Begin, handing changes to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """End the thread. The table stays as it is."""
        self._halt.set()
        self._store.close()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, STOP_TIMEOUT)

    async def accept(self) -> None:
        """Believe the present store, on the word of an operator, although it was emptied or went back."""
        await self._mirror.accept()

    @property
    def revision(self) -> int:
        """Of etcd, up to which the table is right; 0 before the first snapshot."""
        return self._mirror.head.revision

    @property
    def known(self) -> Head | None:
        """The state up to which the table is right; None before the first snapshot."""
        return self._mirror.head if self._mirror.head.revision else None

    @property
    def is_stale(self) -> bool:
        """Say whether the table is of before a restart or a reload, and etcd has not answered since."""
        return self.revision > 0 and not self.lists

    @property
    def held(self) -> int:
        """How many names are served that the present store, which is doubted, has not shown."""
        return self._mirror.held

    @property
    def clashing(self) -> set[Name]:
        """Names whose records cannot all be served, some at least."""
        return self._mirror.clashing

    @property
    def age(self) -> float | None:
        """Seconds since etcd last showed that the table is current; None before the first snapshot."""
        return None if self.synced_at is None else self._clock() - self.synced_at

    @property
    def rejected(self) -> dict[bytes, Reason]:
        """Keys that are in etcd and no records, with why."""
        return self._decoder.rejected

    @property
    def endpoint(self) -> str:
        """The member of etcd that the next call goes to."""
        return self._store.endpoint

    def rejected_by_reason(self) -> Counter[Reason]:
        return self._decoder.rejected_by_reason()

    def _run(self) -> None:
        listed = False
        try:
            if saved := self._restored():
                self._restore(saved)
        except Exception:
            log.exception("what was known before the restart")
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
                log.warning("etcd is listed again, from revision %d: %s", self.revision, error)
            except Exception:
                listed = False
                self._lost("an unexpected error")
                log.exception("etcd reflector")
            self._halt.wait(self._delay * random.uniform(0.5, 1))
            self._delay = min(self._delay * 2, MAX_DELAY)

    def _restore(self, saved: Saved) -> None:
        """Serve what was known before a restart."""
        self._hand_over(self._mirror.begin())
        for page in saved.pages():
            self._hand_over(self._mirror.page(self._decoder.changes(page.entries), page.revision))
        self._hand_over(self._mirror.restored(saved.header))
        names, revision = len(self._table.nodes), self.revision
        log.info("%d names are served as they were at revision %d, until etcd answers", names, revision)

    def _list(self) -> None:
        """Bring the table to one revision of etcd, page by page, and drop what that revision has not."""
        page, keys = None, 0
        rejected: set[Key] = set()
        self._hand_over(self._mirror.begin())
        for page in self._store.pages(self._prefix):
            self._hand_over(self._mirror.page(self._decoder.changes(page.entries), page.revision))
            keys += len(page.entries)
            rejected.update(entry.key for entry in page.entries if entry.key in self._decoder.rejected)
        assert page is not None
        self._decoder.keep_rejected(rejected)
        self._hand_over(self._mirror.listed(Head(page.cluster_id, page.revision), keys))
        self.lists += 1
        self._reached()

    def _watch(self) -> None:
        head, known = self._store.head(self._prefix), self._mirror.head
        if head.cluster_id != known.cluster_id or head.revision < known.revision:
            # A watch from a revision that this cluster has not reached would be accepted and stay silent.
            raise Compacted(f"etcd is another or was restored: it is at revision {head.revision}")
        self.watches += 1
        began = self._clock()
        for batch in self._store.watch(self._prefix, known.revision + 1):
            self._reached()
            self._hand_over(self._mirror.batch(self._decoder.changes(batch.entries), batch.revision))
            if batch.entries:
                self.changed_at = time.time()
            if self._halt.is_set() or self._clock() - began > self._resync_interval:
                return

    def _hand_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` on the event loop and wait for its end."""
        assert self._loop is not None
        if self._loop.is_closed():
            work.close()
            raise StoreUnavailable("the server stops")
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _reached(self) -> None:
        self.synced_at = self._clock()
        self._delay = FIRST_DELAY
        if not self.connected:
            self.connected = True
            at, names = self._store.endpoint, len(self._table.nodes)
            log.info("etcd %s: connected at revision %d, %d names", at, self.revision, names)

    def _lost(self, reason: str) -> None:
        if self._halt.is_set():
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_lost)
        if self.connected or self.revision == 0:
            serving = "the last table is served" if self.revision else "only static records are served"
            log.warning("etcd lost, %s, retrying: %s", serving, reason)
        self.connected = False


def _default_ttl(table: ZoneTable, name: Name) -> int:
    zone = table.zone_of(name)
    return zone.ttl if zone else 0
