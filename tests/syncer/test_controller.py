"""The controller on a real etcd."""

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import pytest

from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.store import Conflict, Fence, Fenced
from syncer.controller import Controller
from syncer.desired import Asked
from syncer.endpoint import Endpoint, ObjectRef, Rejection
from syncer.observation import Observation
from syncer.reconciler import Settings
from syncer.registry.registry import Registry
from syncer.source.filters import DomainFilter
from tests.programs import until
from tests.syncer.stored import hosts

KINDS = frozenset({"ingress"})


def endpoint(name="a.test", *targets) -> Endpoint:
    ref = ObjectRef("ingress", "default", "cheese")
    return Endpoint(name=name, type="A", targets=targets or ("192.0.2.1",), resource=ref)


class Sources:
    """What the sources are taken to see."""

    def __init__(self, *endpoints: Endpoint, unsettled=frozenset(), rejections=()) -> None:
        self.endpoints, self.unsettled, self.rejections = endpoints, unsettled, rejections
        self.waiting = frozenset()
        self._seen = {}

    def names(self):
        return {e.name for e in self.endpoints} | {name for name, _ in self.waiting}

    def look(self) -> Observation:
        before, self._seen = self._seen, {name: self.at(name) for name in self.names()}
        names = before.keys() | self._seen.keys()
        return Observation(
            touched=frozenset(name for name in names if before.get(name) != self._seen.get(name)),
            at=self.at,
            names=self.names,
            rejections={"sources": self.rejections},
            unsettled=self.unsettled,
            kinds=KINDS,
        )

    def at(self, name) -> Asked:
        waiting = frozenset(resource for claimed, resource in self.waiting if claimed == name)
        return Asked(tuple(e for e in self.endpoints if e.name == name), waiting)

    def differences(self, step):
        return iter([0])


