"""`respond` as laws: total, honest about what was asked, within its limit, and fast as it is slow."""

import json

import dns.message
import dns.name
import pytest
from dns.edns import GenericOption, OptionType
from hypothesis import event, given, settings
from hypothesis import strategies as st

from dnsserver.answer.identity import Identity
from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Tally
from dnsserver.wire.name import Name
from tests.dnsserver.support import changes, filled, parsed, raising, responder, table_of
from tests.dnsserver.worlds import paths, queries, tables, values, zones

ZONES = [
    {
        "name": "example.",
        "records": [
            {"name": "www", "type": "A", "data": "192.0.2.1"},
            {"name": "*.wild", "type": "CNAME", "data": "www"},
            {"name": "cut", "type": "NS", "data": "ns.cut"},
            {"name": "ns.cut", "type": "A", "data": "192.0.2.2"},
        ],
    }
]
TABLE = table_of(ZONES)
TRANSPORTS = st.sampled_from(["udp", "tcp"])
HEADERS = st.sampled_from([bytes.fromhex(text) for text in ("00000001000000000000", "01000001000000000001")])
QUERY = dns.message.make_query("x.wild.example.", "A", use_edns=0, payload=1232).to_wire()


def check(query: bytes, reply: bytes | None, transport: str = "udp") -> None:
    """Check what holds for any octets and any table."""
    if len(query) < 12 or query[2] & 0x80:
        assert reply is None
        return
    assert reply is not None
    response = parsed(reply)
    assert reply[:2] == query[:2]
    assert reply[2] & 0x80
    assert reply[2] & 0x78 == query[2] & 0x78
    if response.question:
        end = len(reply) - len(reply[12:].partition(b"\0")[2]) + 4
        assert reply[12:end].lower() == query[12:end].lower()
    assert len(reply) <= (65_535 if transport == "tcp" else 1232)


@given(st.binary(max_size=600), TRANSPORTS)
def test_any_octets_get_a_response_or_none(octets, transport):
    check(octets, responder(TABLE, transport).respond(octets), transport)


@given(HEADERS, st.binary(max_size=600))
def test_any_octets_behind_a_good_header_get_a_response(header, octets):
    query = b"id" + header + octets
    check(query, responder(TABLE).respond(query))


@given(queries(), st.data())
def test_a_damaged_query_gets_a_response_or_none(query, data):
    damaged = bytearray(query)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    octets = bytes(damaged[: data.draw(st.integers(0, len(damaged)))]) + data.draw(st.binary(max_size=30))
    served = responder(TABLE)
    served.respond(query)
    reply = served.respond(octets)
    check(octets, reply)
    assert same(reply, served.slow(octets))


@given(st.binary(max_size=100))
def test_a_response_is_never_answered(octets):
    query = b"id" + bytes([octets[0] | 0x80 if octets else 0x80]) + octets[1:]
    assert responder(TABLE).respond(query) is None
    assert responder(TABLE).slow(query) is None


@given(queries(), st.integers(0, 600))
def test_a_response_without_edns_is_at_most_512_octets_over_udp(query, size):
    lines = [{"name": "big", "type": "TXT", "data": f'"{"t" * (size // 3)}{number}"'} for number in range(3)]
    big = dns.message.make_query("big.example.", "TXT", flags=0)
    served = responder(table_of([{"name": "example.", "records": lines}]))
    for _ in ("cold", "warm"):
        reply = served.respond(big.to_wire())
        response = parsed(reply)
        assert len(reply) <= 512
        assert bool(response.flags & dns.flags.TC) == (not response.answer)


def same(fast: bytes | None, slow: bytes | None) -> bool:
    """Compare two responses less the order of records of the same RRset."""
    if fast is None or slow is None:
        return fast is slow
    return len(fast) == len(slow) and contents(fast) == contents(slow)


def contents(reply: bytes):
    response = parsed(reply)
    sections = [sorted(rrset.to_text() for rrset in section) for section in response.sections]
    return reply[:12], sections, response.opt and response.opt.to_text()


