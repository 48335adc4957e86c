"""What etcd holds to changes of the table. A bad key or value costs its own name, and is told once."""

import logging
from collections import Counter
from collections.abc import Callable, Container, Iterable
from typing import Final

from dnsserver.skydns.entry import Entry
from dnsserver.skydns.key import Key
from dnsserver.skydns.record import Reason, Record, RecordError, decode
from dnsserver.source.owner import owner_of, path_of
from dnsserver.source.rrsets import checked
from dnsserver.wire.name import Name
from dnsserver.zone.table import Change

log = logging.getLogger("dnsserver.etcd")

MAX_LEASES: Final = 10_000
"""Leases whose TTL is kept in mind; more are asked for again."""


class Decoder:
    """Decodes the keys below a prefix.

    `granted_ttl` returns the seconds that a lease was granted for, 0 if it is no more; `default_ttl` those of
    a name whose record sets none. What `granted_ttl` raises comes out of `changes`.
    """

    def __init__(
        self, prefix: Key, granted_ttl: Callable[[int], int], default_ttl: Callable[[Name], int]
    ) -> None:
        self._prefix, self._granted_ttl, self._default_ttl = prefix, granted_ttl, default_ttl
        self._granted: dict[int, int] = {}
        self.rejected: dict[bytes, Reason] = {}
        """Keys that are in etcd and no records, with why."""

    def rejected_by_reason(self) -> Counter[Reason]:
        return Counter(list(self.rejected.values()))

    def keep_rejected(self, keys: Container[Key]) -> None:
        """Forget the rejected keys that are not among `keys`: they are no longer in etcd."""
        self.rejected = {key: reason for key, reason in self.rejected.items() if key in keys}

    def changes(self, entries: Iterable[Entry]) -> list[Change]:
        """Return the new states of keys, in the order of the entries; keys that spell no name have none."""
        found = []
        for entry in entries:
            try:
                path = path_of(entry.key, self._prefix)
            except RecordError as error:
                if entry.value is None:
                    self.rejected.pop(entry.key, None)
                else:
                    self._reject(entry.key, error)
                continue
            found.append(self._change(entry, path))
        return found

    def _change(self, entry: Entry, path: Name) -> Change:
        if entry.value is not None:
            try:
                record = checked(decode(entry.value))
                name = owner_of(path, record)
            except RecordError as error:
                self._reject(entry.key, error)
                return Change(entry.key, path, None, None)
        self.rejected.pop(entry.key, None)
        if entry.value is None:
            return Change(entry.key, path, None, None)
        if entry.lease:
            record = self._leased(record, name, entry.lease)
        return Change(entry.key, path, name, record)

    def _leased(self, record: Record, name: Name, lease: int) -> Record:
        """Return the record with a TTL of at most what its lease was granted for.

        Not what remains of it: that would be a call for each query. When the lease ends the watch says so.
        """
        granted = self._granted.get(lease)
        if granted is None:
            if len(self._granted) >= MAX_LEASES:
                self._granted.clear()
            granted = self._granted[lease] = self._granted_ttl(lease)
        ttl = record.ttl or self._default_ttl(name)
        return record._replace(ttl=min(ttl, granted) or ttl)

    def _reject(self, key: Key, error: RecordError) -> None:
        if self.rejected.get(key) != error.reason:
            log.warning("key %s is skipped: %s", key.decode("utf-8", "backslashreplace"), error)
        self.rejected[key] = error.reason
