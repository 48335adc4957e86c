"""Networks that ask more than they may are thinned: the kernel drops a part of their datagrams, at random.

Who asks how much is told by a few datagrams of each turn of the batch loop; what is done, by a meter.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from dnsserver.transport.filter import Network, Rule
from dnsserver.transport.mmsg import Batch

log = logging.getLogger("dnsserver")

INTERVAL: Final = 0.1
"""Seconds from one change of the rules to the next, at least."""

LOOKS: Final = 4
"""Datagrams of a turn, at most: of a flood's hundreds as few, of single ones each."""

LINES: Final = 10
"""Of the log in PERIOD seconds, at most, about one socket."""
PERIOD: Final = 60.0


class Meter(Protocol):
    def note(self, samples: Iterable[tuple[bytes, float]], began: float, ended: float) -> None:
        """Take samples of an interval in seconds: addresses, with how many datagrams each stands for."""

    @property
    def rules(self) -> Sequence[Rule]:
        """What is to pass after that."""


class Limit(Protocol):
    """Equal ones limit alike."""

    def meter(self) -> Meter:
        """Return what applies the limit to one socket."""


class Thinning:
    """Looks at the batches of one socket, and changes its rules by a meter."""

    def __init__(self, batch: Batch, meter: Meter, apply: Callable[[Sequence[Rule]], bool]) -> None:
        """`apply` has the kernel follow rules, or says that it cannot: then there are none."""
        self._batch, self._meter, self._apply = batch, meter, apply
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._samples: list[tuple[bytes, float]] = []
        self._began = 0.0
        self._lines: deque[float] = deque(maxlen=LINES)
        self._works = True
        self.rules: Sequence[Rule] = ()

    def close(self) -> None:
        """Change nothing more."""
        self._works = False
        if self._timer:
            self._timer.cancel()

    @property
    def networks(self) -> set[Network]:
        """Those that are thinned."""
        return {network for network, part in self.rules if part < 1}

    def ready(self) -> None:
        """Do what the batch's `ready` does, and look at it."""
        before = self._batch.taken
        self._batch.ready()
        taken = self._batch.taken - before
        if not (taken and self._works):
            return
        sources = self._batch.last_sources(LOOKS)
        weight = taken / len(sources)
        self._samples += [(source, weight) for source in sources]
        if not self._timer:
            self._await()

    def _await(self) -> None:
        self._began = self._loop.time()
        self._timer = self._loop.call_later(INTERVAL, self._settle)

    def _settle(self) -> None:
        now, self._timer = self._loop.time(), None
        self._meter.note(self._samples, self._began, now)
        self._samples.clear()
        self._follow(now)
        if self.rules:
            self._await()

    def _follow(self, now: float) -> None:
        rules, before = self._meter.rules, self.networks
        if rules == self.rules:
            return
        if not self._apply(rules):
            log.warning("the kernel cannot follow query_limit: there is none until the next reload")
            self.rules = ()
            self._apply(())
            self.close()
            return
        self.rules = rules
        for network in self.networks - before:
            self._tell(now, "%s is over query_limit: the kernel drops a part of its queries", network)
        for network in before - self.networks:
            self._tell(now, "%s is below query_limit again", network)

    def _tell(self, now: float, text: str, network: Network) -> None:
        if len(self._lines) < LINES or now - self._lines[0] > PERIOD:
            self._lines.append(now)
            log.warning(text, network)