@asynccontextmanager
async def running(controller: Controller):
    task = asyncio.create_task(controller.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def registry(store, prefix):
    """Makes registries: one for each syncer."""
    return lambda **more: Registry(store, prefix_of(prefix), "default", **more)


async def test_a_change_is_in_etcd_within_100_ms(store, prefix, registry):
    sources = Sources(endpoint())
    controller = Controller(sources, registry(), Settings())
    async with running(controller):
        await until(lambda: hosts(store, prefix))
        took = []
        for number in range(2, 7):
            sources.endpoints = (endpoint("a.test", f"192.0.2.{number}"),)
            started = time.monotonic()
            controller.notify()
            await until(lambda: hosts(store, prefix)["a.test"] == {sources.endpoints[0].targets[0]})
            took.append(time.monotonic() - started)
        assert min(took) < 0.1


async def test_constant_events_do_not_hold_a_reconcile_up(store, prefix, registry):
    controller = Controller(Sources(endpoint()), registry(), Settings())

    async def bother():
        while True:
            controller.notify()
            await asyncio.sleep(0.005)

    bothering = asyncio.create_task(bother())
    async with running(controller):
        await until(lambda: hosts(store, prefix), 2)
    bothering.cancel()


async def test_what_another_writer_takes_away_is_put_right_at_once(store, prefix, registry):
    woken = []
    followed = registry(changed=lambda: loop.call_soon_threadsafe(woken[0].notify))
    loop = asyncio.get_running_loop()
    controller = Controller(Sources(endpoint()), followed, Settings())
    woken.append(controller)
    async with running(controller):
        await until(lambda: hosts(store, prefix))
        keys = [entry.key for page in store.pages(prefix_of(prefix)) for entry in page.entries]
        store.commit(puts={}, deletes=keys, expected={})
        await until(lambda: hosts(store, prefix).get("a.test") == {"192.0.2.1"})
    followed.forget()
    assert controller.statistics.resync_differences == 0


class Deaf:
    """A feed that brings nothing and does not say so."""

    is_broken = False

    def drain(self):
        return []

    def close(self):
        pass


async def test_what_no_event_told_of_is_found_by_the_resync_counted_and_put_right(
    store, prefix, registry, caplog
):
    deaf = registry(follow=lambda revision, news, changed: Deaf())
    controller = Controller(Sources(endpoint()), deaf, Settings(interval=0.3))
    with patch("syncer.registry.registry.FEED_LAG", 0.1):
        async with running(controller):
            await until(lambda: hosts(store, prefix))
            keys = [entry.key for page in store.pages(prefix_of(prefix)) for entry in page.entries]
            store.commit(puts={}, deletes=keys, expected={})
            await until(lambda: hosts(store, prefix).get("a.test") == {"192.0.2.1"})
            await until(lambda: controller.statistics.resync_differences == len(keys))
    assert "a full resync found 2 things that no event had told of" in caplog.text


async def test_a_name_that_was_overlooked_is_found_by_the_resync(store, prefix, registry):
    sources = Sources(endpoint())
    controller = Controller(sources, registry(), Settings())
    await controller.reconcile()
    sources.endpoints, sources.look = (endpoint("a.test", "192.0.2.2"),), partial(blind, sources.look)
    await controller.reconcile()
    assert hosts(store, prefix)["a.test"] == {"192.0.2.1"}
    await controller.resync()
    assert hosts(store, prefix)["a.test"] == {"192.0.2.2"}
    assert controller.statistics.resync_differences == 1


def blind(look):
    return replace(look(), touched=frozenset())


async def test_a_resync_that_finds_nothing_counts_nothing(registry):
    controller = Controller(Sources(endpoint()), registry(), Settings())
    await controller.reconcile()
    await controller.resync()
    assert controller.statistics.resync_differences == 0


async def test_names_outside_the_domain_filter_are_neither_written_nor_deleted(store, prefix, registry):
    everywhere = Controller(Sources(endpoint("a.test"), endpoint("a.other")), registry(), Settings())
    await everywhere.reconcile()
    settings = Settings(domain_filter=DomainFilter.of(["test"]))
    await Controller(Sources(endpoint("b.other")), registry(), settings).reconcile()
    assert hosts(store, prefix).keys() == {"a.other", "a-a.other"}


async def test_nothing_is_deleted_before_its_source_has_synced(store, prefix, registry):
    await Controller(Sources(endpoint()), registry(), Settings()).reconcile()
    await Controller(Sources(unsettled=KINDS), registry(), Settings()).reconcile()
    assert "a.test" in hosts(store, prefix)
    await Controller(Sources(), registry(), Settings()).reconcile()
    assert hosts(store, prefix) == {}


async def test_a_writer_between_read_and_commit_is_noticed_and_planned_around(
    store, prefix, registry, caplog
):
    caplog.set_level(logging.INFO)
    await Controller(Sources(endpoint()), registry(), Settings()).reconcile()
    overtaken = registry()
    read = overtaken.read

    def read_and_be_overtaken():
        inventory = read()
        overtaken.read = read
        key = next(key for key in inventory.keys if b"/a/" in key)
        store.commit(puts={key: b'{"host":"192.0.2.66","targetstrip":1}'}, deletes=[], expected={})
        return inventory

    overtaken.read = read_and_be_overtaken
    controller = Controller(Sources(endpoint("a.test", "192.0.2.2")), overtaken, Settings())
    async with running(controller):
        await until(lambda: hosts(store, prefix)["a.test"] == {"192.0.2.2"})
    assert controller.statistics.conflicts == 1
    assert "another writer changed" in caplog.text


async def test_keys_that_were_made_by_hand_stay(store, prefix, registry):
    by_hand = {
        Key(prefix_of(prefix) + b"test/a/x1"): b'{"host":"192.0.2.9"}',
        Key(prefix_of(prefix) + b"test/mine"): b'{"host":"192.0.2.9"}',
        Key(prefix_of(prefix) + b"test/broken"): b"no json",
    }
    store.commit(puts=by_hand, deletes=[], expected={})
    controller = Controller(Sources(endpoint(), endpoint("mine.test")), registry(), Settings())
    await controller.reconcile()
    await Controller(Sources(), registry(), Settings()).reconcile()
    entries = [entry for page in store.pages(prefix_of(prefix)) for entry in page.entries]
    assert {entry.key: entry.value for entry in entries} == by_hand
    assert controller.statistics.rejected == {"foreign": 1, "shape": 1}


async def test_dry_run_prints_each_diff_once_and_writes_nothing(store, prefix, registry, capsys):
    controller = Controller(Sources(endpoint()), registry(), Settings(dry_run=True, prints="text"))
    await controller.reconcile()
    await controller.reconcile()
    assert capsys.readouterr().out == "+ a.test A 192.0.2.1 (ingress/default/cheese)\n"
    assert hosts(store, prefix) == {}


class Broken:
    """A registry whose etcd fails as often as it is told to."""

    owner_id = "default"

    def __init__(self, registry: Registry, *errors: Exception) -> None:
        self._registry, self._errors = registry, list(errors)

    def read(self):
        if self._errors:
            raise self._errors.pop(0)
        return self._registry.read()

    def commit(self, planned, inventory, fence):
        self._registry.commit(planned, inventory, fence)

    def forget(self):
        self._registry.forget()


async def test_an_outage_is_waited_out_with_back_off_and_logged_once_each_way(
    store, prefix, registry, caplog
):
    caplog.set_level(logging.INFO)
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    broken = Broken(registry(), *[StoreUnavailable("down")] * 8, Conflict("key"))
    controller = Controller(Sources(endpoint()), broken, Settings(), sleep)
    async with running(controller):
        await until(lambda: controller.statistics.is_store_up)
    assert caplog.text.count("etcd is unavailable (down)") == 1
    assert caplog.text.count("etcd is available again") == 1
    assert pauses[7] > 5 > 0.5 >= pauses[0]
    assert pauses[8] < 0.1
    assert controller.statistics.store_errors == 8


async def test_a_rejection_is_logged_once_while_it_lasts(registry, caplog):
    sources = Sources(rejections=(Rejection("ingress/default/x", "hostname", "an empty name"),))
    controller = Controller(sources, registry(), Settings())
    await controller.reconcile()
    await controller.reconcile()
    assert caplog.text.count("an empty name") == 1
    assert controller.statistics.rejected == {"hostname": 1}
    sources.rejections = ()
    await controller.reconcile()
    assert controller.statistics.rejected == {}


async def test_an_object_that_loses_its_addresses_keeps_its_records_for_the_grace(
    store, prefix, registry, caplog
):
    now = [0.0]
    sources = Sources(endpoint())
    controller = Controller(sources, registry(), Settings(deletion_grace=300), clock=lambda: now[0])
    await controller.reconcile()
    sources.endpoints, sources.waiting = (), frozenset({("a.test", "ingress/default/cheese")})
    await controller.reconcile()
    now[0] = 299
    await controller.reconcile()
    assert hosts(store, prefix)["a.test"] == {"192.0.2.1"}
    assert caplog.text.count("a.test; their records stay for up to 300 s (--deletion-grace)") == 1
    assert (controller.statistics.names_in_grace, controller.statistics.grace_entered) == (1, 1)
    now[0] = 300
    await controller.reconcile()
    assert hosts(store, prefix) == {}
    assert controller.statistics.names_in_grace == 0


async def test_an_object_that_is_gone_gets_no_grace(store, prefix, registry):
    sources = Sources(endpoint())
    controller = Controller(sources, registry(), Settings())
    await controller.reconcile()
    sources.endpoints = ()
    await controller.reconcile()
    assert hosts(store, prefix) == {}


async def test_a_grace_that_is_over_is_acted_on_before_the_next_interval(store, prefix, registry):
    sources = Sources(endpoint())
    controller = Controller(sources, registry(), Settings(deletion_grace=0.3))
    async with running(controller):
        await until(lambda: hosts(store, prefix))
        sources.endpoints, sources.waiting = (), frozenset({("a.test", "ingress/default/cheese")})
        controller.notify()
        await until(lambda: controller.statistics.names_in_grace)
        await until(lambda: not hosts(store, prefix))


async def test_a_mass_deletion_is_refused_until_it_is_allowed(store, prefix, registry, caplog):
    many = [endpoint(f"n{number}.test") for number in range(40)]
    sources = Sources(*many)
    controller = Controller(sources, registry(), Settings())
    await controller.reconcile()
    sources.endpoints = (*many[:20], endpoint("new.test"))
    await controller.reconcile()
    await controller.reconcile()
    assert len(hosts(store, prefix)) == 2 * 41
    assert caplog.text.count("refused to delete 20 of 41 names") == 0
    assert caplog.text.count("refused to delete 20 of 40 names at once, over --max-delete-share=0.3") == 1
    assert "--max-delete-share=1" in caplog.text
    assert (controller.statistics.names_refused, controller.statistics.delete_refusals) == (20, 1)
    await Controller(sources, registry(), Settings(max_delete_share=1)).reconcile()
    assert len(hosts(store, prefix)) == 2 * 21


class Leads:
    """A leadership that is what it is told to be."""

    def __init__(self, fence=None) -> None:
        self.fence = fence


async def test_whoever_does_not_lead_writes_nothing_until_it_does(store, prefix, registry):
    leads = Leads()
    controller = Controller(Sources(endpoint()), registry(), Settings(), leadership=leads)
    async with running(controller):
        controller.notify()
        await asyncio.sleep(0.3)
        assert hosts(store, prefix) == {}
        key = Key(f"{prefix}-leader".encode())
        leads.fence = Fence(key, store.commit(puts={key: b"me"}, deletes=[], expected={}))
        controller.notify()
        await until(lambda: "a.test" in hosts(store, prefix))


async def test_a_write_of_a_leader_that_is_none_any_more_is_refused_and_counted(
    store, prefix, registry, caplog
):
    key = Key(f"{prefix}-leader".encode())
    leads = Leads(Fence(key, store.commit(puts={key: b"me"}, deletes=[], expected={})))
    controller = Controller(Sources(endpoint()), registry(), Settings(), leadership=leads)
    store.commit(puts={}, deletes=[key], expected={})
    store.commit(puts={key: b"another"}, deletes=[], expected={})
    with pytest.raises(Fenced):
        await controller.reconcile()
    assert hosts(store, prefix) == {}
    assert controller.statistics.fenced == 1
    assert "another syncer leads" in caplog.text
    async with running(controller):
        await asyncio.sleep(0.2)  # the loop takes it as well
    assert controller.statistics.fenced == 2


async def test_the_lag_of_a_change_counts_from_its_first_notice_to_its_write(store, prefix, registry):
    sources = Sources(endpoint())
    broken = Broken(registry(), StoreUnavailable("down"))
    controller = Controller(sources, broken, Settings())
    controller.notify()
    await asyncio.sleep(0.15)
    with pytest.raises(StoreUnavailable):
        await controller.reconcile()
    controller.notify()
    await controller.reconcile()
    assert sum(controller.statistics.lags.values()) == 1
    assert 0.15 <= controller.statistics.lag_sum < 5
    controller.notify()
    await controller.reconcile()
    assert sum(controller.statistics.lags.values()) == 1
