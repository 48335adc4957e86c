import dns.message
import dns.rcode
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.answer.budget import PART, SAVED, Budget
from tests.dnsserver.support import filled, parsed, responder

TABLE = filled([{"name": "example."}], {f"example/n{n}": f'{{"host":"192.0.2.{n}"}}' for n in range(9)})
SECONDS = st.floats(0, 2)


class Clock:
    """A time of its own; each search takes so many seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(SECONDS, SECONDS)))
def test_searches_take_their_part_of_the_time_and_what_was_saved(found):
    clock = Clock()
    budget, used, longest = Budget(clock), 0.0, 0.0
    for pause, takes in found:
        clock.now += pause
        if budget.begin():
            clock.now += takes
            budget.end()
            used, longest = used + takes, max(longest, takes)
    assert used <= PART * (clock.now - 1000) + SAVED + longest + 1e-6


def test_who_searches_now_and_then_is_never_refused():
    clock = Clock()
    budget = Budget(clock)
    for _ in range(100):
        clock.now += 0.05
        assert budget.begin()
        clock.now += 0.005
        budget.end()
    assert budget.refused == 0


def test_a_search_for_which_there_is_no_time_fails_and_all_else_is_answered():
    clock = Clock()
    budget = Budget(clock)
    assert budget.begin()
    clock.now += 1
    budget.end()
    served = responder(TABLE, budget=budget)

    def rcode(name: str) -> int:
        return parsed(served.respond(dns.message.make_query(name, "A").to_wire())).rcode()

    names = ["n1.example.", "none.example.", "any.example.", "n1.any.example.", "*.example."]
    assert [rcode(name) for name in names] == [
        dns.rcode.NOERROR, dns.rcode.NXDOMAIN, *[dns.rcode.SERVFAIL] * 3,
    ]  # fmt: skip
    assert budget.refused == 3


def test_a_search_for_which_there_is_time_is_answered_as_without_a_budget():
    budget = Budget(lambda: 0.0)
    served, without = responder(TABLE, budget=budget), responder(TABLE)
    for kind in ("A", "MX", "TXT", "ANY"):
        query = dns.message.make_query("any.example.", kind, use_edns=0).to_wire()
        assert served.respond(query) == without.respond(query)
