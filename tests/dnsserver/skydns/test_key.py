import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.key import key_of, labels_of, prefix_of, range_end
from dnsserver.skydns.record import RecordError

label = st.binary(min_size=1, max_size=63).filter(lambda octets: b"/" not in octets)
labels = st.lists(label, min_size=1, max_size=6).filter(
    lambda found: sum(map(len, found)) + len(found) + 1 <= 255
)
prefixes = st.sampled_from(["/skydns", "skydns/", "/a/b/skydns/"]).map(prefix_of)


@given(labels, prefixes)
def test_labels_to_key_and_back_are_the_same_in_lower_case(found, prefix):
    assert labels_of(key_of(found, prefix), prefix) == tuple(part.lower() for part in found)


@given(st.binary(max_size=300), prefixes)
def test_any_octets_below_the_prefix_are_labels_or_a_record_error(octets, prefix):
    try:
        found = labels_of(prefix + octets, prefix)
    except RecordError:
        return
    assert key_of(found, prefix) == prefix + octets.lower()


@given(prefixes, st.binary(max_size=20))
def test_the_range_holds_what_begins_with_the_prefix_and_nothing_else(prefix, octets):
    end = range_end(prefix)
    assert prefix <= prefix + octets < end
    assert (prefix <= octets < end) == octets.startswith(prefix)


def test_the_range_ends_right_behind_the_slash():
    assert range_end(prefix_of("/skydns")) == b"/skydns0"


def test_a_name_is_reversed():
    assert key_of((b"a", b"b", b"k8s", b"local"), prefix_of("/skydns")) == b"/skydns/local/k8s/b/a"


@pytest.mark.parametrize("path", ["/skydns", "/skydns/", "skydns", "skydns/"])
def test_a_prefix_ends_with_a_slash(path):
    assert prefix_of(path) == b"/skydns/"


@pytest.mark.parametrize(
    "key",
    [
        b"/skydns/",
        b"/skydns//a",
        b"/skydns/a/",
        b"/skydns-old/a",
        b"/other/a",
        b"/skydns/" + b"a" * 64,
        b"/skydns/" + b"/".join([b"a" * 63] * 4),
        b"/skydns/" + b"/".join([b"a" * 63] * 3 + [b"a" * 62]),
        b"/skydns/" + b"/".join([b"a"] * 128),
    ],
)
def test_a_key_that_is_no_name_is_a_record_error(key):
    with pytest.raises(RecordError):
        labels_of(key, prefix_of("/skydns"))


@pytest.mark.parametrize("found", [(b"big/a",), (b"",), (b"a" * 64,), (b"a" * 63,) * 4])
def test_labels_that_are_no_key_are_a_record_error(found):
    with pytest.raises(RecordError):
        key_of(found, prefix_of("/skydns"))


@pytest.mark.parametrize("found", [(b"a" * 63,), (b"a" * 63, b"a" * 63, b"a" * 63, b"a" * 61), (b"a",) * 127])
def test_labels_at_the_limit_are_a_key(found):
    assert labels_of(key_of(found, prefix_of("/s")), prefix_of("/s")) == found
