"""What a soak has shown, minute by minute and in the end."""

from typing import Final, NamedTuple

GROWTH: Final = 0.02
"""The part by which resident memory may grow after the warm-up."""

SHORT: Final = 15.0
"""Minutes. Below, memory is still on its way to what it will be: the allocator keeps what each kind of work
needed at most, and has not seen all kinds often. GROWTH_WHEN_SHORT holds then, and finds only gross leaks."""

GROWTH_WHEN_SHORT: Final = 0.10

HEADING: Final = (
    f"{'minute':>7}{'queries':>9}{'retried':>8}{'lost':>6}{'wrong':>6}{'slowest':>9}"
    f"{'updates':>8}{'fresh':>7}{'memory':>10}{'files':>6}\n"
    f"{'':>7}{'':>9}{'':>8}{'':>6}{'':>6}{'ms':>9}{'':>8}{'s':>7}{'KiB':>10}{'open':>6}"
)


class Row(NamedTuple):
    """A minute, or in a shorter soak a part of it."""

    minute: float
    """At its end."""
    queries: int
    retried: int
    """Tries that had no response and were followed by another, as a resolver's."""
    lost: int
    wrong: list[str]
    """Since the soak began, the first hundred."""
    slowest: float
    """Seconds of the slowest response."""
    updates: int
    fresh: float
    """Seconds until the update that took longest was served."""
    memory: int
    """Octets, resident."""
    descriptors: int

    def __str__(self) -> str:
        return (
            f"{self.minute:>7.1f}{self.queries:>9}{self.retried:>8}{self.lost:>6}{len(self.wrong):>6}"
            f"{self.slowest * 1000:>9.0f}{self.updates:>8}{self.fresh:>7.2f}"
            f"{self.memory >> 10:>10}{self.descriptors:>6}"
        )


class Verdict:
    """Takes the rows in turn. The first fifth of the minutes, but at most ten, is warm-up."""

    def __init__(self, minutes: float) -> None:
        self._warm = min(minutes / 5, 10)
        self._growth = GROWTH if minutes >= SHORT else GROWTH_WHEN_SHORT
        self._first: Row | None = None
        self._last: Row | None = None
        self._queries = self._lost = 0
        self._other: Row | None = None
        """The first row after the warm-up with another number of open files."""

    def add(self, row: Row) -> None:
        self._queries += row.queries
        self._lost += row.lost
        self._last = row
        if self._first is None and row.minute >= self._warm:
            self._first = row
        if self._first and row.descriptors != self._first.descriptors:
            self._other = self._other or row

    @property
    def growth(self) -> float:
        """The part by which memory has grown since the warm-up."""
        return self._last.memory / self._first.memory - 1 if self._first and self._last else 0.0

    def failures(self) -> list[str]:
        """Return what is not as it must be."""
        if not self._first or not self._last or self._last is self._first:
            return ["it ended within the warm-up"]
        found = list(self._last.wrong)
        if self._lost:
            found.append(f"{self._lost} of {self._queries} queries lost")
        if self.growth >= self._growth:
            found.append(f"memory grew by {self.growth:.1%}, and may by {self._growth:.0%}")
        if self._other:
            found.append(
                f"{self._first.descriptors} files open after the warm-up, {self._other.descriptors}"
                f" after {self._other.minute:.1f} minutes"
            )
        return found

    def __str__(self) -> str:
        told = f"memory {self.growth:+.1%} since the warm-up (below {self._growth:.0%} is good)"
        return "\n".join([*self.failures(), f"{'failed' if self.failures() else 'passed'}: {told}"])
