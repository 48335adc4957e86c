"""Writes to an etcd that fails: tried again until they are there, and none that was given up is made later.

A call that has timed out may still lie before a member that stands still, which carries it out when it goes
on: behind writes that were made elsewhere in the meantime. So every write is for one turn alone.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Final

from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import MAX_OPERATIONS, Conflict, Store

Values = Mapping[str, str | None]
"""Names below k8s.local → address, or None: the name goes."""

TURN: Final = Key(b"/turn")
"""Changed by every write, which counts only if none was made since the turn was read."""


class Writer:
    def __init__(self, store: Store) -> None:
        self._store = store

    def held(self, name: str) -> bytes | None:
        """Return what etcd has of a name."""
        entry = self._store.entry(_key(name))
        return entry.value if entry else None

    def put(self, values: Values, within: float = 30) -> None:
        """Write names, as many in one transaction as etcd allows.

        Raises:
            StoreUnavailable, Conflict: one could not be made within so many seconds.
        """
        names = list(values)
        for at in range(0, len(names), MAX_OPERATIONS - 1):
            part = {_key(name): values[name] for name in names[at : at + MAX_OPERATIONS - 1]}
            puts = {key: _record(host) for key, host in part.items() if host}
            self._write(puts, [key for key in part if key not in puts], within)

    def _write(self, puts: Mapping[Key, bytes], deletes: Sequence[Key], within: float) -> None:
        deadline = time.monotonic() + within
        while True:
            try:
                turn = self._store.entry(TURN)
                expected = {TURN: turn.revision if turn else 0}
                self._store.commit(puts={**puts, TURN: b""}, deletes=deletes, expected=expected)
                return
            except (StoreUnavailable, Conflict):
                if time.monotonic() > deadline:
                    raise


def _key(name: str) -> Key:
    return Key(f"/skydns/local/k8s/{name}/x".encode())


def _record(host: str) -> bytes:
    return json.dumps({"host": host, "targetstrip": 1}).encode()
