"""What is taken of an upstream's message: what was asked, and nothing that is broken."""

import time

import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from dnsserver.forward.question import Asked, query
from dnsserver.forward.reply import read
from dnsserver.wire import const
from dnsserver.wire.name import FormatError, from_text
from tests.dnsserver.forward.worlds import SOA, of_reply, records, response, responses

WWW = Asked(from_text("www.test."), const.A, False, False)


ROOT = ". 60 IN SOA a.test. b.test. 1 2 3 4 5"


def taken(asked, answer=(), authority=(), **options):
    texts = [[dns.rrset.from_text(*line.split(None, 4)) for line in part] for part in (answer, authority)]
    return read(response(asked, *texts, **options), asked)


def owners(section):
    return [(dns.name.from_wire(owner, 0)[0].to_text(), rrset.type) for owner, rrset in section]


@given(responses())
def test_all_that_is_taken_was_there_with_a_ttl_that_is_no_longer(pair):
    asked, message = pair
    reply = read(message, asked)
    there: dict[tuple[bytes, int, bytes], int] = {}
    parsed = dns.message.from_wire(message, one_rr_per_rrset=True)
    for rrset in (*parsed.answer, *parsed.authority):
        there[rrset.name.canonicalize().to_wire(), rrset.rdtype, rrset[0].to_wire()] = rrset.ttl
    for owner, kind, ttl, rdata in of_reply(reply):
        assert ttl <= max(
            rrset.ttl
            for rrset in (*parsed.answer, *parsed.authority)
            if (rrset.name.to_wire(), rrset.rdtype, rrset[0].to_wire()) == (owner, kind, rdata)
        )
        assert (owner, kind, rdata) in there
    event(f"rcode {reply.rcode}, {len(reply.answer)} and {len(reply.authority)} RRsets")


@given(responses())
def test_every_record_of_the_name_and_type_asked_is_taken(pair):
    asked, message = pair
    parsed = dns.message.from_wire(message, one_rr_per_rrset=True)
    wanted = {
        (rrset.name.to_wire(), rrset.rdtype, rrset[0].to_wire())
        for rrset in parsed.answer
        if rrset.name.to_wire() == asked.name and asked.type in (rrset.rdtype, const.ANY)
    }
    got = {(owner, kind, rdata) for owner, kind, _, rdata in records(read(message, asked).answer)}
    assert wanted <= got


@given(responses())
def test_all_is_kept_no_longer_than_its_shortest_ttl(pair):
    asked, message = pair
    reply = read(message, asked)
    assert reply.ttl <= min((ttl for _, _, ttl, _ in of_reply(reply)), default=0)


