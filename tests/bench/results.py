"""What was measured, in a file: a mix that is measured again takes the place of its old rows."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from tests.bench.workload import MIXES, Mix

BASE: Final = "knot"
"""The server that others are compared with."""

PLAIN: Final = "plain"
"""dnsserver without the settings of a mix, beside the one with them."""


class Row(NamedTuple):
    """One server under one mix."""

    mix: str
    server: str
    cpu: list[list[float]]
    """Microseconds of CPU time for a response, by round, which starts servers anew, and in it by turn."""
    rate: float
    """Responses a second, the median."""
    lost: int
    octets: int
    p50: float | None = None
    p99: float | None = None
    """Milliseconds, at half of `rate`."""
    updates: float = 0
    """Changes a second that were made meanwhile."""

    @property
    def cost(self) -> float:
        """The median of all turns."""
        return median(chain.from_iterable(self.cpu))


def joined(rows: Sequence[Row]) -> Row:
    """Return the rows of several rounds, of one server under one mix, as one. Latencies are the last ones."""
    return rows[-1]._replace(
        cpu=[turns for row in rows for turns in row.cpu],
        rate=round(median(row.rate for row in rows)),
        lost=sum(row.lost for row in rows),
        updates=round(median(row.updates for row in rows)),
    )


class Results:
    """Rows, and what the machine and the programs were. `path` holds them as JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.about: dict[str, str] = known.get("about", {})
        self.rows = [Row(**row) for row in known.get("rows", [])]
        self.delays: dict[str, list[float]] = known.get("delays", {})
        """When, as "idle" → milliseconds from a change to its being served: p50, p99, worst."""

    def replace(self, mix: Mix, rows: list[Row]) -> None:
        self.rows = [row for row in self.rows if row.mix != mix.name] + rows
        self.save()

    def save(self) -> None:
        rows = ",\n  ".join(json.dumps(row._asdict()) for row in self.rows)
        about, delays = (json.dumps(part, indent=2) for part in (self.about, self.delays))
        self._path.write_text(f'{{"about": {about},\n"delays": {delays},\n"rows": [\n  {rows}\n]}}\n')

    @property
    def servers(self) -> list[str]:
        return list(dict.fromkeys(row.server for row in self.rows))

    def of(self, mix: Mix) -> dict[str, Row]:
        return {row.server: row for row in self.rows if row.mix == mix.name}

    def ratio(self, row: Row, to: str = BASE) -> float | None:
        """Return the CPU time as a ratio to that of a server, the median of those of the rounds."""
        ratios = self.ratios(row, to)
        return median(ratios) if ratios else None

    def ratios(self, row: Row, to: str = BASE) -> list[float]:
        """Return those of the rounds, the median of their turns each; none without that server."""
        base = next((other for other in self.rows if (other.mix, other.server) == (row.mix, to)), None)
        if base is None:
            return []
        rounds = zip(row.cpu, base.cpu, strict=True)
        return [median(own / other for own, other in zip(*turns, strict=True)) for turns in rounds]

    def measured(self) -> Iterator[tuple[Mix, dict[str, Row]]]:
        """Yield the mixes that there are rows of, in their order."""
        for mix in MIXES:
            if rows := self.of(mix):
                yield mix, rows

    def line(self, row: Row) -> str:
        """Return a row as text below HEADING."""
        ratio, plain = self.ratio(row), self.ratio(row, PLAIN)
        return (
            f"{row.mix:<12}{row.server:<10}{row.cost:>8.2f}"
            f"{'-' if ratio is None else format(ratio, '.2f'):>8}"
            f"{'-' if plain is None else format(plain, '.2f'):>9}{row.rate:>11,.0f}"
            f"{'-' if row.p50 is None else format(row.p50, '.2f'):>8}"
            f"{'-' if row.p99 is None else format(row.p99, '.2f'):>8}{row.lost:>7,}{row.octets:>8}"
        )


HEADING: Final = (
    f"{'mix':<12}{'server':<10}{'CPU us':>8}{'x Knot':>8}{'x plain':>9}{'queries/s':>11}"
    f"{'p50 ms':>8}{'p99 ms':>8}{'lost':>7}{'octets':>8}"
)
