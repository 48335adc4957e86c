import contextlib

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.wire import const, name, rdata
from dnsserver.wire.rdata import RdataFault

ORIGIN = name.from_text("example.")

TEXTS = {
    "A": ["192.0.2.1", "0.0.0.0", "255.255.255.255"],
    "AAAA": ["2001:db8::1", "::", "::1"],
    "NS": ["ns.example.net.", "ns", "@"],
    "CNAME": ["www.example.net.", r"a\.b.c."],
    "DNAME": ["example.net."],
    "PTR": ["host.example.net."],
    "SOA": ["ns hostmaster 1 7200 1800 86400 30", r"ns a\.b.c. 4294967295 0 0 0 4294967295"],
    "MX": ["10 mail", "0 .", "65535 mail.example.net."],
    "SRV": ["0 5 443 web", "65535 65535 65535 ."],
    "TXT": ['"hello"', "plain", '"two" "strings"', r'"quote \" and \\ and \255"', '""', f'"{"a" * 255}"'],
    "CAA": ['0 issue "ca.example.net"', '128 iodef "mailto:a@example.com"'],
    "TLSA": ["3 1 1 " + "ab" * 32],
    "SSHFP": ["4 2 " + "ab" * 32],
    "DS": ["12345 13 2 " + "ab" * 32],
    "DNSKEY": [
        "257 3 13 "
        + "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
    ],
    "NAPTR": [
        '100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .',
        '100 10 "s" "SIP+D2U" "" _sip._udp',
        r'1 1 "" "" "" a\.b',
    ],
    "RP": ["admin text", r"a\.b.c. \000\255."],
    "LOC": ["52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"],
    "HTTPS": [
        "1 . alpn=h2,h3",
        r"1 a\.b alpn=h2",
        "16 web",
        "0 web.example.net.",
        "1 . port=8443 ipv4hint=192.0.2.1",
    ],
    "SVCB": ["1 web.example.net. alpn=h2"],
    "HINFO": ['"cpu" "os"'],
    "NSEC": ["next.example. A TXT"],
    "SPF": ['"v=spf1 -all"'],
    "TYPE65280": [r"\# 3 abcdef", r"\# 0", r"\# 4 ab cd ef 01"],
    "TYPE1": [r"\# 4 c0000201"],
}
"""Of each type what is written in a zone file; dnspython must read the same octets from it."""


def number_of(kind: str) -> int:
    return int(kind[4:]) if kind.startswith("TYPE") else const.TYPES[kind]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in TEXTS.items() for text in texts])
def test_rdata_is_what_dnspython_makes_of_the_text(kind, text):
    expected = dns.rdata.from_text(
        dns.rdataclass.IN,
        dns.rdatatype.from_text(kind),
        text,
        origin=dns.name.from_text("example."),
        relativize=False,
    )
    assert rdata.from_text(number_of(kind), text, ORIGIN) == expected.to_wire()


def test_every_type_that_dnslib_builds_is_tried():
    assert {kind for kind in const.TYPES if kind in dnslib.RDMAP} - {"RRSIG"} <= TEXTS.keys()


@given(st.lists(st.binary(max_size=600), min_size=1, max_size=4))
def test_strings_hold_all_octets_in_parts_of_at_most_255(values):
    octets = rdata.strings(values)
    parts, at = [], 0
    while at < len(octets):
        parts.append(octets[at + 1 : at + 1 + octets[at]])
        at += 1 + octets[at]
    assert at == len(octets)
    assert b"".join(parts) == b"".join(values)
    assert parts.count(b"") == values.count(b"")


@given(st.sampled_from(sorted(const.TYPES.values())), st.text(max_size=80))
def test_any_text_is_rdata_or_a_fault(kind, text):
    with contextlib.suppress(RdataFault):
        assert len(rdata.from_text(kind, text, ORIGIN)) <= 65_535