steps = st.lists(
    st.one_of(
        queries(),
        queries(),
        queries(),
        st.dictionaries(paths, st.one_of(values.map(json.dumps), st.none()), min_size=1, max_size=3),
    ),
    min_size=4,
    max_size=20,
)


@settings(max_examples=2 * settings.default.max_examples)
@given(tables, steps, TRANSPORTS)
def test_the_fast_path_equals_the_slow_path(table, steps, transport):
    served = responder(table, transport)
    for revision, step in enumerate(steps, 2):
        if isinstance(step, dict):
            table.apply(changes(step), revision)
            continue
        for _ in ("cold", "warm"):
            fast, slow = served.respond(step), served.slow(step)
            check(step, fast, transport)
            assert same(fast, slow), (parsed(fast).to_text(), parsed(slow).to_text())
            event(f"rcode {fast[3] & 15}")


absent_names = st.sampled_from(
    ["long", "late", "long.late", "late.late", "*.late", "any.late", "x.late", "LONG", "outside.any"]
)
absent_types = ["A", "HTTPS", "TYPE97", "TXT", "MX", "SRV", "PTR", "TYPE300", "TYPE321", "TYPE353"]
absent_queries = st.tuples(absent_names, st.sampled_from(absent_types)).map(
    lambda pair: dns.message.make_query(f"{pair[0]}.example.", pair[1], id=1).to_wire()
)
absent_changes = st.dictionaries(
    st.sampled_from(["example/*", "example/late", "example/late/*", "example/long", "example/late/late/x"]),
    st.sampled_from(
        [
            '{"host":"192.0.2.1"}',
            '{"host":"192.0.2.2"}',
            '{"text":"t"}',
            '{"host":"192.0.2.3","mail":true}',
            None,
        ]
    ),
    min_size=1,
    max_size=2,
)


@given(
    st.sampled_from(["skydns", "exact"]), st.lists(st.one_of(absent_queries, absent_queries, absent_changes))
)
def test_what_is_kept_of_absent_names_survives_no_change(way, steps):
    table = table_of([{"name": "example.", "lookup": way}])
    served = responder(table)
    for revision, step in enumerate(steps, 2):
        if isinstance(step, dict):
            table.apply(changes(step), revision)
            continue
        for _ in ("cold", "warm", "kept"):
            assert same(served.respond(step), served.slow(step))


@pytest.mark.parametrize("name", ["www", "none", "other.wild"])
@pytest.mark.parametrize("kind", ["AAAA", "MX", "PTR", "TYPE300", "TYPE321"])
def test_that_a_name_or_a_type_is_not_there_is_found_the_second_time(name, kind):
    values = {
        "example/www/x": '{"host":"192.0.2.1","targetstrip":1}',
        "example/wild/*": '{"host":"192.0.2.1"}',
    }
    served = responder(filled([{"name": "example."}], values))
    query = dns.message.make_query(f"{name}.example.", kind).to_wire()
    served.respond(query)
    head, rest = served.find(query[2:12], query[12:])
    assert query[:2] + head + rest == served.slow(query)


@pytest.mark.parametrize("edns", [False, True, 0])
@pytest.mark.parametrize("kind", ["A", "MX", "TYPE300"])
def test_that_a_name_is_outside_all_zones_is_found_the_second_time(kind, edns):
    query = dns.message.make_query("www.other.", kind, use_edns=edns, want_dnssec=edns is True).to_wire()
    served = responder(filled([{"name": "example."}], {}))
    served.respond(query)
    head, rest = served.find(query[2:12], query[12:])
    assert query[:2] + head + rest == served.slow(query)
    assert head[1] & 15 == dns.rcode.REFUSED


@given(st.integers(0, 64), st.binary(max_size=12))
def test_a_name_that_is_cut_is_malformed_where_names_are_known_to_be_outside(step, octets):
    served = responder(filled([{"name": "example."}], {}))
    for kind in ("A", "AAAA", "MX", "NS", "TXT", "SRV", "PTR", "SOA", "HTTPS", "TYPE300"):
        served.respond(dns.message.make_query("www.other.", kind).to_wire())
    query = bytes.fromhex("123400000001000000000000") + bytes((step,)) + octets
    assert served.respond(query) == served.slow(query)