@given(responses(), st.data())
def test_broken_messages_are_told_as_such_and_raise_nothing_else(pair, data):
    asked, message = pair
    octets = bytearray(message)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(2, len(octets) - 1))
        octets[at] = data.draw(st.sampled_from([0, 1, 63, 64, 0xC0, 0xFF, octets[at] ^ 1]))
    octets = octets[: data.draw(st.sampled_from([len(octets), len(octets) - 1, len(octets) // 2]))]
    end = len(query(asked, 1, asked.name)) - 11
    try:
        read(message[:end] + bytes(octets[end:]), asked)
    except FormatError:
        event("broken")


def test_a_chain_of_aliases_is_taken_in_whatever_order_it_comes():
    chain = [
        "far.test. 60 IN A 192.0.2.1",
        "alias.test. 60 IN CNAME far.test.",
        "www.test. 60 IN CNAME alias.test.",
    ]
    assert len(taken(WWW, chain).answer) == 3


@pytest.mark.parametrize(
    ("line", "section"),
    [
        ("bank.test. 60 IN A 192.0.2.66", 0),
        ("www.test. 60 IN TXT stray", 0),
        ("bank.test. 60 IN NS ns.bank.test.", 1),
        ("bank.test. 60 IN SOA " + SOA.format(minimum=60), 1),
        ("www.test. 60 IN RRSIG A 8 2 60 20300101000000 20250101000000 1 test. AAAA", 0),
    ],
    ids=["another name", "another type", "a name server", "the SOA of another zone", "a proof without DO"],
)
def test_records_that_do_not_answer_the_question_are_left_out(line, section):
    parts = [["www.test. 60 IN A 192.0.2.1"], []]
    parts[section].append(line)
    reply = taken(WWW, *parts)
    assert of_reply(reply) == of_reply(taken(WWW, parts[0][:1]))


def test_who_asks_for_dnssec_gets_proofs():
    rrsig = "RRSIG {} 8 2 60 20300101000000 20250101000000 1 test. AAAA"
    lines = ["www.test. 60 IN A 192.0.2.1", "www.test. 60 IN " + rrsig.format("A")]
    denial = ["a.test. 60 IN NSEC z.test. A", "a.test. 60 IN " + rrsig.format("NSEC")]
    reply = taken(WWW._replace(dnssec_ok=True), lines, denial)
    assert [kind for _, kind in owners(reply.answer)] == [const.A, const.RRSIG]
    assert [kind for _, kind in owners(reply.authority)] == [const.NSEC, const.RRSIG]


def test_nothing_is_taken_about_names_of_ours():
    lines = [
        "www.test. 60 IN CNAME alias.test.",
        "alias.test. 50 IN CNAME app.k8s.local.",
        "app.k8s.local. 40 IN CNAME far.test.",
        "far.test. 40 IN A 192.0.2.66",
    ]
    sections = [[dns.rrset.from_text(*line.split(None, 4)) for line in part] for part in (lines, [ROOT])]
    message = response(WWW, *sections, rcode=dns.rcode.NXDOMAIN)
    reply = read(message, WWW, lambda name: name.endswith(b"\5local\0"))
    assert [name for name, _ in owners(reply.answer)] == ["www.test.", "alias.test."]
    assert (reply.authority, reply.rcode, reply.ttl) == ((), dns.rcode.NOERROR, 50)
    assert reply.onward == from_text("app.k8s.local.")


def test_a_dname_and_the_alias_made_of_it_are_taken():
    lines = [
        "test. 60 IN DNAME other.test.",
        "www.test. 60 IN CNAME www.other.test.",
        "www.other.test. 60 IN A 192.0.2.1",
    ]
    assert len(taken(WWW, lines).answer) == 3


@pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
@pytest.mark.parametrize(("ttl", "minimum", "kept"), [(300, 30, 30), (20, 30, 20), (300, 0, 0)])
def test_a_denial_is_kept_for_the_lesser_of_ttl_and_minimum_of_its_soa(rcode, ttl, minimum, kept):
    reply = taken(WWW, [], [f"test. {ttl} IN SOA {SOA.format(minimum=minimum)}"], rcode=rcode)
    assert (reply.ttl, [rrset.ttl for _, rrset in reply.authority]) == (kept, [kept])


def test_a_denial_without_soa_is_not_kept():
    assert taken(WWW, rcode=dns.rcode.NXDOMAIN).ttl == 0
    assert taken(WWW, ["www.test. 60 IN CNAME gone.test."]).ttl == 0


def test_an_rrset_has_the_least_ttl_of_its_records():
    lines = [f"www.test. {ttl} IN A 192.0.2.{ttl}" for ttl in (60, 30, 90)]
    ((_, rrset),) = taken(WWW, lines).answer
    assert (rrset.ttl, len(rrset.rdatas)) == (30, 3)


@pytest.mark.parametrize(("ttl", "kept"), [(2**31 - 1, 2**31 - 1), (2**31, 0), (2**32 - 1, 0)])
def test_a_ttl_with_its_highest_bit_set_is_none(ttl, kept):
    message = response(WWW, [dns.rrset.from_text("www.test.", 7, "IN", "A", "192.0.2.1")])
    changed = message.replace(b"\0\1\0\1\0\0\0\7", b"\0\1\0\1" + ttl.to_bytes(4, "big"))
    assert read(changed, WWW).ttl == kept


def test_only_what_points_to_other_servers_is_a_referral():
    servers = "test. 60 IN NS ns.test."
    assert taken(WWW, [], [servers]).is_referral
    assert not taken(WWW, ["www.test. 60 IN A 192.0.2.1"], [servers]).is_referral
    assert not taken(WWW, [], [servers, "test. 60 IN SOA " + SOA.format(minimum=1)]).is_referral
    assert not taken(WWW, [], [servers], rcode=dns.rcode.NXDOMAIN).is_referral


def test_names_that_point_into_the_question_do_not_take_over_its_case():
    asked = WWW._replace(type=const.MX)
    message = response(asked, [dns.rrset.from_text("www.test.", 7, "IN", "MX", "1 mail.test.")])
    ((_, rrset),) = read(message.replace(b"\3www\4test", b"\3wWw\4tEsT"), asked).answer
    assert rrset.rdatas == (b"\0\1" + from_text("mail.test."),)


def with_records(*octets: bytes) -> bytes:
    head = query(WWW, 1, WWW.name)[:-11]
    return (
        head[:2]
        + b"\x80"
        + head[3:6]
        + len(octets).to_bytes(2, "big")
        + bytes(4)
        + head[12:]
        + b"".join(octets)
    )


@pytest.mark.parametrize(
    "record",
    [
        b"\xc0\x0c\0\1\0\1\0\0\0\1\0\3\1\2\3",
        b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3",
        b"\xc0\x0c\0\1\0\1\0\0\0\1",
        b"\xc0\x1a\0\1\0\1\0\0\0\1\0\4\1\2\3\4",
        b"\xc0\xff\0\1\0\1\0\0\0\1\0\4\1\2\3\4",
        b"\x80\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4",
        b"\xc0\x0c\0\5\0\1\0\0\0\1\0\3\xc0\x0c\0",
        b"\xc0\x0c\0\5\0\1\0\0\0\1\0\1\xc0\x0c",
        b"\xc0\x0c\0\6\0\1\0\0\0\1\0\5\0\0\0\0\1",
        b"\xc0",
        (b"\x3f" + b"x" * 63) * 4 + b"\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4",
    ],
    ids=[
        "an address of three octets",
        "rdata cut short",
        "a record cut short",
        "a pointer to itself",
        "a pointer that leads on",
        "a label of an unknown kind",
        "octets past a name",
        "a name past its rdata",
        "a short SOA",
        "half a pointer",
        "a name of 257 octets",
    ],
)
def test_a_broken_record_breaks_the_message(record):
    with pytest.raises(FormatError):
        read(with_records(record), WWW)


@pytest.mark.parametrize("known", [0, 1], ids=["met first", "met before"])
@pytest.mark.parametrize(("octets", "fits"), [(62, True), (63, False)])
def test_a_name_with_a_pointer_has_255_octets_at_most(octets, fits, known):
    tail = b"".join(b"\x3f" + b"x" * 63 for _ in range(3)) + b"\0"
    record = b"\0\x10\0\1\0\0\0\1" + len(tail).to_bytes(2, "big") + tail
    head = bytes((octets - 1,)) + b"y" * (octets - 1)
    at = len(query(WWW, 1, WWW.name)) - 11 + 12
    pointer = (0xC000 | at).to_bytes(2, "big")
    before = [pointer + record] * known
    message = with_records(b"\xc0\x0c" + record, *before, head + pointer + record)
    if fits:
        assert read(message, WWW)
    else:
        with pytest.raises(FormatError):
            read(message, WWW)


def test_pointers_to_pointers_cost_no_more_than_the_octets_they_take():
    """A chain of 8000 pointers, each to the one before, and 3000 records whose names begin at its end."""
    name = b"".join(b"\1x" for _ in range(120)) + b"\0"
    first = name + b"\0\x10\0\1\0\0\0\1"
    start = len(query(WWW, 1, WWW.name)) - 11 + len(first) + 2
    chain = b"".join(
        (0xC000 | (start + 2 * (k - 1) if k else 28)).to_bytes(2, "big")
        for k in range(8000)
        if start + 2 * k < 0x3FFF
    )
    last = start + len(chain) - 2
    record = (0xC000 | last).to_bytes(2, "big") + b"\0\1\0\1\0\0\0\1\0\4\1\2\3\4"
    message = with_records(first + len(chain).to_bytes(2, "big") + chain, *[record] * 3000)
    began = time.process_time()
    read(message, WWW)
    assert time.process_time() - began < 0.3
