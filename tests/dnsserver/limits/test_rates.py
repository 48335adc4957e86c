import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnsserver.limits.message import bad_cookie, truncated
from dnsserver.limits.rates import Limit, Rates
from tests.dnsserver.answer.test_respond import check
from tests.dnsserver.support import filled, parsed, responder
from tests.dnsserver.worlds import queries, tables

PER_SECOND = 10
TABLE = filled(
    [
        {
            "name": "example.",
            "records": [
                {"name": "www", "type": "A", "data": "192.0.2.1"},
                {"name": "*.wild", "type": "A", "data": "192.0.2.2"},
                {"name": "cut", "type": "NS", "data": "ns.cut"},
                {"name": "ns.cut", "type": "A", "data": "192.0.2.3"},
                {"name": "\\000\\255", "type": "A", "data": "192.0.2.4"},
            ],
        }
    ],
    {},
)
HERE = bytes((192, 0, 2, 1))


class Server:
    """A responder with limits, at a time of its own."""

    def __init__(self, slip=0, window=5, accounts=1000, exempt=(), table=TABLE) -> None:
        self.now = 1000.0
        limit = Limit(PER_SECOND, window, slip, accounts)
        self.rates = Rates(limit, lambda: round(self.now * 1e9), lambda it: it in exempt)
        served = responder(table)
        exists = table.nodes.__contains__
        self.handle = self.rates.around(lambda message, *_: served.respond(message), exists)

    def __call__(self, name: str, address: bytes = HERE, kind: str = "A") -> bytes | None:
        return self.handle(dns.message.make_query(name, kind, use_edns=0).to_wire(), address, 53)

    def answered(self, names, address: bytes = HERE) -> int:
        """Return how many of these queries get a response, all at once."""
        return sum(self(name, address) is not None for name in names)


def many(name: str, count: int = 50) -> list[str]:
    return [name.replace("#", str(number)) for number in range(count)]


@pytest.mark.parametrize(
    "name",
    [
        "www.example.",
        "#.example.",
        "a.b.#.example.",
        "#.wild.example.",
        "a.#.wild.example.",
        "#.cut.example.",
        "\\000#.example.",
        "#.outside.test.",
        "WWW.example.",
    ],
)
def test_alike_responses_to_one_network_are_limited(name):
    assert Server().answered(many(name)) == PER_SECOND


@pytest.mark.parametrize(
    ("names", "accounts"),
    [
        (["www.example.", "#.example."], 2),
        (["www.example.", "#.wild.example.", "#.cut.example.", "#.example.", "x.test."], 5),
        (["www.example.", "wwW.example.", "Www.example."], 1),
    ],
)
def test_other_responses_have_accounts_of_their_own(names, accounts):
    server = Server()
    asked = [name for pattern in names for name in many(pattern)]
    assert server.answered(asked) == PER_SECOND * accounts
    assert server.rates.accounts == accounts


@given(st.binary(min_size=12, max_size=80), st.integers(0, 3))
@example(b"id\x81\x80\0\1\0\0\0\1\0\0\0\0\1\0\1", 3)  # a record is promised, and there is none
@example(b"id\x81\x80\0\1\0\0\0\1\0\0\0\0\1\0\1\xff", 0)
def test_a_response_of_any_octets_is_counted(response, rcode):
    """As an upstream may send it, or somebody who lies as one."""
    response = response[:3] + bytes((response[3] & 0xF0 | rcode,)) + response[4:]
    rates = Rates(Limit(PER_SECOND, 5, 0, 100), lambda: 10**12, lambda address: False)
    handle = rates.around(lambda *_: response, TABLE.nodes.__contains__)
    assert [handle(b"", HERE, 53) for _ in range(PER_SECOND + 1)] == [response] * PER_SECOND + [None]


@pytest.mark.parametrize(
    ("other", "is_one"),
    [
        (bytes((192, 0, 2, 255)), True),
        (bytes((192, 0, 3, 1)), False),
        (bytes((193, 0, 2, 1)), False),
        (b"\x20\x01" + bytes(14), False),
    ],
)
def test_ipv4_clients_are_one_by_24_bits(other, is_one):
    server = Server()
    server.answered(many("www.example."))
    assert server.answered(many("www.example."), other) == (0 if is_one else PER_SECOND)