def test_who_forwards_or_serves_the_root_finds_nothing_outside_all_zones():
    query = dns.message.make_query("www.other.", "A").to_wire()
    for zone, forwards in ((".", False), ("example.", True)):
        served = responder(filled([{"name": zone}], {}), forwards=forwards)
        for _ in ("cold", "warm"):
            assert served.respond(query) == (None if forwards else served.slow(query))


def test_that_one_name_lacks_a_view_says_nothing_of_another():
    host, mail = '{"host":"192.0.2.1"}', '{"host":"192.0.2.1","mail":true}'
    served = responder(filled([{"name": "example."}], {"example/host": host, "example/mail": mail}))
    for kind in ("A", "MX"):
        for name in ("host", "mail"):
            query = dns.message.make_query(f"{name}.example.", kind, id=1).to_wire()
            assert same(served.respond(query), served.slow(query))


def asking(*options: tuple[int, bytes]) -> bytes:
    found = [GenericOption(kind, data) for kind, data in options]
    return dns.message.make_query("www.example.", "A", id=1, use_edns=0, options=found).to_wire()


COOKIE = (OptionType.COOKIE, b"8 octets")


@pytest.mark.parametrize(
    ("known", "then", "rcode"),
    [
        (asking(COOKIE, (65001, b"")), asking(COOKIE, (OptionType.NSID, b"")), 0),
        (asking(COOKIE), asking((OptionType.COOKIE, b"others 8")), 0),
        (asking(COOKIE), asking(COOKIE)[:-1], 1),
        (asking(COOKIE), asking(COOKIE) + b"more", 0),
        (asking((65001, b"")), asking((OptionType.NSID, b"")), 0),
        (asking(), asking()[:-1], 1),
    ],
    ids=["second option", "data", "too short", "octets behind it", "code", "no rdata length"],
)
def test_an_opt_record_that_begins_as_a_known_one_is_read_as_it_is(known, then, rcode):
    served = Responder(table_of(ZONES), Tally(), "udp", raising, identity=Identity(b"me"))
    for query in (known, known, then, then):
        reply = served.respond(query)
        assert reply == served.slow(query)
    assert reply[3] & 15 == rcode


def test_types_65_and_97_are_not_each_other():
    records = [
        {"name": name, "type": kind, "data": data}
        for name in ("www", "*.wild")
        for kind, data in (("A", "192.0.2.1"), ("HTTPS", "1 ."))
    ]
    served = responder(table_of([{"name": "example.", "records": records}]))
    for name in ("www", "name.wild"):
        for kind, answers in (("AAAA", 0), ("HTTPS", 1), ("TYPE97", 0), ("HTTPS", 1), ("AAAA", 0)):
            query = dns.message.make_query(f"{name}.example.", kind).to_wire()
            for _ in ("cold", "warm", "kept"):
                assert len(parsed(served.respond(query)).answer) == answers


def test_names_below_a_wildcard_follow_its_changes():
    table = table_of([{"name": "example.", "lookup": "exact"}])
    served = responder(table)
    query = dns.message.make_query("name.example.", "A").to_wire()
    for revision, address in enumerate(["192.0.2.1", "192.0.2.2", None, "192.0.2.3"], 2):
        value = f'{{"host":"{address}"}}' if address else None
        table.apply(changes({"example/*": value}), revision)
        for _ in ("cold", "warm", "kept"):
            answer = parsed(served.respond(query)).answer
            assert [rrset[0].address for rrset in answer] == ([address] if address else [])


