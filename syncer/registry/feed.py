"""What others write below the prefix, as it happens: a watch in a thread of its own."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.entry import Batch, Entry
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store

log = logging.getLogger("syncer.registry")


class Feed(Protocol):
    """Every change from one revision on, until it breaks."""

    @property
    def is_broken(self) -> bool:
        """Whether changes may have been missed: everything is to be read again."""
        ...

    def drain(self) -> list[Batch]:
        """Return what came since the last call, in order."""
        ...

    def close(self) -> None: ...


class WatchFeed:
    """A feed from etcd. Its thread keeps what is `news`, and calls `changed` then and when it breaks."""

    def __init__(
        self,
        store: Store,
        prefix: Key,
        revision: int,
        news: Callable[[Batch], list[Entry]],
        changed: Callable[[], None],
    ) -> None:
        self._store, self._prefix, self._revision = store, prefix, revision
        self._news, self._changed = news, changed
        self._batches: deque[Batch] = deque()
        self._is_closed = False
        self.is_broken = False
        threading.Thread(target=self._follow, name="syncer-feed", daemon=True).start()

    def drain(self) -> list[Batch]:
        found = []
        while self._batches:
            found.append(self._batches.popleft())
        return found

    def close(self) -> None:
        """Let the thread end at the next sign of life of the watch."""
        self._is_closed = True

    def _follow(self) -> None:
        try:
            for batch in self._store.watch(self._prefix, self._revision):
                if self._is_closed:
                    return
                if news := self._news(batch):
                    self._batches.append(Batch(news, batch.revision))
                    self._changed()
        except (StoreUnavailable, Compacted) as error:
            log.debug("the watch of the records ended: %s", error)
        finally:
            self.is_broken = True
            if not self._is_closed:
                self._changed()
