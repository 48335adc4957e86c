"""Many dicts that are as one, and never move a million names in one step."""

import time
from collections.abc import MutableMapping
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.wire.name import Name
from dnsserver.zone.nodes import MASK, Nodes

names = st.integers(0, 40).map(b"%d".__mod__)
few = st.sampled_from((0, 3, 100))
changes = st.lists(st.tuples(st.sampled_from(("set", "delete")), names), max_size=60)

GROWING = 360_000
"""A dict grows when it has 349,525 names."""

ATTEMPTS = 3
"""So often it is measured: any step may hold an interruption."""


def changed(nodes: MutableMapping, steps: list[tuple[str, bytes]]) -> None:
    for number, (step, name) in enumerate(steps, 1):
        if step == "set":
            nodes[name] = number
        elif name in nodes:
            del nodes[name]


@given(few, changes)
def test_they_hold_what_a_dict_would(few, steps):
    nodes, model = Nodes(few), {}
    for each in (nodes, model):
        changed(each, steps)
    assert dict(nodes.items()) == model
    assert len(nodes) == len(model)
    for name in map(b"%d".__mod__, range(42)):
        assert nodes.get(name) == model.get(name)
        assert (name in nodes) == (name in model)
        finders = nodes.finders
        found = nodes.few.get(name) or (finders[hash(name) & MASK](name) if finders else None)
        assert found == model.get(name)
    while model:
        name, value = nodes.popitem()
        assert model.pop(name) == value
    with pytest.raises(KeyError):
        nodes.popitem()
    with pytest.raises(KeyError):
        nodes[Name(b"gone")]


@given(few, changes, st.lists(changes, max_size=20))
def test_an_iteration_has_each_name_once_that_is_there_all_the_while(few, before, later):
    nodes = Nodes(few)
    changed(nodes, before)
    stayed, ever = set(nodes), set(nodes)
    found = []
    iteration = iter(nodes)
    for steps in later:
        found += islice(iteration, 3)
        for step in steps:
            changed(nodes, [step])
            stayed &= set(nodes)
            ever |= set(nodes)
    found += iteration
    assert stayed <= set(found) <= ever
    assert all(found.count(name) == 1 for name in stayed)


def longest_step(nodes: MutableMapping, names: list[bytes]) -> int:
    """Return the CPU time of the insertion that takes longest, in nanoseconds."""
    longest, before = 0, time.thread_time_ns()
    for name in names:
        nodes[name] = None
        after = time.thread_time_ns()
        longest = max(longest, after - before)
        before = after
    return longest


@pytest.mark.alone
def test_they_grow_in_short_steps():
    many = [b"\x0chost-%07d\0" % number for number in range(GROWING)]
    whole = min(longest_step({}, many) for _ in range(ATTEMPTS))
    assert min(longest_step(Nodes(), many) for _ in range(ATTEMPTS)) < whole / 4
