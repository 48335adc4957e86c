"""What was answered is kept for the next query, side by side, until a change drops it."""

import subprocess
import sys
from statistics import median
from sys import getsizeof

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.answer import keeper
from tests.dnsserver.support import changes, filled, responder

NAMES = [f"host-{number:03}" for number in range(keeper.ROW + keeper.ROW // 2)]
VALUES = {f"example/{name}/x": '{"host":"192.0.2.1","targetstrip":1}' for name in NAMES}


def query(name: str) -> bytes:
    return dns.message.make_query(f"{name}.example.", "A").to_wire()


@pytest.fixture
def table():
    return filled([{"name": "example."}], VALUES)


@pytest.fixture
def served(table):
    found = responder(table)
    for name in NAMES:
        found.respond(query(name))
    return found


def test_what_was_gathered_is_found_as_the_rest_is(served):
    for name in NAMES:
        asked = query(name)
        head, rest = served.find(asked[2:12], asked[12:])
        assert asked[:2] + head + rest == served.slow(asked)


def test_each_answer_is_kept_once_and_known_to_its_node(served, table):
    assert len(table.answers) == len({*table.answers}) == len(NAMES)
    known = [question for node in table.nodes.values() for question in node.questions]
    assert sorted(known) == sorted(table.answers)
    assert {id(question) for question in known} == set(map(id, table.answers))


def test_what_was_gathered_is_dropped_when_it_changes(served, table):
    table.apply(changes({f"example/{name}/x": '{"host":"192.0.2.9","targetstrip":1}' for name in NAMES}), 9)
    assert not table.answers
    for name in NAMES:
        assert served.respond(query(name)).endswith(bytes((192, 0, 2, 9)))


def test_what_changed_before_it_was_gathered_stays_dropped(table):
    served = responder(table)
    served.respond(query(NAMES[0]))
    table.apply(changes({f"example/{NAMES[0]}/x": None}), 9)
    for name in NAMES[1:]:
        served.respond(query(name))
    assert len(table.answers) == len(NAMES) - 1
    assert served.respond(query(NAMES[0]))[3] & 15 == 3


def test_a_node_that_is_gone_gets_no_answer_of_the_one_in_its_place():
    alias, target = '{"host":"b.example","targetstrip":0}', '{"host":"192.0.2.9","targetstrip":0}'
    table = filled(
        [{"name": "example."}],
        VALUES | {"example/a": alias, "example/b": target, "example/c": '{"host":"2001:db8::1"}'},
    )
    served = responder(table)
    served.respond(query("a"))
    table.apply(changes({"example/a": None}), 8)
    table.apply(changes({"example/a": '{"host":"192.0.2.5"}'}), 9)
    for name in ("a", *NAMES):
        served.respond(query(name))
    table.apply(changes({"example/b": '{"host":"192.0.2.8"}'}), 10)
    for asked in map(query, ("c", "a", "a")):
        assert served.respond(asked) == served.slow(asked)


HOSTS = [f'{{"host":"{host}"}}' for host in ("b.example", "192.0.2.1", "2001:db8::1")]
CHANGE = st.tuples(st.sampled_from("abc"), st.sampled_from([*HOSTS, None, None]))
QUERIES = [
    dns.message.make_query(f"{name}.example.", kind, id=1).to_wire() for name in "cba" for kind in ("A", "MX")
]
STEP = st.tuples(CHANGE, st.lists(st.sampled_from(QUERIES), max_size=3))


@given(st.lists(STEP, max_size=12), st.integers(1, 5))
def test_what_is_gathered_between_changes_answers_as_a_lookup_does(steps, row):
    table = filled([{"name": "example."}], {})
    served = responder(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "ROW", row)
        for revision, ((name, value), asked) in enumerate(steps, 8):
            table.apply(changes({f"example/{name}": value}), revision)
            for query in asked:
                assert served.respond(query) == served.slow(query) == served.respond(query)
        for query in QUERIES:
            assert served.respond(query) == served.slow(query) == served.respond(query)


def test_what_is_large_stays_where_it_is():
    large = {
        f"example/large/x{number}": f'{{"host":"192.0.2.{number}","targetstrip":1}}' for number in range(99)
    }
    table = filled([{"name": "example."}], VALUES | large)
    served = responder(table)
    served.respond(query("large"))
    kept = dict(table.answers)
    assert len(kept) == 1
    for name in NAMES:
        served.respond(query(name))
    assert all(table.answers[question] is answer for question, answer in kept.items())


def apart() -> float:
    """Return how many octets of memory there are between a question and its body, the median of many."""
    names = [f"host-{number:04}" for number in range(40 * keeper.ROW)]
    table = filled([{"name": "example."}], {f"example/{name}": '{"host":"192.0.2.1"}' for name in names})
    served = responder(table)
    for name in names:
        served.respond(query(name))
    return median(abs(id(question) - id(body)) for question, (_, body) in table.answers.items())


def test_what_was_gathered_lies_together():
    """In a process of its own: memory that others have used has holes, which are filled first."""
    program = f"from {__name__} import apart; print(apart())"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(run.stdout) <= 2 * getsizeof(query(NAMES[0]))