@pytest.mark.parametrize("asked", ["*.late", "any.late"])
def test_a_search_is_one_where_other_names_are_known_to_be_absent(asked):
    table = filled([{"name": "example."}], {"example/late/host/x": '{"host":"192.0.2.1"}'})
    served = responder(table)
    beside = "x" * asked.index(".")
    for name in (f"{beside}.late", "long.late", asked):
        for _ in ("cold", "warm", "kept"):
            reply = served.respond(dns.message.make_query(f"{name}.example.", "A").to_wire())
    assert parsed(reply).answer


@pytest.mark.parametrize("labels", [1, 3])
def test_a_malformed_name_is_malformed_below_a_wildcard_too(labels):
    record = {"name": ".".join(["*", *labels * ["b" * 62]]), "type": "A", "data": "192.0.2.1"}
    served = responder(table_of([{"name": "example.", "records": [record]}]))
    head = b"id\1\0\0\1\0\0\0\0\0\0"
    rest = labels * (b"\x3e" + 62 * b"b") + b"\7example\0\0\1\0\1"
    for _ in ("cold", "warm", "kept"):
        assert parsed(served.respond(head + b"\4name" + rest)).answer
    longest = min(63, 255 - len(rest) + 4 - 1)
    assert parsed(served.respond(head + bytes((longest,)) + longest * b"a" + rest)).answer
    for first in (longest + 1, 64, 192):
        query = head + bytes((first,)) + first * b"a" + rest
        assert served.respond(query) == served.slow(query)
        assert served.respond(query)[3] & 15 == 1


@given(tables, st.lists(queries(), min_size=1, max_size=5))
def test_what_is_compiled_survives_no_change_of_the_zone(table, asked):
    """After a change all responses are those of a table that has compiled nothing."""
    served = responder(table)
    for query in asked:
        served.respond(query)
    table.apply(changes({"example/long/b": '{"host":"192.0.2.77"}', "example/*": '{"host":"192.0.2.78"}'}), 5)
    for query in asked:
        assert same(served.respond(query), served.slow(query))


@given(zones(), queries(), queries())
def test_an_answer_does_not_depend_on_what_was_asked_before(found, before, query):
    one, two = responder(table_of(found)), responder(table_of(found))
    one.respond(before)
    assert same(one.respond(query), two.respond(query))


@pytest.mark.parametrize("way", ["skydns", "exact"])
def test_the_serial_of_a_change_is_served_at_once(way):
    table = table_of([{"name": "example.", "lookup": way}])
    served = responder(table)
    query = dns.message.make_query("example.", "SOA").to_wire()
    denied = dns.message.make_query("missing.example.", "A").to_wire()
    for revision in (1, 7, 9):
        if revision > 1:
            table.apply(
                changes({"example/a/x": f'{{"host":"192.0.2.{revision}","targetstrip":1}}'}), revision
            )
        for _ in ("cold", "warm"):
            assert parsed(served.respond(query)).answer[0][0].serial == revision
            assert parsed(served.respond(denied)).authority[0][0].serial == revision


@pytest.mark.parametrize("ident", [0, 1, 255, 256, 32768, 65535])
def test_the_id_comes_back(ident):
    query = ident.to_bytes(2, "big") + QUERY[2:]
    assert responder(TABLE).respond(query)[:2] == query[:2]


def test_addresses_rotate_and_are_complete():
    records = [{"name": "www", "type": "A", "data": f"192.0.2.{number}"} for number in range(1, 4)]
    served = responder(table_of([{"name": "example.", "records": records}]))
    query = dns.message.make_query("www.example.", "A").to_wire()
    orders = [
        [rrset.to_text().split()[-1] for rrset in parsed(served.respond(query)).answer] for _ in range(9)
    ]
    assert len({tuple(order) for order in orders}) == 3
    assert {tuple(sorted(order)) for order in orders} == {("192.0.2.1", "192.0.2.2", "192.0.2.3")}


def test_a_pointer_stays_below_16384_in_a_long_response():
    lines = [
        {"name": "@", "type": "MX", "data": f"{number} host-{number}.some.where"} for number in range(1500)
    ]
    query = dns.message.make_query("example.", "MX").to_wire()
    reply = responder(table_of([{"name": "example.", "records": lines}]), "tcp").respond(query)
    assert len(reply) > 30_000
    targets = {rrset.to_text().split()[-1] for rrset in parsed(reply).answer}
    assert targets == {f"host-{number}.some.where.example." for number in range(1500)}


