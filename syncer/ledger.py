"""What is not published now and why, by what it was found at. Pure."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping

from syncer.endpoint import Rejection


class Ledger:
    """Rejections, each counted once however often it is found, and told of when it is new."""

    def __init__(self) -> None:
        self._found: dict[Hashable, tuple[Rejection, ...]] = {}
        self._times: Counter[Rejection] = Counter()
        self._reasons: Counter[str] = Counter()
        self._news: dict[Rejection, None] = {}

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many there are, by reason."""
        return self._reasons

    def put(self, where: Hashable, rejections: Iterable[Rejection]) -> None:
        """Take what was found at a place, in place of what was found there before."""
        before, after = self._found.pop(where, ()), tuple(dict.fromkeys(rejections))
        if after:
            self._found[where] = after
        for rejection in after:
            self._times[rejection] += 1
            if self._times[rejection] == 1:
                self._reasons[rejection.reason] += 1
                self._news[rejection] = None
        for rejection in before:
            self._times[rejection] -= 1
            if not self._times[rejection]:
                self._forget(rejection)

    def _forget(self, rejection: Rejection) -> None:
        del self._times[rejection]
        self._news.pop(rejection, None)
        self._reasons[rejection.reason] -= 1
        if not self._reasons[rejection.reason]:
            del self._reasons[rejection.reason]

    def take_news(self) -> list[Rejection]:
        """Return those that are new since this was asked last, sorted."""
        news, self._news = self._news, {}
        return sorted(news)
