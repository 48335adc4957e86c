import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.key import labels_of, prefix_of
from dnsserver.skydns.record import RecordError
from dnsserver.source.owner import path_of
from dnsserver.wire import name

PREFIX = prefix_of("/skydns")

elements = st.one_of(
    st.binary(max_size=3), st.sampled_from([b"a", b"A", b"", b"x" * 63, b"x" * 64, b"y" * 50])
)
keys = st.lists(elements, max_size=8).map(lambda found: PREFIX + b"/".join(found))


@given(keys)
def test_the_name_of_a_key_is_that_of_its_labels(key):
    try:
        labels = labels_of(key, PREFIX)
    except RecordError:
        with pytest.raises(RecordError):
            path_of(key, PREFIX)
    else:
        assert path_of(key, PREFIX) == name.from_labels(labels)


def test_a_key_outside_the_prefix_or_of_a_million_labels_spells_no_name():
    for key in (b"/other/example/a", PREFIX + b"a/" * 700_000 + b"a"):
        with pytest.raises(RecordError):
            path_of(key, PREFIX)


def test_a_name_may_have_255_octets_and_no_more():
    whole = PREFIX + b"/".join([b"x" * 63] * 3 + [b"y" * 61])
    assert len(path_of(whole, PREFIX)) == 255
    with pytest.raises(RecordError):
        path_of(whole + b"y", PREFIX)
