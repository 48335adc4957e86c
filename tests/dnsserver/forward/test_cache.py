"""The cache: a dict whose entries expire, within its octets."""

import gc
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dnsserver.forward.cache import Cache, Entry
from dnsserver.forward.question import Asked
from dnsserver.wire.name import from_text

ROOM = 4000
"""Octets: some entries, of which a few leave."""

names = st.integers(0, 20).map(lambda number: from_text(f"n{number}.test."))
questions = st.builds(Asked, names, st.sampled_from([1, 28]), st.booleans(), st.booleans())


def entry(now: float, ttl: float, body: bytes = b"", answers: int = 1) -> Entry:
    return Entry(0, answers, 0, body, not answers, now, now + ttl)


class Model(RuleBasedStateMachine):
    """The cache beside a dict of all that was ever put, with the last last."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(ROOM)
        self.model: dict[Asked, Entry] = {}
        self.now = 0.0

    @rule(asked=questions, ttl=st.sampled_from([0, 1, 5, 300]), octets=st.sampled_from([0, 40, 1000, 5000]))
    def put(self, asked, ttl, octets):
        put = entry(self.now, ttl, bytes(octets), octets % 3)
        self.cache.put(asked, put)
        self.model[asked] = put

    @rule(asked=questions)
    def get(self, asked):
        found, put = self.cache.get(asked, self.now), self.model.get(asked)
        assert found is None or (found is put and put.expires > self.now)

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 299.0]))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def never_holds_more_than_it_may(self):
        assert 0 <= self.cache.octets <= ROOM
        assert len(self.cache) or not self.cache.octets
        assert 0 <= self.cache.denials <= len(self.cache)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=50, stateful_step_count=40)


@given(st.lists(questions, max_size=30, unique=True))
def test_with_room_enough_everything_is_found_until_it_expires(asked):
    cache = Cache(1 << 20)
    for number, question in enumerate(asked):
        cache.put(question, entry(0, number + 1))
    for number, question in enumerate(asked):
        assert cache.get(question, number + 0.999)
    for number, question in enumerate(asked):
        assert not cache.get(question, number + 1)
    assert (cache.octets, len(cache), cache.evicted) == (0, 0, 0)


@pytest.mark.parametrize(
    "other", [(b"\0", 1, False, False), (b"\1a\0", 2, False, False), (b"\1a\0", 1, True, False)]
)
def test_what_was_put_for_one_question_is_not_found_by_another(other):
    cache = Cache(ROOM)
    cache.put(Asked(b"\1a\0", 1, False, False), entry(0, 300))
    assert cache.get(Asked(b"\1a\0", 1, False, False), 1)
    assert not cache.get(Asked(*other), 1)
    assert not cache.get(Asked(b"\1a\0", 1, False, True), 1)


def test_what_was_looked_up_least_recently_goes_first():
    one, two, three = (Asked(from_text(f"{name}.test."), 1, False, False) for name in "abc")
    cache = Cache(3000)
    cache.put(one, entry(0, 300, bytes(900)))
    cache.put(two, entry(0, 300, bytes(900)))
    assert cache.get(one, 1)
    cache.put(three, entry(0, 300, bytes(900)))
    assert (cache.get(one, 1) is None, cache.get(two, 1) is None, cache.evicted) == (False, True, 1)


def test_what_is_put_again_replaces_what_was_there():
    question = Asked(from_text("a.test."), 1, False, False)
    cache = Cache(ROOM)
    cache.put(question, entry(0, 300, b"old"))
    cache.put(question, entry(1, 0, b"new"))
    assert cache.get(question, 1) is None
    assert cache.octets == 0


def test_the_octets_it_counts_are_those_it_takes():
    cache = Cache(1 << 30)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(6_000):
            asked = Asked(from_text(f"n{number}.example."), 1, False, False)
            cache.put(asked, entry(number + 0.5, 300.5, bytes(number % 400)))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.7 * cache.octets < taken <= cache.octets
