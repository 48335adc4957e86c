"""The records in etcd: know them all, and carry out a plan. Blocking; used by one thread at a time."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from dnsserver.skydns.entry import Batch, Entry
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import MAX_OPERATIONS, Fence, Store
from syncer.plan import Plan
from syncer.registry.feed import Feed, WatchFeed
from syncer.registry.inventory import Inventory
from syncer.registry.ownership import Convention
from syncer.registry.transactions import Transaction, transactions

FEED_LAG: Final = 2.0
"""Seconds after which what the feed has not brought counts as missed."""


News = Callable[[Batch], list[Entry]]


def _ignore() -> None:
    return None


class Registry:
    """The records below one prefix, as one owner sees them: read once, then followed."""

    def __init__(
        self,
        store: Store,
        prefix: Key,
        owner_id: str,
        convention: Convention | None = None,
        *,
        changed: Callable[[], None] = _ignore,
        follow: Callable[[int, News, Callable[[], None]], Feed] | None = None,
    ) -> None:
        """Make one.

        Args:
            store: etcd.
            prefix: of all records.
            owner_id: whose records may be changed.
            convention: how ownership is told.
            changed: called from any thread when another writer changed something.
            follow: makes the feed of changes from a revision on; it keeps what the second calls news.
        """
        self._store, self._prefix, self.owner_id, self._changed = store, prefix, owner_id, changed
        self._follow = follow or partial(WatchFeed, store, prefix)
        self._inventory = Inventory(prefix, owner_id, convention or Convention())
        self._feed: Feed | None = None
        self._written: dict[Key, int] = {}
        """The revision of our last change to each key, until the feed has shown it."""

    def forget(self) -> None:
        """Have the next `read` read every key."""
        if self._feed is not None:
            self._feed.close()
        self._feed = None

    def read(self) -> Inventory:
        """Return all that is there; the same object each time, up to what has come to be known.

        Raises:
            StoreUnavailable, Compacted: read again later.
        """
        if self._feed is not None and self._feed.is_broken:
            self.forget()
        if self._feed is None:
            self._read_all()
        else:
            self._catch_up(self._feed)
        return self._inventory

    def _read_all(self) -> None:
        entries: list[Entry] = []
        revision = 0
        for page in self._store.pages(self._prefix):
            entries += page.entries
            revision = page.revision
        self._written = {}
        self._inventory.replace(entries)
        self._feed = self._follow(revision + 1, self._news, self._changed)

    def _catch_up(self, feed: Feed, since: int = 0) -> set[Key]:
        """Take what the feed has brought; return the keys that were changed after a revision."""
        later: set[Key] = set()
        for batch in feed.drain():
            self._inventory.apply(self._news(batch))
            later |= {entry.key for entry in batch.entries if entry.revision > since}
        return later

    def _news(self, batch: Batch) -> list[Entry]:
        """Return what of a batch we have not written ourselves, as far as that is known already."""
        # From the feed's thread.
        news = [entry for entry in batch.entries if self._written.get(entry.key, 0) < entry.revision]
        for entry in batch.entries:
            if self._written.get(entry.key) == entry.revision:
                self._written.pop(entry.key, None)
        return news

    def commit(self, planned: Plan, inventory: Inventory, fence: Fence | None = None) -> None:
        """Carry out a plan that was made from this inventory, which then knows of it.

        Raises:
            Conflict: a key has changed since it was read; transactions before that one are committed.
            StoreUnavailable: some transactions may be committed. In both cases read and plan again.
            Fenced: another leads now; transactions before that one are committed.
        """
        for txn in transactions(planned, inventory, MAX_OPERATIONS):
            try:
                revision = self._store.commit(
                    puts=txn.puts, deletes=txn.deletes, expected=txn.expected, fence=fence
                )
            except Exception:
                self.forget()
                raise
            self._take(txn, revision)

    def _take(self, txn: Transaction, revision: int) -> None:
        entries = [Entry(key, value, revision) for key, value in txn.puts.items()]
        entries += [Entry(key, None, revision) for key in txn.deletes]
        self._written.update({entry.key: revision for entry in entries})
        self._inventory.apply(entries)

    def differences(self) -> int:
        """Read the revision of every key, and return how many are not as they are known to be.

        If there are any, the next `read` reads everything.

        Raises:
            StoreUnavailable, Compacted: nothing is known.
        """
        if self._feed is None:
            return 0
        there: dict[Key, int] = {}
        head = 0
        for page in self._store.pages(self._prefix, keys_only=True):
            there.update({entry.key: entry.revision for entry in page.entries})
            head = page.revision
        moved: set[Key] = set()
        until = time.monotonic() + FEED_LAG
        while missed := self._differing(there, moved):
            moved |= self._catch_up(self._feed, head)
            if time.monotonic() > until:
                self.forget()
                return len(missed)
            time.sleep(FEED_LAG / 20)
        return 0

    def _differing(self, there: Mapping[Key, int], moved: set[Key]) -> set[Key]:
        known = self._inventory.revisions()
        keys = (there.keys() | known.keys()) - moved
        return {key for key in keys if there.get(key, 0) != known.get(key, 0)}
