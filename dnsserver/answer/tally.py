"""Counters of the query path: plain integers, read at scrape. Pure."""

from typing import Literal

Transport = Literal["udp", "tcp"]


class Tally:
    """Counters on the query path: one list slot per zone and rcode, added up at scrape."""

    def __init__(self) -> None:
        self.slots: dict[tuple[str, int], int] = {}
        """(zone apex, or "" outside all zones; rcode) → slot."""
        self.responses: dict[Transport, list[int]] = {"udp": [], "tcp": []}
        self.truncated = 0
        self.dropped = 0
        """Messages without a response: responses, or under 12 octets."""
        self.faults = 0
        """Queries answered with SERVFAIL because of a fault of ours."""

    def slot(self, zone: str, rcode: int) -> int:
        """Return the slot, making it if it is new."""
        found = self.slots.setdefault((zone, rcode), len(self.slots))
        for counts in self.responses.values():
            counts.extend([0] * (found + 1 - len(counts)))
        return found
