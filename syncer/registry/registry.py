"""The records in etcd: read them all, and carry out a plan. Blocking."""

from dnsserver.skydns.key import Key
from dnsserver.skydns.store import MAX_OPERATIONS, Store
from syncer.plan import Plan
from syncer.registry.inventory import Inventory, take_inventory
from syncer.registry.transactions import transactions


class Registry:
    """The records below one prefix, as one owner sees them."""

    def __init__(self, store: Store, prefix: Key, owner_id: str) -> None:
        self._store, self._prefix, self.owner_id = store, prefix, owner_id

    def read(self) -> Inventory:
        """Return all that is there now.

        Raises:
            StoreUnavailable, Compacted: read again later.
        """
        entries = [entry for page in self._store.pages(self._prefix) for entry in page.entries]
        return take_inventory(entries, self._prefix, self.owner_id)

    def commit(self, planned: Plan, inventory: Inventory) -> None:
        """Carry out a plan that was made from this inventory.

        Raises:
            Conflict: a key has changed since it was read; transactions before that one are committed.
            StoreUnavailable: some transactions may be committed. In both cases read and plan again.
        """
        for txn in transactions(planned, inventory, MAX_OPERATIONS):
            self._store.commit(puts=txn.puts, deletes=txn.deletes, expected=txn.expected)
