"""The records in etcd: read them all, and carry out a plan. Blocking."""

import contextlib

from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.entry import Entry, Head
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import MAX_OPERATIONS, Fence, Store
from syncer.plan import Plan
from syncer.registry.inventory import Inventory, take_inventory
from syncer.registry.ownership import Convention
from syncer.registry.transactions import transactions


class Registry:
    """The records below one prefix, as one owner sees them."""

    def __init__(
        self, store: Store, prefix: Key, owner_id: str, convention: Convention | None = None
    ) -> None:
        self._store, self._prefix, self.owner_id = store, prefix, owner_id
        self._convention = convention or Convention()
        self._last: Inventory | None = None
        self._head: Head | None = None
        """Where etcd stood when `_last` was read: while it stands there, `_last` is what it holds."""

    def forget(self) -> None:
        """Have the next `read` read every key."""
        self._last = None

    def read(self) -> Inventory:
        """Return all that is there now.

        Raises:
            StoreUnavailable, Compacted: read again later.
        """
        if self._last is None or self._store.head(self._prefix) != self._head:
            entries: list[Entry] = []
            head = Head(0, 0)
            for page in self._store.pages(self._prefix):
                entries += page.entries
                head = Head(page.cluster_id, page.revision)
            self._last, self._head = self._take(entries), head
        return self._last

    def _take(self, entries: list[Entry]) -> Inventory:
        return take_inventory(entries, self._prefix, self.owner_id, self._convention)

    def commit(self, planned: Plan, inventory: Inventory, fence: Fence | None = None) -> None:
        """Carry out a plan that was made from this inventory.

        Raises:
            Conflict: a key has changed since it was read; transactions before that one are committed.
            StoreUnavailable: some transactions may be committed. In both cases read and plan again.
            Fenced: another leads now; transactions before that one are committed.
        """
        self.forget()
        for txn in transactions(planned, inventory, MAX_OPERATIONS):
            self._store.commit(puts=txn.puts, deletes=txn.deletes, expected=txn.expected, fence=fence)

    def refresh(self) -> None:
        """Read now, while nobody waits for it, so that the next change finds everything read."""
        with contextlib.suppress(StoreUnavailable, Compacted):
            self.read()
