"""Log lines and numbers about what a reconcile did not do, and what an operator can do about it."""

import logging
from collections.abc import Sequence

from syncer.metrics import Statistics
from syncer.safety import Limited

log = logging.getLogger("syncer")


class Notes:
    """Tells of what is kept against the sources' word: once when it begins, in numbers while it lasts."""

    def __init__(self, deletion_grace: float, max_delete_share: float) -> None:
        self._deletion_grace, self._max_delete_share = deletion_grace, max_delete_share
        self._kept: frozenset[str] = frozenset()
        self._refused = 0

    def grace(self, kept: frozenset[str], statistics: Statistics) -> None:
        """Take the names that stay although their objects have no address for them."""
        if new := sorted(kept - self._kept):
            log.warning(
                "%d names have lost all their addresses while their objects still ask for them: %s; their "
                "records stay for up to %.0f s (--deletion-grace)",
                *(len(new), _some(new), self._deletion_grace),
            )
            statistics.grace_entered += len(new)
        self._kept, statistics.names_in_grace = kept, len(kept)

    def refusal(self, limited: Limited, statistics: Statistics) -> None:
        """Take the names that stay because too many would have gone at once."""
        count = len(limited.refused)
        if count and not self._refused:
            log.error(
                "refused to delete %d of %d names at once, over --max-delete-share=%g: %s; if nothing asks "
                "for them any more, restart with --max-delete-share=1; else find out what the sources miss",
                *(count, limited.held, self._max_delete_share, _some(limited.refused)),
            )
            statistics.delete_refusals += 1
        elif self._refused and not count:
            log.info("no mass deletion is refused any more")
        self._refused, statistics.names_refused = count, count


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
