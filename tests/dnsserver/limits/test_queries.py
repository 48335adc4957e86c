import ipaddress
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsserver.limits.queries import MAX_THINNED, QueryLimit, QueryRates, network_of

STEP = 0.1
"""Seconds of an interval."""
LOOKED = 128
"""Datagrams that are looked at in an interval, at most."""


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def client(number: int) -> bytes:
    """Return an address of a network of its own."""
    return bytes((10, number >> 8, number & 255, 1))


class World:
    """Networks that ask at steady rates, a receive buffer's worth of which is answered."""

    def __init__(self, meter: QueryRates, seed: int, capacity: int = 200_000) -> None:
        self.meter, self.capacity = meter, capacity
        self._random = random.Random(seed)
        self._now = 0.0
        self.let: Counter[bytes] = Counter()
        """Queries of each client that were answered in the last second or so."""

    def run(self, rates: dict[bytes, int], seconds: float) -> None:
        self.let.clear()
        for _ in range(round(seconds / STEP)):
            comes = {a: rate * STEP * self.meter.parts.get(network_of(a), 1) for a, rate in rates.items()}
            share = min(1, self.capacity * STEP / max(1, sum(comes.values())))
            passed = Counter({a: self._whole(count * share) for a, count in comes.items()})
            self.let += passed
            self.meter.note(self._looked(passed), self._now, self._now + STEP)
            self._now += STEP

    def _looked(self, passed: Counter[bytes]) -> list[tuple[bytes, float]]:
        if not passed.total():
            return []
        looked = self._random.sample([*passed], min(LOOKED, passed.total()), counts=[*passed.values()])
        return [(address, passed.total() / len(looked)) for address in looked]

    def _whole(self, count: float) -> int:
        return int(count) + (self._random.random() < count % 1)


def each(counts: dict[bytes, int], weight: float = 1) -> list[tuple[bytes, float]]:
    return [(address, weight) for address, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize(("asked", "part"), [(1000, None), (1001, 1000 / 1001), (4000, 1 / 4)])
def test_a_network_is_thinned_from_the_first_query_over_the_limit_on(asked, part):
    meter = QueryRates(QueryLimit(1000))
    meter.note(each({packed("192.0.2.1"): asked // 2, packed("192.0.2.255"): asked - asked // 2}), 0, STEP)
    assert meter.parts == ({packed("192.0.2.0")[:3]: part} if part else {})


def test_queries_count_for_a_second():
    meter = QueryRates(QueryLimit(1000))
    for number in range(20):
        meter.note(each({client(1): 100}), number * STEP, (number + 1) * STEP)
        assert not meter.parts
    meter.note(each({client(1): 101}), 2, 2.1)
    assert meter.parts


def test_an_interval_of_several_seconds_is_not_taken_for_one():
    meter = QueryRates(QueryLimit(1000))
    meter.note(each({client(1): 3000}), 0, 3)
    assert not meter.parts


def test_networks_are_a_24_and_a_56():
    meter = QueryRates(QueryLimit(10))
    asked = {"2001:db8:0:ff::1": 6, "2001:db8:0:1::2": 5, "2001:db8:0:100::": 10}
    meter.note(each({packed(text): count for text, count in asked.items()}), 0, 1)
    assert [str(network) for network, _ in meter.rules] == ["2001:db8::/56"]
    asked = {"192.0.2.1": 6, "192.0.2.2": 5, "192.0.3.1": 10}
    meter.note(each({packed(text): count for text, count in asked.items()}), 1, 2)
    assert "192.0.2.0/24" in [str(network) for network, _ in meter.rules]
    assert "192.0.3.0/24" not in [str(network) for network, _ in meter.rules]


def test_one_that_stands_for_many_proves_nothing():
    meter = QueryRates(QueryLimit(1000))
    meter.note(each({client(1): 1, client(2): 127}, 100_000), 0, STEP)
    assert client(1)[:3] not in meter.parts
    assert client(2)[:3] in meter.parts


def test_the_exempt_are_not_thinned_nor_counted_to_their_network():
    exempt = tuple(map(ipaddress.ip_network, ("192.0.2.1/32", "198.51.100.0/25", "2001:db8::/32")))
    meter = QueryRates(QueryLimit(10, exempt))
    flood = {packed("192.0.2.1"): 100, packed("192.0.2.2"): 10, packed("2001:db8::1"): 100}
    meter.note(each(flood), 0, STEP)
    assert not meter.parts
    meter.note(each({packed("192.0.2.2"): 10}), STEP, 2 * STEP)
    # The rules let them through, and name no exempt network that is of no matter.
    assert [(str(network), part) for network, part in meter.rules] == [
        ("192.0.2.1/32", 1),
        ("192.0.2.0/24", 0.5),
    ]


def test_only_those_who_ask_most_are_thinned():
    meter = QueryRates(QueryLimit(10))
    asked = {client(number): 11 + number for number in range(MAX_THINNED + 5)}
    meter.note(each(asked), 0, STEP)
    assert meter.parts.keys() == {client(number)[:3] for number in range(5, MAX_THINNED + 5)}


def test_a_network_of_which_nothing_comes_any_more_is_free_within_seconds():
    meter = QueryRates(QueryLimit(10))
    meter.note(each({client(1): 1000}, 1000), 0, STEP)
    parts = [*meter.parts.values()]
    for number in range(1, 40):
        meter.note([], number * STEP, (number + 1) * STEP)
        parts += meter.parts.values()
    assert not meter.parts
    assert not meter.rules
    assert len(parts) < 30
    assert all(later <= 2 * earlier for earlier, later in pairwise(parts))


@settings(max_examples=30, deadline=None)
@given(
    limit=st.sampled_from([20, 200, 1000, 5000]),
    floods=st.lists(st.integers(10_000, 2_000_000), min_size=1, max_size=10),
    others=st.lists(st.floats(0, 0.7), max_size=20),
    seed=st.integers(0, 2**32),
)
def test_floods_are_cut_to_about_the_limit_and_others_left_alone(limit, floods, others, seed):
    world = World(QueryRates(QueryLimit(limit)), seed)
    flooding = {client(number): 2 * limit + rate for number, rate in enumerate(floods)}
    asking = {client(100 + number): int(limit * part) for number, part in enumerate(others)}
    world.run(flooding | asking, 3)
    world.run(flooding | asking, 5)
    assert world.meter.parts.keys() == {network_of(address) for address in flooding}
    let = [world.let[address] / 5 for address in flooding]
    assert all(count < 3 * limit for count in let)
    assert sum(let) > 0.5 * limit * len(let)
    world.run(asking, 3)
    assert not world.meter.parts


@pytest.mark.parametrize("limit", [1, 5])
def test_a_limit_of_a_few_queries_holds_a_flood_off_too(limit):
    world = World(QueryRates(QueryLimit(limit)), 1)
    rates = {client(1): 1_000_000, **{client(number): 0 for number in range(2, 9)}}
    world.run(rates, 3)
    world.run(rates, 60)
    assert world.let[client(1)] / 60 < 20 * limit