@pytest.mark.parametrize("count", [4096, 65_536])
def test_an_rrset_past_65535_octets_is_cut(count):
    value = '{{"host":"10.{}.{}.{}","targetstrip":1}}'
    values = {f"example/many/x{n}": value.format(n >> 16, n >> 8 & 255, n & 255) for n in range(count)}
    table = filled([{"name": "example."}], values)
    query = dns.message.make_query("many.example.", "A", use_edns=0).to_wire()
    for transport in ("udp", "tcp"):
        served = responder(table, transport)
        for way in (served.respond, served.respond):
            response = parsed(way(query))
            assert response.flags & dns.flags.TC
            assert not response.answer
            assert response.edns == 0


def test_an_rrset_of_just_under_65535_octets_goes_over_tcp():
    records = [{"name": "many", "type": "A", "data": f"10.0.{n >> 8}.{n & 255}"} for n in range(4090)]
    query = dns.message.make_query("many.example.", "A").to_wire()
    reply = responder(table_of([{"name": "example.", "records": records}]), "tcp").respond(query)
    assert len(parsed(reply).answer) == 4090


def test_a_fault_of_ours_is_told_once_and_answered_with_servfail():
    seen = []
    served = responder(table_of(ZONES))
    served._on_fault = seen.append
    served._answer = lambda *_: 1 / 0
    reply = served.respond(QUERY)
    assert reply[3] & 15 == 2
    assert len(seen) == 1


def test_a_denial_points_to_the_apex_alone_on_both_ways():
    served = responder(table_of([{"name": "k8s.local."}]))
    beside = dns.message.make_query("x1.dns.k8s.local.", "A", id=1).to_wire()
    for query in (dns.message.make_query("x1.abc.k8s.local.", "A", id=1).to_wire(), beside):
        served.respond(query)
    assert served.respond(beside) == served.slow(beside)


def goes_on(table, reply) -> bool:
    """Say whether a response is of no use to who wants to know it all: refused, or an alias to elsewhere."""
    message = parsed(reply)
    if message.rcode() == dns.rcode.REFUSED or not message.answer:
        return message.rcode() == dns.rcode.REFUSED
    last = message.answer[-1]
    if last.rdtype != dns.rdatatype.CNAME or message.question[0].rdtype in (last.rdtype, dns.rdatatype.ANY):
        return False
    owner, target = (name.canonicalize().to_wire() for name in (last.name, last[0].target))
    return table.zone_of(Name(owner)) is not table.zone_of(Name(target))


@given(queries(), zones(), TRANSPORTS)
def test_with_a_forwarder_what_goes_on_elsewhere_has_no_response_and_the_rest_the_same(
    query, found, transport
):
    table = table_of(found)
    alone = responder(table_of(found), transport)
    forwarding = responder(table, transport, forwards=True)
    is_deferred = bool(query[2] & 1) and goes_on(table, alone.slow(query))
    event(f"deferred: {is_deferred}")
    for _ in range(2):
        reply, expected = forwarding.respond(query), alone.respond(query)
        assert (reply is None) == is_deferred
        assert reply is None or sorted(reply) == sorted(expected)
        assert sorted(forwarding.slow(query)) == sorted(expected)


@pytest.mark.parametrize(
    ("change", "rcode"),
    [({"rdclass": "CH"}, 5), ({"rdtype": "AXFR"}, 5), ({"use_edns": 1}, 0)],
    ids=["class CH", "AXFR", "EDNS version 1"],
)
def test_with_a_forwarder_what_no_forwarder_may_have_is_still_answered_here(change, rcode):
    query = dns.message.make_query(**{"qname": "outside.test.", "rdtype": "A"} | change).to_wire()
    served = responder(TABLE, forwards=True)
    assert served.respond(query)[3] & 15 == rcode
