"""What is transferred: all that is served, as far as it makes a legal zone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.transfer.contents import MAX_RDATA, Contents
from dnsserver.wire import const
from dnsserver.wire.name import from_text, to_text
from tests.dnsserver import worlds
from tests.dnsserver.support import NO_ETCD, changes, table_of


def contents_of(zone, values):
    table = table_of([zone], etcd=NO_ETCD)
    table.mark_synced(1)
    table.apply(changes({key: json.dumps(value) for key, value in values.items()}), 2)
    apex = next(iter(table.zones))
    contents = Contents(table, table.zones[apex])
    return {
        to_text(name): {const.TYPE_NAMES[kind]: rrset.rdatas for kind, rrset in found.items()}
        for name in table.nodes
        if (found := contents(name))
    }


def kinds_at(owner, value, zone="example."):
    path = "/".join(reversed(owner.rstrip(".").split(".")))
    return set(contents_of({"name": zone}, {path: value}).get(owner, {}))


HOST = "web.test"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"host": "10.0.0.1"}, {"A"}),
        ({"host": "10.0.0.1", "port": 80}, {"A", "SRV"}),
        ({"host": "10.0.0.1", "mail": True}, {"A", "MX"}),
        ({"host": "10.0.0.1", "text": "note"}, {"A", "TXT"}),
        ({"host": HOST}, {"CNAME"}),
        ({"host": HOST, "port": 80, "mail": True, "text": "note"}, {"CNAME"}),
    ],
)
def test_views_are_transferred_where_they_say_something_and_never_beside_a_cname(value, expected):
    assert kinds_at("a.example.", value) == expected


def test_a_service_name_has_its_srv_and_no_cname():
    assert kinds_at("_http._tcp.example.", {"host": HOST, "port": 80}) == {"SRV"}
    assert kinds_at("_acme-challenge.example.", {"host": HOST}) == {"CNAME"}


def test_at_the_apex_there_is_no_cname():
    assert kinds_at("example.", {"host": HOST}) == {"NS"}


def test_a_reverse_zone_has_its_ptrs():
    zone = "2.0.192.in-addr.arpa."
    assert kinds_at("1.2.0.192.in-addr.arpa.", {"host": HOST}, zone) == {"PTR"}


def test_a_name_answered_from_those_below_it_is_transferred_with_them():
    found = contents_of({"name": "example."}, {"example/a/x1": {"host": "10.0.0.1"}})
    assert found["a.example."] == found["x1.a.example."] == {"A": (b"\x0a\0\0\1",)}


def test_below_a_cut_only_glue_is_transferred():
    records = [
        {"name": "sub", "type": "NS", "data": "ns.sub"},
        {"name": "sub", "type": "DS", "data": "1 8 2 " + "00" * 32},
        {"name": "sub", "type": "TXT", "data": "hidden"},
        {"name": "ns.sub", "type": "A", "data": "192.0.2.1"},
        {"name": "ns.sub", "type": "TXT", "data": "hidden"},
        {"name": "web.sub", "type": "A", "data": "192.0.2.2"},
        {"name": "*.wild", "type": "A", "data": "192.0.2.3"},
    ]
    found = contents_of({"name": "example.", "records": records}, {"example/sub/b": {"host": "10.0.0.1"}})
    assert {name: set(kinds) for name, kinds in found.items()} == {
        "example.": {"NS"},
        "sub.example.": {"NS", "DS"},
        "ns.sub.example.": {"A"},
        "*.wild.example.": {"A"},
    }


def test_what_fits_no_message_is_left_out():
    text = {"host": "10.0.0.1", "text": "x" * (MAX_RDATA - 250)}
    assert kinds_at("a.example.", text) == {"A", "TXT"}
    assert kinds_at("a.example.", {**text, "text": "x" * (MAX_RDATA + 1)}) == {"A"}


@given(worlds.zones(), st.dictionaries(worlds.paths, worlds.values, max_size=6))
def test_every_transferred_zone_is_legal(zones, values):
    table = table_of(zones, etcd=NO_ETCD)
    table.mark_synced(1)
    table.apply(changes({key: json.dumps(value) for key, value in values.items()}), 2)
    zone = table.zones[from_text("example.")]
    contents = Contents(table, zone)
    for name in table.nodes:
        found = contents(name)
        assert const.CNAME not in found or (len(found) == 1 and len(found[const.CNAME].rdatas) == 1)
        assert not found or table.zone_of(name) is zone
        assert const.SOA not in found
    assert const.NS in contents(zone.apex)
