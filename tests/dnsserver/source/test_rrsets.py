"""Hosts and owners that no name can be made of: each costs its own key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.key import Key
from dnsserver.skydns.record import Record, RecordError
from dnsserver.source.owner import owner_of
from dnsserver.source.rrsets import checked, clashes
from dnsserver.wire import name
from dnsserver.zone.zone import Stored
from tests.dnsserver.support import filled, table_of
from tests.dnsserver.worlds import shape


@pytest.mark.parametrize(
    "host",
    [
        "a" * 64,
        "a." + "b" * 64,
        ".".join(["a" * 63] * 4),
        "a..b",
        ".a",
        "..",
        ".",
        "a..",
        "ü" * 32,
    ],
)
def test_a_host_that_is_no_name_is_a_record_error(host):
    with pytest.raises(RecordError) as caught:
        checked(Record(host=host))
    assert caught.value.reason == "host"


@pytest.mark.parametrize(
    "host", ["a" * 63, "a.b.", "under_score", "10.0.0.01", "ü" * 31, "a b", "*", "\u212a", "a" * 63 + "."]
)
def test_a_host_at_the_limit_is_a_name(host):
    assert checked(Record(host=host)) == Record(host=host)


@pytest.mark.parametrize(
    ("strip", "owner"), [(0, "a.b.c."), (1, "b.c."), (2, "c."), (3, "a.b.c."), (127, "a.b.c.")]
)
def test_targetstrip_cuts_labels_and_more_than_there_are_cuts_none(strip, owner):
    assert owner_of(name.from_text("a.b.c."), Record(targetstrip=strip)) == name.from_text(owner)


@given(
    st.dictionaries(
        st.sampled_from(["example/a", "example/a/b", "example/c"]), st.binary(max_size=30), min_size=1
    )
)
def test_values_that_are_no_records_leave_the_table_as_it_is(values):
    bad = {path: b"!" + value for path, value in values.items()}
    assert shape(filled([{"name": "example."}], bad)) == shape(table_of([{"name": "example."}]))


def test_a_text_past_what_rdata_holds_is_a_record_error():
    with pytest.raises(RecordError) as caught:
        checked(Record(text="a" * 65_400))
    assert caught.value.reason == "size"


def stored(*records: Record) -> list[Stored]:
    return [
        Stored(Key(b"/skydns/example/%d" % number), record.host, record[1:])
        for number, record in enumerate(records)
    ]


ADDRESS, ALIAS, OTHER = Record(host="192.0.2.1"), Record(host="a.example"), Record(host="b.example")


@pytest.mark.parametrize(
    ("records", "clash"),
    [
        ((ADDRESS, Record(host="2001:db8::1"), Record(text="t")), False),
        ((ALIAS, ALIAS), False),
        ((ALIAS, OTHER), True),
        ((ALIAS, ADDRESS), True),
        ((ALIAS, Record(text="t")), True),
        ((Record(host="a.example", port=80), Record(host="b.example", port=80)), False),
        ((Record(host="a.example", mail=True), Record(host="b.example", mail=True)), False),
        ((Record(host="a.example", text="note"), Record()), False),
    ],
)
def test_host_names_clash_with_each_other_and_with_other_data_unless_they_are_srv_or_mx(records, clash):
    assert clashes(stored(*records), name.from_text("www.example.")) is clash


def test_host_names_of_a_reverse_zone_do_not_clash():
    assert not clashes(stored(ALIAS, OTHER), name.from_text("1.2.0.192.in-addr.arpa."))
