import pytest

from dnsserver.source.static import StaticRecord
from dnsserver.source.zonefile import ZoneFileFault, parse
from dnsserver.wire import const, name
from dnsserver.zone.zone import soa_of

APEX = name.from_text("k8s.local.")
GOOD = """\
$ORIGIN k8s.local.
$TTL 1h
@ IN SOA ns.DNS hostmaster ( 7 7200 1800
                             86400 30 )
@ NS ns.dns
$ORIGIN dns.k8s.local.
ns 5m A 127.0.0.1
$ORIGIN k8s.local.
a\\.b TXT "x" "y"
t TYPE65280 \\# 2 abcd
"""


def test_records_have_names_ttls_and_data_of_their_lines():
    found = parse(GOOD, APEX, 300)
    assert found.records == [
        StaticRecord(APEX, const.NS, 3600, name.from_text("ns.dns", APEX)),
        StaticRecord(name.from_text("ns.dns", APEX), const.A, 300, b"\x7f\0\0\1"),
        StaticRecord(name.from_labels([b"a.b", b"k8s", b"local"]), const.TXT, 3600, b"\1x\1y"),
        StaticRecord(name.from_text("t", APEX), 65280, 3600, b"\xab\xcd"),
    ]
    assert found.lines == [5, 7, 9, 10]


def test_the_soa_is_apart_in_lower_case_with_its_serial():
    found = parse(GOOD, APEX, 300)
    assert found.soa
    soa, serial = soa_of(found.soa)
    assert (soa.mname, serial, soa.minimum) == (name.from_text("ns.dns", APEX), 7, 30)
    assert found.soa_ttl == 3600


def test_a_file_without_ttl_takes_the_zones():
    assert parse("www A 192.0.2.1\n", APEX, 77).records[0].ttl == 77


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("www A 1.2.3", "'www A 1.2.3'"),
        ("x.example.com. A 192.0.2.1", "outside the zone"),
        ("$INCLUDE /etc/passwd", "not allowed"),
        ("$GENERATE 1-99999999 h$ A 192.0.2.1", "not allowed"),
        ('x TXT "', "quoted string"),
        ("x TXT (", "parentheses"),
        ("a" * 64 + " A 192.0.2.1", "63 octets"),
        ("www SOA ns h 1 2 3 4 5", "one SOA, at the apex"),
        ("x DNAME y", "DNAME is not supported"),
    ],
)
def test_a_line_that_is_no_record_of_the_zone_is_named_with_its_number(line, reason):
    with pytest.raises(ZoneFileFault, match=reason) as raised:
        parse(f"@ NS ns\n{line}\n", APEX, 300)
    assert raised.value.line == 2
