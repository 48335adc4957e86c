import time

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.key import Key
from dnsserver.skydns.lease import Leases
from dnsserver.skydns.store import Conflict, Fence, Fenced, Store


@pytest.fixture
def leases(store):
    return Leases(store)


@pytest.fixture
def key(prefix):
    return Key(f"{prefix}/leader".encode())


def test_a_key_is_taken_once_and_is_gone_with_its_lease(leases, key):
    first, second = leases.grant(60), leases.grant(60)
    mine = leases.take(key, "one", first)
    assert (mine.value, mine.lease) == ("one", first)
    assert leases.take(key, "two", second) == mine == leases.holder(key)
    leases.revoke(first)
    assert leases.holder(key) is None
    assert leases.take(key, "two", second).created > mine.created


def test_a_lease_lives_on_when_it_is_kept_alive_and_ends_when_it_is_not(leases, key):
    lease = leases.grant(2)
    leases.take(key, "one", lease)
    for _ in range(4):
        time.sleep(0.7)
        assert leases.keep_alive(lease) == 2
    assert leases.holder(key) is not None
    until = time.monotonic() + 5
    while leases.holder(key) is not None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert leases.keep_alive(lease) == 0


def test_a_fence_that_stands_lets_a_transaction_through(store, leases, key):
    fence = Fence(key, leases.take(key, "one", leases.grant(60)).created)
    store.commit(puts={Key(key + b"-x"): b"1"}, deletes=[], expected={}, fence=fence)
    assert leases.holder(Key(key + b"-x")).value == "1"


def test_a_fence_that_fell_refuses_a_transaction_whoever_has_the_key_now(store, leases, key):
    lease = leases.grant(60)
    fence = Fence(key, leases.take(key, "one", lease).created)
    leases.revoke(lease)
    for _ in range(2):
        with pytest.raises(Fenced):
            store.commit(puts={Key(key + b"-x"): b"1"}, deletes=[], expected={}, fence=fence)
        leases.take(key, "one", leases.grant(60))
    assert leases.holder(Key(key + b"-x")) is None


def test_a_changed_key_behind_a_standing_fence_is_a_conflict(store, leases, key):
    fence = Fence(key, leases.take(key, "one", leases.grant(60)).created)
    with pytest.raises(Conflict):
        store.commit(puts={}, deletes=[], expected={Key(key + b"-x"): 7}, fence=fence)


def test_a_transaction_of_full_size_has_room_for_its_fence(store, leases, key):
    fence = Fence(key, leases.take(key, "one", leases.grant(60)).created)
    keys = [Key(key + b"-%d" % number) for number in range(127)]
    store.commit(puts=dict.fromkeys(keys, b"1"), deletes=[], expected=dict.fromkeys(keys, 0), fence=fence)


def test_an_etcd_that_stands_still_is_given_up_within_the_time_for_a_call(own_etcd, key):
    store = Store(EtcdAddress(endpoints=(own_etcd.endpoint,)), 0.5)
    leases = Leases(store)
    lease = leases.grant(60)
    own_etcd.pause()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        leases.keep_alive(lease)
    assert time.monotonic() - started < 2
    own_etcd.resume()
    store.close()
