"""How much each network asks, estimated from samples, and what part of it a limit lets through.

A network over the limit is thinned: of its queries a part is let through at random, as large as makes it
about the limit. What is let through goes on being sampled, and tells what comes.
"""

import ipaddress
import math
from collections import defaultdict, deque
from collections.abc import Iterable
from heapq import nsmallest
from typing import Final, NamedTuple

from dnsserver.limits.networks import Network, first_list

MAX_THINNED: Final = 64
"""Networks thinned at once, those that ask most: each costs the kernel a comparison per datagram."""

WINDOW: Final = 1.0
"""Seconds of which the queries count."""

CERTAIN: Final = 3.0
"""Standard errors that an estimate must be over the limit: no network is thinned by chance."""

STEADY: Final = 0.1
"""A part that would change by less of itself stays, so that the kernel's rules are not always new."""


class QueryLimit(NamedTuple):
    per_second: int
    """Queries of one network: an IPv4 /24, an IPv6 /56."""
    exempt: tuple[Network, ...] = ()
    """Without a limit."""

    def meter(self) -> "QueryRates":
        """Return what applies this limit to one socket."""
        return QueryRates(self)


class _Interval(NamedTuple):
    began: float
    ended: float
    counts: dict[bytes, tuple[float, float]]
    """Octets of a network → the queries that came from there, and the variance of this estimate."""


class QueryRates:
    """Estimates for one socket. Times are seconds from any start."""

    def __init__(self, limit: QueryLimit) -> None:
        self._limit = limit
        self._lists_before = first_list([limit.exempt])  # 0 for who is exempt
        self._exempt_in: dict[bytes, list[Network]] = defaultdict(list)
        for network in limit.exempt:
            self._exempt_in[network_of(network.network_address.packed)].append(network)
        self._intervals: deque[_Interval] = deque()
        self.parts: dict[bytes, float] = {}
        """Octets of a network → which part of its queries is let through. Others are not thinned."""

    def note(self, samples: Iterable[tuple[bytes, float]], began: float, ended: float) -> None:
        """Take samples of an interval: octets of addresses, with how many queries each stands for.

        They are of the queries let through. At most MAX_THINNED networks have a part after it. A part is at
        most twice what it was: of what little is let through of, too little is known to let all through.
        """
        counts: dict[bytes, tuple[float, float]] = {}
        for address, weight in samples:
            if self._lists_before(address):
                network = network_of(address)
                count, variance = counts.get(network, (0.0, 0.0))
                part = self.parts.get(network, 1.0)
                counts[network] = count + weight / part, variance + weight * (weight - 1)
        self._intervals.append(_Interval(began, ended, counts))
        while self._intervals[0].ended <= ended - WINDOW:
            self._intervals.popleft()
        self.parts = self._next_parts(max(WINDOW, ended - self._intervals[0].began))

    def _next_parts(self, seconds: float) -> dict[bytes, float]:
        came: dict[bytes, float] = defaultdict(float)
        variance: dict[bytes, float] = defaultdict(float)
        for interval in self._intervals:
            for network, (count, error) in interval.counts.items():
                came[network] += count
                variance[network] += error
        allowed = self._limit.per_second * seconds
        parts = {}
        for network in came.keys() | self.parts.keys():
            before = self.parts.get(network)
            if before is None and came[network] - CERTAIN * math.sqrt(variance[network]) <= allowed:
                continue
            part = allowed / max(came[network], allowed)
            if before:
                part = min(part, 2 * before)
            if part < 1:
                parts[network] = before if before and abs(part - before) < STEADY * before else part
        return dict(nsmallest(MAX_THINNED, parts.items(), key=lambda item: item[1]))

    @property
    def rules(self) -> list[tuple[Network, float]]:
        """Networks in order, and the part of each that passes: the first that has a source counts."""
        rules: list[tuple[Network, float]] = []
        for octets, part in sorted(self.parts.items()):
            # One that is exempt as a whole is never thinned.
            rules += [(network, 1.0) for network in self._exempt_in.get(octets, ())]
            rules.append((_network(octets), part))
        return rules


def network_of(address: bytes) -> bytes:
    """Return the octets of the network that an address is counted to."""
    return address[:3] if len(address) == 4 else address[:7]


def _network(octets: bytes) -> Network:
    if len(octets) == 3:
        return ipaddress.IPv4Network((octets + bytes(1), 24))
    return ipaddress.IPv6Network((octets + bytes(9), 56))
