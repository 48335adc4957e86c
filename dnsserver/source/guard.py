"""Whether a listing may take names away: a store that was emptied or went back in time is not believed. Pure.

What such a store has is served. The names that it lacks stay as they were until it holds half of all that
were known, or an operator says that it is right: then they go.
"""

from dnsserver.skydns.entry import Head
from dnsserver.wire.name import Name


def doubt(known: Head, listed: Head, names: int, keys: int) -> str | None:
    """Say why a listing is not believed, or None.

    `known` is what the table followed until now, `names` how many of it own records, `keys` how many the
    listing has.
    """
    if not names:
        return None
    if listed.cluster_id != known.cluster_id:
        return f"it is cluster {listed.cluster_id:x}, not {known.cluster_id:x}"
    if listed.revision < known.revision:
        return f"it went back from revision {known.revision} to {listed.revision}"
    return None if keys else "it is empty"


class Guard:
    """The names of an earlier store that the present one, in doubt, has not shown."""

    def __init__(self, known: int) -> None:
        self.known = known
        """How many names there were."""
        self.held: set[Name] = set()

    @property
    def is_over(self) -> bool:
        """Say whether the present store holds half of the names."""
        return 2 * len(self.held) <= self.known
