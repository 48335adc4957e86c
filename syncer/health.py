"""`/healthz` and `/readyz`: is the process worth keeping, and does it do its work."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dnsserver.ops.http import Page
from syncer.controller import Controller
from syncer.kube.reflector import Reflector
from syncer.leader import Election

STUCK: Final = 300.0
"""Seconds beyond the interval after which a loop that has not turned counts as stopped. Every call of etcd
and Kubernetes ends long before."""


class Health:
    """What the two pages say, in lines of `what: how it is`."""

    def __init__(
        self,
        controller: Controller,
        interval: float,
        election: Election | None,
        unseen: Callable[[], list[str]],
    ) -> None:
        self._controller, self._interval, self._election = controller, interval, election
        self._unseen = unseen
        self.reflectors: Sequence[Reflector] = ()
        self.tasks: Mapping[str, asyncio.Task[None]] = {}
        """All that must run as long as the process does, by name."""

    def alive(self) -> Page:
        """Fail when the loop or a watch has stopped. What is away and may come back is no reason."""
        stopped = [f"{name} has stopped" for name, task in self.tasks.items() if task.done()]
        silent = time.monotonic() - self._controller.turned
        if silent > self._interval + STUCK:
            stopped.append(f"reconcile has not turned for {silent:.0f} s")
        return _page(stopped, ["OK"])

    def ready(self) -> Page:
        """Fail while something is missing that a leader, or whoever may become it, needs."""
        waiting = [f"not every {kind} was seen yet" for kind in self._unseen()]
        if not self.is_store_up():
            waiting.append("etcd is not available")
        elif self._election is not None and not self._election.holder:
            waiting.append("nobody leads yet")
        faults = [reflector.fault for reflector in self.reflectors if reflector.fault]
        lines = [*faults, self._leader()] if faults or self._election is not None else []
        return _page(waiting, ["OK"], lines)

    def is_store_up(self) -> bool:
        """Say whether the last call of etcd succeeded: the leader's of its records, else of the election."""
        if self._election is not None and self._election.fence is None:
            return self._election.is_store_up
        return self._controller.statistics.is_store_up

    def _leader(self) -> str:
        if self._election is None:
            return "leader: not elected (--leader-elect=false)"
        if fence := self._election.fence:
            return f"leader: this one, term {fence.created}"
        return f"leader: {self._election.holder or 'unknown'}; this one stands by"


def _page(faults: Sequence[str], good: Sequence[str], more: Sequence[str] = ()) -> Page:
    return Page(503 if faults else 200, "".join(f"{line}\n" for line in [*(faults or good), *more]).encode())
