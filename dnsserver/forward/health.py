"""Whether an upstream is well: not while it says nothing, and not while it leads back to us.

One that is not well is probed until it is. A probe asks for a name that nobody can guess, so one that comes
to us as a query has gone in a circle.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from dnsserver.wire.name import Name, from_labels

log = logging.getLogger("dnsserver.forward")

PROBE_OCTETS: Final = 16
"""Random octets in the name of a probe."""


class Health:
    """Of one upstream. `probe` asks it for a name and says whether anything came."""

    def __init__(
        self, label: str, probe: Callable[[Name], Awaitable[bool]], *, failures: int, interval: float
    ) -> None:
        """Take it for ill after `failures` queries in a row without a response; probe it each `interval`."""
        self.is_down = False
        self.is_loop = False
        """It leads back to us, and must not be asked at all."""
        self.failed_probes = 0
        self.asked_for: Name | None = None
        """The name of the last probe."""
        self._label, self._probe = label, probe
        self._patience, self._interval = failures, interval
        self._silent = 0
        self._came_back = False
        self._probing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Probe it until it answers, to see whether it leads back to us."""
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe_until_well(0))

    def close(self) -> None:
        if self._probing:
            self._probing.cancel()

    def has_answered(self) -> None:
        self._silent = 0

    def was_silent(self, reason: str) -> None:
        """Note a query without a response, and why there was none."""
        self._silent += 1
        if self._silent >= self._patience and not self.is_down:
            log.warning("upstream %s is left out: %s", self._label, reason)
            self._ails()

    def has_come_back(self) -> None:
        """Note that the probe has come to us as a query."""
        if not self.is_loop:
            log.error("upstream %s is left out: it leads back to us, a loop", self._label)
        self.is_loop = self._came_back = True
        self._ails()

    def _ails(self) -> None:
        self.is_down = True
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe_until_well(self._interval))

    async def _probe_until_well(self, delay: float) -> None:
        while True:
            await asyncio.sleep(delay)
            delay = self._interval
            self._came_back = False
            self.asked_for = from_labels([secrets.token_hex(PROBE_OCTETS).encode()])
            has_answered = await self._probe(self.asked_for)
            self.failed_probes += not has_answered
            if has_answered and not self._came_back:
                if self.is_down:
                    log.info("upstream %s is well again", self._label)
                self.is_down = self.is_loop = False
                self._silent = 0
                return
