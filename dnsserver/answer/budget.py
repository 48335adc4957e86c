"""Time for what costs a thousand times what another answer does, and what anyone may ask."""

from collections.abc import Callable
from typing import Final

PART: Final = 0.1
"""Of the time."""

SAVED: Final = 0.1
"""Seconds of what was not used, at most."""


class Budget:
    """Lets searches take PART of the time, and what they have not used of it for a while.

    `clock` gives seconds from any start.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        """From when on nothing was used."""
        self._began: float | None = None
        self.refused = 0
        """Searches for which there was no time."""

    def begin(self) -> bool:
        """Say whether there is time for a search, which then lasts until the `end`."""
        now = self._clock()
        if now < self._since:
            self.refused += 1
            return False
        self._since = max(self._since, now - SAVED / PART)
        self._began = now
        return True

    def end(self) -> None:
        """Account for what a search took, if one has begun."""
        if self._began is not None:
            self._since += (self._clock() - self._began) / PART
            self._began = None
