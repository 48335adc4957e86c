"""Responses a second over the last minutes, by rcode, from counters that somebody samples. Pure."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

INTERVAL: Final = 1.0
"""Seconds between two samples."""

KEPT: Final = 300
"""Samples: five minutes."""


class Sample(NamedTuple):
    at: float
    """By the clock of whoever samples."""
    rates: Mapping[int, float]
    """Rcode → responses a second since the sample before."""


class Rates:
    def __init__(self) -> None:
        self._last: tuple[float, Mapping[int, int]] | None = None
        self._samples: deque[Sample] = deque(maxlen=KEPT)

    def take(self, at: float, totals: Mapping[int, int]) -> None:
        """Take a sample of counters by rcode at a time in seconds."""
        if self._last and at > self._last[0]:
            before, counts = self._last
            rates = {
                rcode: max(total - counts.get(rcode, 0), 0) / (at - before) for rcode, total in totals.items()
            }
            self._samples.append(Sample(at, rates))
        self._last = (at, dict(totals))

    @property
    def samples(self) -> Sequence[Sample]:
        """The samples kept, oldest first."""
        return tuple(self._samples)

    def now(self, over: int = 5) -> Mapping[int, float]:
        """Return the mean rates of the last samples."""
        last = list(self._samples)[-over:]
        sums: Counter[int] = Counter()
        for sample in last:
            for rcode, rate in sample.rates.items():
                sums[rcode] += rate  # type: ignore[assignment]
        return {rcode: total / len(last) for rcode, total in sums.items()}
