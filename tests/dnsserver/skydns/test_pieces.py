import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.pieces import pieces
from dnsserver.skydns.store import PIECE, Store

from etcd3.etcdrpc import kv_pb2, rpc_pb2  # isort: skip - the store makes them importable

sizes = st.sampled_from((0, 1, 100, 127, 128, 16_383, 16_384))
responses = st.builds(
    rpc_pb2.RangeResponse,
    header=st.none() | st.builds(rpc_pb2.ResponseHeader, revision=st.integers(1, 2**40)),
    kvs=st.lists(st.builds(kv_pb2.KeyValue, key=st.binary(max_size=9), value=sizes.map(bytes)), max_size=20),
    more=st.booleans(),
    count=st.integers(0, 2**40),
)


@given(responses, st.integers(1, 25))
def test_pieces_of_a_message_merge_to_it_and_are_small(response, fields):
    octets = response.SerializeToString()
    parts = list(pieces(octets, fields))
    merged = rpc_pb2.RangeResponse()
    for part in parts:
        merged.MergeFromString(part)
    assert merged == response
    assert b"".join(parts) == octets
    found = [rpc_pb2.RangeResponse.FromString(part) for part in parts]
    assert all(len(each.kvs) + each.HasField("header") <= fields for each in found)
    assert len(found) <= 1 + len(response.kvs) // fields
    assert found[-1].more == response.more
    assert found[-1].kvs[-1:] == response.kvs[-1:]


@given(st.binary())
def test_what_is_no_message_is_none_in_pieces_and_has_no_other_octets(octets):
    parts = list(pieces(octets, 1))
    assert b"".join(parts) == octets
    try:
        rpc_pb2.RangeResponse.FromString(octets)
    except DecodeError:
        with pytest.raises(DecodeError):
            list(map(rpc_pb2.RangeResponse.FromString, parts))


def test_a_length_without_an_end_costs_no_more_than_another_message():
    octets = b"\x0a" + b"\xff" * 1_000_000
    assert b"".join(pieces(octets, 1)) == octets


def test_pages_in_pieces_have_every_key_once_in_order_at_one_revision(store: Store, prefix: str):
    below = prefix_of(prefix)
    keys = [below + b"test/%05d" % number for number in range(3 * PIECE)]
    for at in range(0, len(keys), 100):
        store.commit(puts=dict.fromkeys(keys[at : at + 100], b"{}"), deletes=(), expected={})
    pages = []
    for page in store.pages(below, 10):
        if not pages:
            store.commit(puts={below + b"test/99999": b"{}"}, deletes=(keys[-1],), expected={})
        pages.append(page)
    assert [entry.key for page in pages for entry in page.entries] == keys
    assert len({(page.revision, page.cluster_id) for page in pages}) == 1
    assert max(len(page.entries) for page in pages) <= PIECE
