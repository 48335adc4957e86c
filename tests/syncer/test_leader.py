"""The election on a real etcd."""

import asyncio
import threading
import time
from contextlib import ExitStack, asynccontextmanager, suppress

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.lease import Leases
from dnsserver.skydns.store import Fenced, Store
from syncer.leader import LEASE_TTL, Election, leader_key
from tests.programs import eventually


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def key(prefix):
    return leader_key("default", prefix_of(prefix))


@pytest.fixture
def candidate(etcd, key):
    with ExitStack() as stack:

        def new(name, changed=lambda: None, clock=time.monotonic, endpoint=etcd.endpoint):
            election = Election(Store(EtcdAddress(endpoints=(endpoint,)), 1.0), key, name, changed, clock)
            stack.callback(election.close)
            return election

        yield new


@asynccontextmanager
async def campaigning(election):
    task = asyncio.create_task(election.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_the_key_stands_outside_the_records_and_apart_for_each_owner_and_prefix():
    assert leader_key("default", prefix_of("/skydns")) == b"/syncer/default/leader/skydns"
    assert leader_key("a/b", prefix_of("/x/y")) == b"/syncer/a%2Fb/leader/x/y"


def test_of_two_candidates_one_leads_and_the_other_knows_who(candidate):
    one, two = candidate("one"), candidate("two")
    one.tick()
    two.tick()
    assert one.fence is not None
    assert (two.fence, two.holder, one.holder) == (None, "one", "one")


def test_a_leader_keeps_its_term_for_as_long_as_it_ticks(candidate):
    one, two = candidate("one"), candidate("two")
    one.tick()
    fence = one.fence
    for _ in range(2 * (LEASE_TTL + 1)):
        time.sleep(0.5)
        one.tick()
        two.tick()
    assert one.fence == fence
    assert (one.terms, two.fence) == (1, None)


def test_a_leader_that_falls_silent_is_followed_within_5_s_and_can_write_no_more(candidate, store, prefix):
    one, two = candidate("one"), candidate("two")
    one.tick()
    old, started = one.fence, time.monotonic()
    while two.fence is None:
        two.tick()
        time.sleep(0.1)
    assert time.monotonic() - started < 5
    assert one.fence is None
    with pytest.raises(Fenced):
        store.commit(puts={Key(prefix.encode()): b"late"}, deletes=[], expected={}, fence=old)
    one.tick()
    assert (one.fence, one.holder) == (None, "two")


def test_a_term_ends_by_our_own_clock_before_etcd_has_to_say_so(candidate):
    clock = Clock()
    one = candidate("one", clock=clock)
    one.tick()
    clock.ahead = LEASE_TTL - 0.5
    assert one.fence is not None
    clock.ahead = LEASE_TTL
    assert one.fence is None


async def test_a_clean_end_makes_room_at_once(candidate):
    one, two = candidate("one"), candidate("two")
    async with campaigning(one):
        await asyncio.to_thread(eventually, lambda: one.fence)
        two.tick()
        assert two.fence is None
    two.tick()
    assert two.fence is not None


async def test_a_busy_event_loop_does_not_cost_the_lease(candidate):
    one = candidate("one")
    async with campaigning(one):
        await asyncio.to_thread(eventually, lambda: one.fence)
        time.sleep(LEASE_TTL + 1.5)  # noqa: ASYNC251 - that is the point
        assert one.fence is not None
        assert one.terms == 1


def test_a_removed_key_begins_a_new_term_of_which_others_are_told(candidate, store, key):
    told = []
    one = candidate("one", changed=lambda: told.append(1))
    one.tick()
    old = one.fence
    store.commit(puts={}, deletes=[key], expected={})
    one.tick()
    assert one.fence.created > old.created
    assert told == [1, 1]


def test_a_key_that_somebody_made_by_hand_stops_everyone(candidate, store, key):
    one = candidate("one")
    store.commit(puts={key: b"maintenance"}, deletes=[], expected={})
    one.tick()
    assert (one.fence, one.holder) == (None, "maintenance")
    store.commit(puts={}, deletes=[key], expected={})


def test_an_outage_ends_the_term_and_the_same_lease_resumes_it(own_etcd, candidate, key):
    clock, told = Clock(), []
    one = candidate("one", lambda: told.append(1), clock, own_etcd.endpoint)
    one.tick()
    old = one.fence
    own_etcd.kill()
    with pytest.raises(StoreUnavailable):
        one.tick()
    assert one.fence == old
    clock.ahead += LEASE_TTL
    assert one.fence is None
    own_etcd.start()
    eventually(lambda: _ticks(one) and one.fence)
    assert len(told) == 2


def _ticks(election):
    with suppress(StoreUnavailable):
        election.tick()
        return True
    return False


def test_candidates_that_race_end_with_one_leader(candidate):
    elections = [candidate(str(number)) for number in range(6)]
    threads = [threading.Thread(target=election.tick) for election in elections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(election.fence is not None for election in elections) == 1


def test_an_end_without_etcd_is_quiet(own_etcd, candidate):
    one = candidate("one", endpoint=own_etcd.endpoint)
    one.tick()
    own_etcd.kill()
    stop = threading.Event()
    stop.set()
    one._campaign(stop)
    assert one.fence is None


def test_leases_are_not_left_behind(candidate, store, key):
    one = candidate("one")
    one.tick()
    lease = Leases(store).holder(key).lease
    stop = threading.Event()
    stop.set()
    one._campaign(stop)
    assert Leases(store).keep_alive(lease) == 0
