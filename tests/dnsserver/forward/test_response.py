"""Responses made of what is kept: TTLs that fall, sizes that fit, our aliases before what they lead to."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from dnsserver.answer.lookup import Answer
from dnsserver.forward.question import Asked
from dnsserver.forward.reply import read
from dnsserver.forward.response import Client, Limits, entry_of, failure, followed, join, reply_of, respond
from dnsserver.wire import const
from dnsserver.wire.message import extras_of, header_of, question_of
from dnsserver.wire.name import from_text
from dnsserver.zone.rrset import RRset
from tests.dnsserver.forward.worlds import WHOLE, of_reply, records, replies, response
from tests.dnsserver.support import parsed, table_of

LIMITS = Limits(3600, 900, 5)


def client(name, kind=1, *, do=None, cd=False, room=65_535) -> Client:
    """Return a query; `do` None is one without EDNS."""
    message = dns.message.make_query(dns.name.from_wire(name, 0)[0], kind, id=7)
    if do is not None:
        message.use_edns(0, dns.flags.DO if do else 0, 1232)
    if cd:
        message.flags |= dns.flags.CD
    wire = message.to_wire()
    question = question_of(wire)
    return Client(wire, question, extras_of(wire, header_of(wire), question.end).edns, room)


def asking(asked, **options) -> Client:
    do = True if asked.dnssec_ok else None
    return client(asked.name, asked.type, do=do, cd=asked.checking_disabled, **options)


def of_message(message) -> set[tuple[bytes, int, int, bytes]]:
    return {
        (rrset.name.canonicalize().to_wire(), rrset.rdtype, rrset.ttl, rrset[0].to_wire())
        for rrset in (*message.answer, *message.authority)
    }


@st.composite
def aged(draw):
    """A question, what is taken of a response to it, and an age at which that may still be given out."""
    asked, reply = draw(replies)
    shortest = min((ttl for _, _, ttl, _ in of_reply(reply)), default=0)
    return asked, reply, draw(st.integers(0, shortest))


@given(aged())
def test_a_response_has_what_the_upstream_said_with_ttls_less_its_age(case):
    asked, reply, age = case
    message = parsed(respond(asking(asked), entry_of(asked, reply, WHOLE, 0), age))
    expected = {(owner, kind, ttl - age, rdata) for owner, kind, ttl, rdata in of_reply(reply)}
    assert of_message(message) == expected
    assert (message.id, message.rcode()) == (7, reply.rcode)
    event(f"{len(expected)} records")


@given(aged(), st.integers(0, 9))
def test_turns_change_the_order_of_addresses_alone(case, turn):
    asked, reply, age = case
    entry = entry_of(asked, reply, WHOLE, 0)
    first, other = (parsed(respond(asking(asked), entry, age, each)) for each in (0, turn))
    assert sorted(map(str, other.answer)) == sorted(map(str, first.answer))
    assert other.authority == first.authority
    kinds = [(str(rrset.name), rrset.rdtype) for rrset in first.answer]
    assert [(str(rrset.name), rrset.rdtype) for rrset in other.answer] == kinds
    fixed = [rrset for rrset in first.answer if rrset.rdtype not in (const.A, const.AAAA)]
    assert [rrset for rrset in other.answer if rrset.rdtype not in (const.A, const.AAAA)] == fixed


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_each_address_has_its_turn_to_be_first(kind):
    name = from_text("www.test.")
    asked = Asked(name, dns.rdatatype.from_text(kind), False, False)
    addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"] if kind == "A" else ["::1", "::2", "::3"]
    alias = dns.rrset.from_text("www.test.", 60, "IN", "CNAME", "far.away.test.")
    message = response(asked, [alias, dns.rrset.from_text("far.away.test.", 60, "IN", kind, *addresses)])
    entry = entry_of(asked, read(message, asked), LIMITS, 0)
    orders = [
        [rrset[0].address for rrset in parsed(respond(client(name, kind), entry, 5, turn)).answer[1:]]
        for turn in range(3)
    ]
    assert sorted(orders[0]) == addresses
    assert orders == [orders[0][turn:] + orders[0][:turn] for turn in range(3)]


def test_records_that_are_no_addresses_keep_their_order_and_those_behind_the_answer_theirs():
    asked = Asked(from_text("www.test."), const.TXT, True, False)
    texts = dns.rrset.from_text("www.test.", 60, "IN", "TXT", "a", "bcd", "ef")
    signed = dns.rrset.from_text("www.test.", 60, "IN", "NSEC", "x.test. A")
    entry = entry_of(asked, read(response(asked, [texts], [signed]), asked), LIMITS, 0)
    assert respond(asking(asked), entry, 0, 1) == respond(asking(asked), entry, 0, 0)
    addresses = dns.rrset.from_text("www.test.", 60, "IN", "A", "192.0.2.1", "192.0.2.2")
    asked = asked._replace(type=const.A)
    entry = entry_of(asked, read(response(asked, [addresses], [signed]), asked), LIMITS, 0)
    one, two = (parsed(respond(asking(asked), entry, 0, turn)) for turn in (0, 1))
    assert one.answer == two.answer[::-1]
    assert one.authority == two.authority


@given(replies)
def test_a_response_answers_the_query_as_a_resolver_that_is_no_authority(pair):
    asked, reply = pair
    query = asking(asked)
    octets = respond(query, entry_of(asked, reply, LIMITS, 0), 0)
    assert octets[12 : query.question.end] == query.query[12 : query.question.end]
    message = parsed(octets)
    cd = dns.flags.CD if asked.checking_disabled else 0
    assert message.flags & ~0xF == dns.flags.QR | dns.flags.RD | dns.flags.RA | cd
    assert (message.edns >= 0) == (query.edns is not None)


@given(replies)
def test_no_ttl_is_over_the_limit_and_an_entry_expires_with_its_shortest(pair):
    asked, reply = pair
    entry = entry_of(asked, reply, LIMITS, 10)
    ttls = [ttl for _, _, ttl, _ in of_message(parsed(respond(asking(asked), entry, 0)))]
    found = any(asked.type in (rrset.type, const.ANY) for _, rrset in reply.answer)
    most = LIMITS.answer if found else LIMITS.denial
    assert all(ttl <= most for ttl in ttls)
    assert entry.expires - entry.stored <= min(ttls, default=0)


@given(replies, st.integers(-20, 20))
def test_a_response_fits_or_is_cut_to_its_question(pair, more):
    asked, reply = pair
    entry = entry_of(asked, reply, LIMITS, 0)
    whole = respond(asking(asked), entry, 0)
    room = len(whole) + more
    query = asking(asked, room=room)
    octets = respond(query, entry, 0)
    if len(whole) <= room:
        assert octets == whole
        return
    message = parsed(octets)
    assert message.flags & dns.flags.TC
    assert not of_message(message)
    assert len(octets) <= query.question.end + 11


@given(aged())
def test_an_entry_is_read_back_as_what_the_upstream_said(case):
    asked, reply, age = case
    back = reply_of(asked, entry_of(asked, reply, WHOLE, 0), age)
    assert back.rcode == reply.rcode
    for ours, theirs in ((back.answer, reply.answer), (back.authority, reply.authority)):
        assert records(ours) == {
            (owner, kind, ttl - age, rdata) for owner, kind, ttl, rdata in records(theirs)
        }


@given(replies, st.integers(1, 3))
def test_joined_aliases_stand_before_all_that_the_upstream_said(pair, links):
    asked, reply = pair
    names = [from_text(f"a{number}.k8s.local.") for number in range(links)]
    aliases = tuple(
        (name, RRset(const.CNAME, 60, (target,)))
        for name, target in zip(names, [*names[1:], asked.name], strict=True)
    )
    query = client(names[0], asked.type, do=True if asked.dnssec_ok else None)
    message = parsed(join(query, aliases, reply, authoritative=True))
    assert message.flags & (dns.flags.AA | dns.flags.RA) == dns.flags.AA | dns.flags.RA
    assert message.rcode() == reply.rcode
    assert [rrset.name.to_wire() for rrset in message.answer[:links]] == names
    assert of_message(message) == records(aliases) | of_reply(reply)


def test_a_failure_says_why_to_who_knows_edns_and_is_kept_for_seconds():
    entry = failure(LIMITS, 10)
    assert (entry.stored, entry.expires) == (10, 15)
    message = parsed(respond(client(from_text("www.test."), do=False), entry, 0))
    assert (message.rcode(), [int(option.code) for option in message.options]) == (dns.rcode.SERVFAIL, [22])
    assert parsed(respond(client(from_text("www.test.")), entry, 0)).edns < 0


ZONES = [
    {
        "name": "k8s.local.",
        "records": [
            {"name": "here", "type": "A", "data": "10.0.0.1"},
            {"name": "out", "type": "CNAME", "data": "www.test."},
            {"name": "far", "type": "CNAME", "data": "out.zwei."},
            {"name": "near", "type": "CNAME", "data": "here.zwei."},
            {"name": "nx", "type": "CNAME", "data": "nowhere.zwei."},
            {"name": "round", "type": "CNAME", "data": "round.zwei."},
        ],
    },
    {
        "name": "zwei.",
        "records": [
            {"name": "here", "type": "A", "data": "10.0.0.2"},
            {"name": "out", "type": "CNAME", "data": "out.k8s.local."},
            {"name": "round", "type": "CNAME", "data": "round.k8s.local."},
        ],
    },
]


@pytest.mark.parametrize(
    ("name", "links", "onward", "rcode", "found"),
    [
        ("here.k8s.local.", 0, None, const.NOERROR, 1),
        ("out.k8s.local.", 1, "www.test.", const.REFUSED, 0),
        ("far.k8s.local.", 3, "www.test.", const.REFUSED, 0),
        ("near.k8s.local.", 1, None, const.NOERROR, 1),
        ("nx.k8s.local.", 1, None, const.NXDOMAIN, 0),
        ("round.k8s.local.", 2, None, const.NOERROR, 0),
        ("www.test.", 0, "www.test.", const.REFUSED, 0),
    ],
)
def test_aliases_are_followed_through_our_zones_and_no_further(name, links, onward, rcode, found):
    aliases, rest = followed(table_of(ZONES), from_text(name), const.A)
    assert (len(aliases), rest.onward, rest.rcode, len(rest.answer)) == (
        links,
        onward and from_text(onward),
        rcode,
        found,
    )


@pytest.mark.parametrize(
    ("name", "links"), [("near.k8s.local.", 1), ("far.k8s.local.", 1), ("here.zwei.", 0), ("gone.zwei.", 0)]
)
def test_a_zone_that_is_not_allowed_is_a_refusal_behind_aliases_too(name, links):
    """At the begin as well: an upstream's alias may have led there."""
    aliases, rest = followed(
        table_of(ZONES), from_text(name), const.A, lambda apex: apex != from_text("zwei.")
    )
    assert (len(aliases), rest) == (links, Answer(const.REFUSED))


def test_an_answer_of_our_own_behind_aliases_is_joined_with_its_soa():
    table = table_of(ZONES)
    aliases, rest = followed(table, from_text("nx.k8s.local."), const.A)
    assert isinstance(rest, Answer)
    message = parsed(join(client(from_text("nx.k8s.local.")), aliases, rest, authoritative=True))
    assert message.rcode() == dns.rcode.NXDOMAIN
    assert [str(rrset.name) for rrset in message.authority] == ["zwei."]
