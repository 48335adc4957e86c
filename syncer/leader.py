"""One leader among the syncers of one owner id: whoever holds a key in etcd under a lease.

The lease says who should write, the fence who can: every transaction compares the key's creation with
the leader's term. So a leader that was paused, cut off or slow writes nothing after its term.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import quote

from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.key import Key
from dnsserver.skydns.lease import Leases
from dnsserver.skydns.store import Fence, Store

LEASE_TTL: Final = 3
"""Seconds after which a leader that fell silent is none. etcd grants no less than 2, and needs up to half a
second to notice."""

PAUSE: Final = 0.5
"""Seconds between two looks at the key, of the leader and of those that wait."""

CALL_TIMEOUT: Final = 1.0
"""Seconds for a call, so that a dead member leaves time to ask another within the lease."""

log = logging.getLogger("syncer.leader")


def leader_key(owner_id: str, prefix: Key) -> Key:
    """Return the key that syncers of one owner id and one record prefix compete for."""
    owner = quote(owner_id, safe="")
    return Key(f"/syncer/{owner}/leader/".encode() + prefix.strip(b"/"))


class _Term(NamedTuple):
    fence: Fence
    until: float
    """By our clock, counted from before etcd was asked: etcd's lease ends no earlier."""


class Election:
    """One candidate. `fence` may be read from any thread; `changed` is called from the election's own."""

    def __init__(
        self,
        store: Store,
        key: Key,
        identity: str,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._key, self._identity = store, key, identity
        self._changed, self._clock, self._leases = changed, clock, Leases(store)
        self._lease = 0
        self._term: _Term | None = None
        self._shown = ""
        self.terms = 0
        """How often this one became leader."""
        self.holder = ""
        """Who leads, as far as is known; empty: nobody."""
        self.is_store_up = False
        self.errors = 0
        """Failed looks at etcd."""
        self._is_outage_shown = False

    @property
    def fence(self) -> Fence | None:
        """What every write must carry; None while it is not certain that we lead."""
        term = self._term
        return term.fence if term is not None and self._clock() < term.until else None

    def close(self) -> None:
        """Close the connection to etcd."""
        self._store.close()

    async def run(self) -> None:
        """Campaign, lead, and campaign again until cancelled; then let go of the lease at once."""
        stop = threading.Event()
        # A thread: a busy event loop must not cost the lease.
        campaign = asyncio.get_running_loop().run_in_executor(None, self._campaign, stop)
        try:
            await asyncio.shield(campaign)
        finally:
            stop.set()
            await campaign

    def _campaign(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.tick()
            except (StoreUnavailable, Compacted) as error:
                self._note_outage(str(error))
            else:
                self._note_success()
            stop.wait(PAUSE)
        self._resign()

    def tick(self) -> None:
        """Look at the key once, and take or renew it if it is ours to have.

        Raises:
            StoreUnavailable: nothing is known; a term that runs goes on to its end.
        """
        asked = self._clock()
        holder, left = self._leases.holder(self._key), 0
        if holder is None or holder.lease == self._lease != 0:
            left = self._leases.keep_alive(self._lease) if self._lease else 0
            if not left:
                asked, holder = self._clock(), None
                self._lease, left = self._leases.grant(LEASE_TTL), LEASE_TTL
        if holder is None:
            holder = self._leases.take(self._key, self._identity, self._lease)
        if not self._lease or holder.lease != self._lease:
            self._follow(holder.value)
        else:
            self._lead(_Term(Fence(self._key, holder.created), asked + left))

    def _lead(self, term: _Term) -> None:
        before, self._term, self.holder = self.fence, term, self._identity
        if before != term.fence:
            self.terms += 1
            self._show(f"leading as {self._identity}, term {term.fence.created}")
            self._changed()

    def _follow(self, leader: str) -> None:
        self._term, self.holder = None, leader
        self._show(f"standing by: {leader} leads")

    def _resign(self) -> None:
        self._term = None
        if self._lease:
            # If etcd is away the lease ends by itself.
            with suppress(StoreUnavailable, Compacted):
                self._leases.revoke(self._lease)
        self._lease = 0

    def _note_outage(self, reason: str) -> None:
        self.is_store_up = False
        self.errors += 1
        if self.fence is None and not self._is_outage_shown:
            log.warning(
                "etcd is unavailable (%s); nobody is known to lead and nothing is written meanwhile", reason
            )
            self._shown, self._is_outage_shown, self.holder = "", True, ""

    def _note_success(self) -> None:
        self.is_store_up = True
        if self._is_outage_shown:
            log.info("etcd is available again")
        self._is_outage_shown = False

    def _show(self, text: str) -> None:
        if text != self._shown:
            log.info("%s", text)
        self._shown = text