@pytest.mark.parametrize(("at", "is_one"), [(6, False), (7, True), (15, True)])
def test_ipv6_clients_are_one_by_56_bits(at, is_one):
    server = Server()
    server.answered(many("www.example."), bytes(16))
    other = bytes(at) + b"\1" + bytes(15 - at)
    assert server.answered(many("www.example."), other) == (0 if is_one else PER_SECOND)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 30)), min_size=1, max_size=20))
def test_in_no_stretch_of_time_there_are_more_than_the_rate_and_a_second_s_worth(bursts):
    server, sent = Server(), []
    for pause, count in bursts:
        server.now += pause
        sent += [server.now] * server.answered(["www.example."] * count)
    for first, began in enumerate(sent):
        for last, ended in enumerate(sent[first:], first):
            assert last - first + 1 <= PER_SECOND * (ended - began + 1) + 1e-3


def test_who_asks_no_more_than_the_rate_is_always_answered():
    server = Server()
    for _ in range(100):
        server.now += 1 / PER_SECOND + 1e-9
        assert server("www.example.") is not None


def test_after_a_window_of_silence_a_flood_is_forgiven():
    server = Server(window=5)
    for _ in range(100):
        server.now += 0.1
        server.answered(many("www.example."))
    server.now += 4.8
    assert server("www.example.") is None
    server.now += 5.3
    assert server.answered(["www.example."] * 3) > 0


@pytest.mark.parametrize(("slip", "sent"), [(0, 0), (1, 40), (2, 20), (3, 13)])
def test_every_so_many_th_withheld_is_sent_truncated(slip, sent):
    server = Server(slip=slip)
    replies = [reply for name in many("www.example.") if (reply := server(name))]
    cut = [reply for reply in map(parsed, replies) if reply.flags & dns.flags.TC]
    assert (len(cut), len(replies)) == (sent, PER_SECOND + sent)
    assert all(not reply.answer and reply.question and reply.edns == 0 for reply in cut)
    assert (server.rates.slipped, server.rates.withheld) == (sent, 40)


@given(queries(), tables)
def test_a_truncated_response_has_the_question_and_no_data(query, table):
    whole = responder(table).respond(query)
    reply = truncated(whole)
    check(query, reply)
    response, before = parsed(reply), parsed(whole)
    assert response.flags == before.flags | dns.flags.TC
    assert (response.rcode(), response.question, response.edns) == (
        before.rcode(),
        before.question,
        before.edns,
    )
    assert [response.answer, response.authority, response.additional] == [[], [], []]
    assert len(reply) <= len(query)


@given(queries(), tables)
def test_a_response_that_asks_for_the_cookie_has_the_question_and_no_data(query, table):
    whole = responder(table).respond(query)
    reply = bad_cookie(whole)
    check(query, reply)
    response, before = parsed(reply), parsed(whole)
    if before.edns < 0:
        assert reply == truncated(whole)
        return
    assert response.rcode() == dns.rcode.BADCOOKIE
    assert response.flags & 0xFFF0 == before.flags & 0xFFF0 & ~dns.flags.AA & ~dns.flags.TC
    assert (response.question, response.edns) == (before.question, before.edns)
    assert [response.answer, response.authority, response.additional] == [[], [], []]


def test_the_exempt_have_no_limit():
    server = Server(exempt=[HERE])
    assert server.answered(many("www.example.")) == 50
    assert server.answered(many("www.example."), bytes((192, 0, 2, 2))) == 0, "though their neighbours have"


def test_networks_without_end_take_bounded_memory_and_the_latest_are_limited():
    server = Server(accounts=100)
    for number in range(1000):
        server("www.example.", number.to_bytes(3, "big") + b"\0")
        assert server.rates.accounts <= 100
    assert server.answered(many("www.example."), (940).to_bytes(3, "big") + b"\0") == PER_SECOND - 1
    latest = (999).to_bytes(3, "big") + b"\0"
    assert server.answered(many("www.example."), latest) == PER_SECOND - 1
