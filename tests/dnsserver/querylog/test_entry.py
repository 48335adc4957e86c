import json
import re

import dns.message
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.querylog.entry import Entry, class_of, coredns, in_json
from tests.dnsserver.answer.test_respond import TABLE
from tests.dnsserver.support import parsed, responder
from tests.dnsserver.worlds import queries, tables

LINE = re.compile(
    r'\[INFO\] (\S+):(\d+) - (\d+) "(\S+) (\S+) (\S+) (udp|tcp) (\d+) (true|false) (\d+)" '
    r"([A-Z0-9]+) ([a-z,]*) (\d+) (\d+\.\d{9})s"
)


def entry(
    query: bytes, response: bytes, *, transport: str = "udp", address: bytes = bytes((192, 0, 2, 1))
) -> Entry:
    return Entry(1764000000.25, 0.000123, transport, address, 4096, query, response)


def query(name: str = "www.example.", kind: str = "A", **options) -> bytes:
    return dns.message.make_query(name, kind, id=7, **options).to_wire()


def answered(octets: bytes, **more) -> Entry:
    return entry(octets, responder(TABLE).respond(octets), **more)


def test_a_line_is_coredns_s():
    line = coredns(answered(query("WWW.example.", use_edns=0, want_dnssec=True, payload=4096)))
    assert line == (
        '[INFO] 192.0.2.1:4096 - 7 "A IN www.example. udp 40 true 4096" NOERROR qr,aa,rd 56 0.000123000s'
    )
    line = coredns(answered(query("nope.example.", "TYPE65280"), transport="tcp", address=bytes(15) + b"\1"))
    asked = "TYPE65280 IN nope.example. tcp 30 false 65535"
    assert line == f'[INFO] [::1]:4096 - 7 "{asked}" NXDOMAIN qr,aa,rd 84 0.000123000s'


def test_json_has_the_same_words():
    octets = query("WWW.example.", use_edns=0, want_dnssec=True, payload=4096)
    assert json.loads(in_json(answered(octets))) == {
        "time": "2025-11-24T16:00:00.250Z",
        "client": "192.0.2.1",
        "port": 4096,
        "id": 7,
        "type": "A",
        "class": "IN",
        "name": "www.example.",
        "transport": "udp",
        "size": 40,
        "do": True,
        "bufsize": 4096,
        "rcode": "NOERROR",
        "flags": ["qr", "aa", "rd"],
        "rsize": 56,
        "duration": 0.000123,
    }


def test_a_query_without_a_question_that_can_be_read_has_dashes():
    octets = b"\0\7\1\0\0\1\0\0\0\0\0\0\xc0"
    line = coredns(answered(octets))
    assert line == '[INFO] 192.0.2.1:4096 - 7 "- - - udp 13 false 512" FORMERR qr,rd 12 0.000123000s'


labels = st.lists(st.binary(min_size=1, max_size=63), max_size=3).filter(lambda it: sum(map(len, it)) < 240)


@given(labels, st.integers(0, 65535), st.integers(0, 65535))
def test_no_octet_of_a_name_breaks_a_line_a_field_or_a_string(parts, kind, cls):
    name = dns.name.Name([*parts, b""])
    octets = b"\0\7\1\0\0\1\0\0\0\0\0\0" + name.to_wire() + kind.to_bytes(2, "big") + cls.to_bytes(2, "big")
    told = entry(octets, responder(TABLE).slow(octets))
    line, text = coredns(told), in_json(told)
    assert line.isascii()
    assert line.isprintable()
    assert text.isascii()
    assert text.isprintable()
    words = LINE.fullmatch(line)
    assert words
    shown = dns.name.from_text(words[6])
    assert shown == name
    assert json.loads(text)["name"] == words[6]


@given(st.binary(max_size=120), st.binary(min_size=12, max_size=120))
def test_any_octets_make_a_line(octets, response):
    told = entry((b"id" + octets).ljust(12, b"\0"), response)
    assert class_of(response) in ("success", "denial", "error")
    assert LINE.fullmatch(coredns(told))
    json.loads(in_json(told))


@given(queries(), tables)
def test_classes_are_told_from_octets_as_from_a_parsed_response(octets, table):
    reply = responder(table).respond(octets)
    response = parsed(reply)
    has_soa = any(rrset.rdtype == 6 for rrset in response.authority)
    if response.rcode() == dns.rcode.NXDOMAIN or (not response.rcode() and not response.answer and has_soa):
        expected = "denial"
    else:
        expected = "error" if response.rcode() else "success"
    assert class_of(reply) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (query(), "success"),
        (query("x.cut.example."), "success"),
        (query("nope.example."), "denial"),
        (query(kind="MX"), "denial"),
        (query("x.test."), "error"),
        (query(use_edns=1), "error"),
        (query()[:-1], "error"),
    ],
    ids=["data", "referral", "NXDOMAIN", "NODATA", "REFUSED", "BADVERS", "FORMERR"],
)
def test_classes_are_coredns_s(octets, expected):
    assert class_of(responder(TABLE).respond(octets)) == expected


def test_a_denial_by_an_upstream_is_one_without_the_aa_flag_and_without_pointers():
    soa = b"\7example\0" + b"\0\6\0\1" + bytes(6)
    response = b"\0\7\x81\x80\0\1\0\0\0\1\0\0" + query("nope.example.")[12:] + soa
    assert class_of(response) == "denial"
    assert class_of(response.replace(b"\0\6\0\1", b"\0\2\0\1")) == "success"
