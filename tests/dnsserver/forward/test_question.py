"""The query for an upstream, and which messages answer it."""

import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.forward.question import Asked, matches, query, question_end, spelled
from dnsserver.wire.name import from_labels, from_text
from tests.dnsserver.forward.worlds import questions, response

names = st.lists(st.binary(min_size=1, max_size=20), max_size=8).map(from_labels)
ASKED = Asked(from_text("www.example."), 1, False, False)


@given(names, st.data())
def test_a_spelling_differs_in_the_case_of_letters_alone(name, data):
    random = data.draw(st.binary(min_size=len(name), max_size=len(name)))
    assert spelled(name, random).lower() == name


@given(names)
def test_every_letter_can_be_spelled_both_ways(name):
    lower, upper = spelled(name, bytes(len(name))), spelled(name, b"\xff" * len(name))
    assert (lower, upper) == (name, name.upper())


@given(questions(), st.integers(0, 65_535))
def test_a_query_is_read_by_dnspython_and_has_no_option(asked, ident):
    message = dns.message.from_wire(query(asked, ident, asked.name))
    (question,) = message.question
    assert (message.id, question.name.to_wire(), question.rdtype) == (ident, asked.name, asked.type)
    assert message.flags == dns.flags.RD | (dns.flags.CD if asked.checking_disabled else 0)
    assert (message.edns, message.payload, message.options) == (0, 1232, ())
    assert bool(message.ednsflags & dns.flags.DO) == asked.dnssec_ok


@given(questions(), st.integers(0, 65_535))
def test_a_query_ends_its_question_where_it_is_said_to(asked, ident):
    octets = query(asked, ident, asked.name)
    assert len(octets) == question_end(asked.name) + 11


def test_a_response_matches_in_any_case_of_its_name():
    message = response(ASKED)
    assert matches(message, 1, ASKED.name, ASKED)
    assert matches(message, 1, ASKED.name.upper(), ASKED)


@pytest.mark.parametrize(
    "change",
    [
        lambda message: b"\0\2" + message[2:],
        lambda message: message[:2] + b"\1" + message[3:],
        lambda message: message[:2] + bytes((message[2] | 4 << 3,)) + message[3:],
        lambda message: message[:4] + b"\0\0" + message[6:],
        lambda message: message[:4] + b"\0\2" + message[6:],
        lambda message: message.replace(b"\3www", b"\3ww2"),
        lambda message: message.replace(b"\0\1\0\1", b"\0\x1c\0\1", 1),
        lambda message: message.replace(b"example\0\0\1\0\1", b"example\0\0\1\0\3"),
        lambda message: message[:28],
        lambda message: message[:12],
        lambda message: b"",
    ],
    ids=[
        "another id",
        "a query",
        "a NOTIFY",
        "no question",
        "two questions",
        "another name",
        "another type",
        "another class",
        "a question cut short",
        "a header",
        "nothing",
    ],
)
def test_what_is_no_response_to_the_query_does_not_match(change):
    message = response(ASKED)
    changed = change(message)
    assert changed != message
    assert not matches(changed, 1, ASKED.name, ASKED)
