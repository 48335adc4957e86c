import pytest

from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.store import Batch, Conflict
from syncer.endpoint import Endpoint, ObjectRef
from syncer.plan import plan
from syncer.registry.inventory import take_inventory
from syncer.registry.registry import Registry
from tests.programs import eventually


def endpoint(*targets: str) -> Endpoint:
    ref = ObjectRef("ingress", "default", "cheese")
    return Endpoint(name="a.test", type="A", targets=targets or ("192.0.2.1",), resource=ref)


@pytest.fixture
def registry(store, prefix):
    return Registry(store, prefix_of(prefix), "default")


@pytest.fixture
def key(prefix):
    return Key(prefix_of(prefix) + b"test/by-hand")


def sync(registry, *desired):
    inventory = registry.read()
    planned = plan(desired, inventory.current, "default")
    registry.commit(planned, inventory)
    return planned


def test_what_was_committed_is_read_and_leaves_nothing_to_do(registry):
    assert len(sync(registry, endpoint()).changes) == 1
    assert sync(registry, endpoint()).changes == ()


def test_a_name_with_hundreds_of_addresses_is_written_and_deleted(registry, store, prefix):
    many = endpoint(*[f"192.0.2.{number}" for number in range(250)])
    sync(registry, many)
    assert sync(registry, many).changes == ()
    sync(registry)
    assert [entry for page in store.pages(prefix_of(prefix)) for entry in page.entries] == []


def until(condition):
    return eventually(condition, 10)


def test_what_was_committed_is_known_without_reading_it_again(registry, store, monkeypatch):
    registry.read()
    monkeypatch.setattr(store, "pages", None)
    sync(registry, endpoint())
    assert [record.targets for record in registry.read().current] == [("192.0.2.1",)]
    sync(registry)
    assert registry.read().current == []


def test_a_change_by_another_writer_is_told_and_known(store, prefix, key):
    told = []
    registry = Registry(store, prefix_of(prefix), "default", changed=lambda: told.append(1))
    registry.read().take_touched()
    store.commit(puts={key: b'{"host":"192.0.2.9"}'}, deletes=[], expected={})
    until(lambda: told)
    assert [record.name for record in registry.read().current] == ["by-hand.test"]
    assert registry.read().take_touched() == {"by-hand.test"}
    store.commit(puts={}, deletes=[key], expected={})
    until(lambda: not registry.read().current)


def test_a_watch_that_ends_is_told_and_everything_is_read_again(store, prefix, key):
    told, feeds = [], []

    class Ending:
        is_broken = False
        drain = close = lambda self: []

    def follow(revision, news, changed):
        feeds.append((Ending(), changed))
        return feeds[-1][0]

    registry = Registry(store, prefix_of(prefix), "default", changed=lambda: told.append(1), follow=follow)
    registry.read()
    store.commit(puts={key: b'{"host":"192.0.2.9"}'}, deletes=[], expected={})
    assert registry.read().current == []
    feed, changed = feeds[0]
    feed.is_broken = True
    changed()
    assert told
    assert [record.name for record in registry.read().current] == ["by-hand.test"]
    assert len(feeds) == 2


def test_the_echo_of_an_own_write_that_is_undone_already_changes_nothing(store, prefix):
    batches = []

    class Late:
        is_broken = False

        def drain(self):
            found, batches[:] = list(batches), []
            return found

        def close(self):
            pass

    registry = Registry(store, prefix_of(prefix), "default", follow=lambda revision, news, changed: Late())
    sync(registry, endpoint())
    echo = [entry for page in store.pages(prefix_of(prefix)) for entry in page.entries]
    sync(registry)
    batches.append(Batch(echo, max(entry.revision for entry in echo)))
    assert registry.read().current == []


def test_a_commit_of_stale_knowledge_is_refused_and_writes_nothing(registry, store, prefix):
    inventory = registry.read()
    planned = plan([endpoint()], inventory.current, "default")
    stale = take_inventory([], prefix_of(prefix), "default")
    registry.commit(planned, inventory)
    before = [entry for page in store.pages(prefix_of(prefix)) for entry in page.entries]
    with pytest.raises(Conflict):
        registry.commit(planned, stale)
    assert [entry for page in store.pages(prefix_of(prefix)) for entry in page.entries] == before
