import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.ownership import is_ownership
from dnsserver.skydns.record import MAX_VALUE, Record, RecordError, decode, encode, parse

whole = st.integers(-(2**63), 2**63 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
records = st.builds(
    Record,
    host=text,
    port=whole,
    priority=whole,
    weight=whole,
    text=text,
    mail=st.booleans(),
    ttl=st.integers(0, 2**32 - 1),
    targetstrip=st.integers(0, 127),
    group=text,
    owner=text,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
fields = st.sampled_from([*Record._fields, "TTL", "Host", "unknown"])


@given(records)
def test_a_record_is_read_back_as_it_was_written(record):
    assert decode(encode(record)) == record


@given(st.binary(max_size=200))
def test_any_octets_are_a_record_or_a_record_error(octets):
    reads_or_refuses(octets)


@given(anything)
def test_any_json_is_a_record_or_a_record_error(value):
    reads_or_refuses(json.dumps(value).encode())


@given(st.dictionaries(fields, anything, max_size=4))
def test_any_values_of_the_fields_are_a_record_or_a_record_error(value):
    reads_or_refuses(json.dumps(value).encode())


hosts = st.sampled_from(
    ["10.0.0.1", "2001:db8::1", "www.example.net", "-", "", 'a"b', "\\u0041", "\xe9", "A"]
)
rests = st.lists(
    st.sampled_from(
        [
            *('"ttl":300', '"targetstrip":1', '"targetstrip":1.0', '"mail":true', '"mail":1', '"ttl":true'),
            *(
                '"host":"-"',
                '"host":"10.0.0.9"',
                '"HOST":"10.0.0.9"',
                '"host":null',
                '"port":"80"',
                '"ttl":-1',
            ),
        ]
    ),
    max_size=3,
)


@given(hosts, rests, st.sampled_from(["}", "", "} ", "}}", ",}", "]"]))
def test_the_short_way_of_decoding_equals_the_long_one(host, rest, end):
    value = (",".join([f'{{"host":"{host}"', *rest]) + end).encode()
    assert outcome(decode, value) == outcome(parse, value)


def outcome(way, value: bytes) -> tuple:
    """Return the fields with their types, or the reason and text of the error."""
    try:
        return tuple((field, type(field)) for field in way(value))
    except RecordError as error:
        return error.reason, str(error)


def reads_or_refuses(octets: bytes) -> None:
    try:
        record = decode(octets)
    except RecordError:
        return
    for name in Record._fields:
        assert type(getattr(record, name)) is type(getattr(Record(), name))
    assert decode(encode(record)) == record


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "json"),
        (b"no json", "json"),
        (b"{", "json"),
        (b'{"host":"a"} x', "json"),
        (b'{"host":"a"}{}', "json"),
        (b"{'host':'a'}", "json"),
        (b'{"host":"a\nb"}', "json"),
        (b"[" * 30_000, "json"),
        (b"[" * 60_000 + b"]" * 5_000, "json"),
        (b'{"a":' * 12_000, "json"),
        (b'{"ttl":' + b"9" * 5_000 + b"}", "json"),
        (b'{"ttl":NaN}', "json"),
        (b'{"ttl":Infinity}', "json"),
        (b'{"unknown":-Infinity}', "json"),
        (b'\xef\xbb\xbf{"host":"a"}', "json"),
        (b"[]", "shape"),
        (b"[{}]", "shape"),
        (b'"host"', "shape"),
        (b"1", "shape"),
        (b"true", "shape"),
        (b"\xff", "encoding"),
        (b'{"host":"\xff"}', "encoding"),
        ('{"host":"a"}'.encode("utf-16"), "encoding"),
        (b'{"host":"\\ud800"}', "encoding"),
        (b'{"text":"\\udfff"}', "encoding"),
        (b'{"host":1}', "type"),
        (b'{"host":["10.0.0.1"]}', "type"),
        (b'{"host":true}', "type"),
        (b'{"text":{}}', "type"),
        (b'{"ttl":"300"}', "type"),
        (b'{"ttl":1.5}', "type"),
        (b'{"ttl":1.0}', "type"),
        (b'{"ttl":1e2}', "type"),
        (b'{"ttl":true}', "type"),
        (b'{"port":"80"}', "type"),
        (b'{"mail":1}', "type"),
        (b'{"mail":"true"}', "type"),
        (b'{"ttl":-1}', "range"),
        (b'{"ttl":4294967296}', "range"),
        (b'{"targetstrip":-1}', "range"),
        (b'{"port":9223372036854775808}', "range"),
        (b'{"weight":-9223372036854775809}', "range"),
        (b'{"text":"' + b"a" * (MAX_VALUE - 10) + b'"}', "size"),
        (b" " * (1 << 20), "size"),
    ],
)
def test_a_bad_value_is_a_record_error_with_its_reason(value, reason):
    with pytest.raises(RecordError) as caught:
        decode(value)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("value", "record"),
    [
        (b"null", Record()),
        (b"{}", Record()),
        (b" {} \n", Record()),
        (b'{"host":null,"ttl":null,"mail":null}', Record()),
        (b'{"host":""}', Record()),
        (b'{"HOST":"a","Ttl":5,"TargetStrip":1}', Record(host="a", ttl=5, targetstrip=1)),
        (b'{"host":"a","host":"b"}', Record(host="b")),
        (b'{"host":"a","HOST":"b"}', Record(host="b")),
        (b'{"host":"a","unknown":{"deep":[1,2.5,null]}}', Record(host="a")),
        (b'{"ttl":0}', Record()),
        (b'{"ttl":4294967295}', Record(ttl=4294967295)),
        (b'{"port":-1}', Record(port=-1)),
        (b'{"text":"\\ud83d\\ude00"}', Record(text="\U0001f600")),
        (b'{"text":"' + b"a" * (MAX_VALUE - 11) + b'"}', Record(text="a" * (MAX_VALUE - 11))),
    ],
)
def test_a_value_at_the_limit_is_a_record(value, record):
    assert decode(value) == record


def test_a_value_is_written_as_externaldns_writes_it():
    record = Record(host="10.0.0.1", text="<a&b>\u2028", ttl=300, targetstrip=1, group="g", owner="me")
    assert encode(record) == (
        b'{"host":"10.0.0.1","text":"\\u003ca\\u0026b\\u003e\\u2028","ttl":300,"targetstrip":1,"group":"g","owner":"me"}'
    )
    assert encode(Record()) == b"{}"


@pytest.mark.parametrize(
    ("note", "ownership"),
    [
        ("heritage=external-dns", True),
        ('"heritage=external-dns"', True),
        ("x heritage=", False),
        ("Heritage=", False),
        ("", False),
    ],
)
def test_ownership_is_told_by_its_beginning(note, ownership):
    assert is_ownership(note) is ownership