@given(st.integers(1, 65_535), st.binary(max_size=300))
def test_generic_rdata_keeps_its_octets(kind, octets):
    assert rdata.from_text(kind, rf"\# {len(octets)} {octets.hex()}", ORIGIN) == octets


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("A", ""),
        ("A", "192.0.2"),
        ("A", "192.0.2.01"),
        ("A", "192.0.2.256"),
        ("A", "192.0.2.1 192.0.2.2"),
        ("A", "2001:db8::1"),
        ("AAAA", "192.0.2.1"),
        ("AAAA", "fe80::1%eth0"),
        ("AAAA", "[::1]"),
        ("CNAME", ""),
        ("CNAME", "a b"),
        ("CNAME", "a..b"),
        ("CNAME", "a" * 64),
        ("CNAME", ".".join(["a" * 63] * 4)),
        ("MX", "mail"),
        ("MX", "65536 mail"),
        ("MX", "-1 mail"),
        ("MX", "10 mail extra"),
        ("SRV", "0 5 65536 web"),
        ("SRV", "0 5 web"),
        ("SOA", "ns me 4294967296 1 1 1 1"),
        ("SOA", "ns me 1 1 1 1"),
        ("SOA", "ns me " + "9" * 5000 + " 1 1 1 1"),
        ("TXT", ""),
        ("TXT", '"open'),
        ("TXT", r'"\256"'),
        ("TXT", '"' + "a" * 65_400 + '"'),
        ("HINFO", "cpu"),
        ("HINFO", "cpu " + "a" * 256),
        ("RP", "admin"),
        ("NAPTR", '65536 1 "" "" "" .'),
        ("HTTPS", "1"),
        ("HTTPS", "x . alpn=h2"),
        ("HTTPS", "1 . alpn=h2 alpn=h3"),
        ("HTTPS", "1 . mandatory=port alpn=h2"),
        ("HTTPS", "1 . mandatory=mandatory alpn=h2"),
        ("DS", "12345 13 2 xyz"),
        ("TLSA", "3 1 1 abc"),
        ("TYPE65280", "whatever"),
        ("TYPE65280", r"\# 3 abcd"),
        ("TYPE65280", r"\# abcd"),
        ("TYPE65280", r"\#"),
        ("TYPE65280", r"\# 1 zz"),
    ],
)
def test_text_that_does_not_fit_its_type_is_a_fault(kind, text):
    with pytest.raises(RdataFault):
        rdata.from_text(number_of(kind), text, ORIGIN)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("10.0.0.1", "A"),
        ("::ffff:10.0.0.1", "A"),
        ("::ffff:a00:1", "A"),
        ("2001:DB8::1", "AAAA"),
        ("::1", "AAAA"),
        ("::10.0.0.1", "AAAA"),
        ("10.0.0.01", None),
        ("10.1", None),
        ("010.0.0.1", None),
        ("0x0a.0.0.1", None),
        ("10.0.0.1 ", None),
        ("10.0.0.1/24", None),
        ("[::1]", None),
        ("fe80::1%eth0", None),
        ("::ffff:10.0.0.1%1", None),
        ("::g", None),
        ("١٠.0.0.1", None),
        ("", None),
        ("www.example.com", None),
    ],
)
def test_a_host_is_an_address_only_in_full_and_plain_form(host, kind):
    found = rdata.address(host)
    assert (const.TYPE_NAMES[found[0]] if found else None) == kind


def test_a_name_with_octets_that_dnslib_would_not_take_is_kept():
    assert rdata.from_text(const.CNAME, r"\000\255\.x.", ORIGIN) == b"\4\0\xff.x\0"


def test_text_past_65535_octets_is_a_fault():
    assert len(rdata.strings([b"a" * 65_278])) == 65_534
    with pytest.raises(RdataFault):
        rdata.strings([b"a" * 65_281])


def test_service_parameters_are_put_in_the_order_of_their_numbers():
    kind = const.TYPES["HTTPS"]
    ordered = rdata.from_text(kind, "1 . mandatory=alpn alpn=h2 port=8443", ORIGIN)
    assert rdata.from_text(kind, "1 . port=8443 alpn=h2 mandatory=alpn", ORIGIN) == ordered
