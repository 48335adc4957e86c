"""Log lines and numbers about what a reconcile did not do, and what an operator can do about it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from syncer.diff import diff, json_lines, operation
from syncer.happening import Happening
from syncer.metrics import Statistics
from syncer.plan import Plan
from syncer.safety import Limited

Prints = Literal["", "text", "json"]
"""How changes are printed; empty: they are logged."""

_SHOWN_CHANGES: Final = 50
"""Changes of one run that are logged."""

log = logging.getLogger("syncer")


class Notes:
    """Tells of what is kept against the sources' word: once when it begins, in numbers while it lasts."""

    def __init__(
        self, deletion_grace: float, max_delete_share: float, prints: Prints, *, is_dry: bool
    ) -> None:
        self._deletion_grace, self._max_delete_share = deletion_grace, max_delete_share
        self._prints, self._is_dry = prints, is_dry
        self._shown: list[str] | None = None
        self._kept: frozenset[str] = frozenset()
        self._refused = 0

    def changes(self, planned: Plan, statistics: Statistics) -> None:
        """Take what was changed, or would be: it is printed where that was asked for, else logged."""
        if not self._is_dry:
            statistics.no_op_runs += not planned.changes
            statistics.changes.update(operation(change) for change in planned.changes)
        if self._prints:
            self._print(planned)
            return
        for line in diff(replace(planned, changes=planned.changes[:_SHOWN_CHANGES])):
            log.info("%s", line)
        if len(planned.changes) > _SHOWN_CHANGES:
            log.info("… and %d more", len(planned.changes) - _SHOWN_CHANGES)

    def _print(self, planned: Plan) -> None:
        lines = json_lines(planned) if self._prints == "json" else diff(planned) or ["no changes"]
        # A dry run plans the same again and again.
        if lines != self._shown:
            print("".join(f"{line}\n" for line in lines), end="", flush=True)
        self._shown = lines

    def grace(self, kept: Mapping[str, Sequence[str]], statistics: Statistics) -> Iterator[Happening]:
        """Take the names that stay although their objects have no address for them, with the objects."""
        new = sorted(kept.keys() - self._kept)
        if new:
            log.warning(
                "%d names have lost all their addresses while their objects still ask for them: %s; their "
                "records stay for up to %.0f s (--deletion-grace)",
                *(len(new), _some(new), self._deletion_grace),
            )
            statistics.grace_entered += len(new)
        self._kept, statistics.names_in_grace = frozenset(kept), len(kept)
        text = f"has lost all its addresses; its records stay for up to {self._deletion_grace:.0f} s"
        return (Happening(at, "RecordError", f"{name} {text}") for name in new for at in kept[name])

    def refusal(self, limited: Limited, statistics: Statistics) -> Iterator[Happening]:
        """Take the names that stay because too many would have gone at once."""
        count, is_new = len(limited.refused), not self._refused
        if count and is_new:
            log.error(
                "refused to delete %d of %d names at once, over --max-delete-share=%g: %s; if nothing asks "
                "for them any more, restart with --max-delete-share=1; else find out what the sources miss",
                *(count, limited.held, self._max_delete_share, _some(limited.refused)),
            )
            statistics.delete_refusals += 1
        elif self._refused and not count:
            log.info("no mass deletion is refused any more")
        self._refused, statistics.names_refused = count, count
        text = f"is not deleted: {count} of {limited.held} names would go at once (--max-delete-share)"
        lost = [(change.name, change.before.resource) for change in limited.lost if change.before]
        return (Happening(at, "RecordError", f"{name} {text}") for name, at in lost if is_new)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
