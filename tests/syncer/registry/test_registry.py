import pytest

from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.store import Conflict
from syncer.endpoint import Endpoint, ObjectRef
from syncer.plan import plan
from syncer.registry.registry import Registry


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


def test_while_etcd_stands_still_nothing_is_read_again(registry):
    first = registry.read()
    assert registry.read() is first
    registry.forget()
    assert registry.read() is not first


def test_a_change_by_another_writer_is_seen(registry, store, key):
    registry.read()
    store.commit(puts={key: b'{"host":"192.0.2.9"}'}, deletes=[], expected={})
    assert [record.name for record in registry.read().current] == ["by-hand.test"]


def test_a_commit_of_stale_knowledge_is_refused_and_writes_nothing(registry, store, prefix):
    inventory = registry.read()
    planned = plan([endpoint()], inventory.current, "default")
    registry.commit(planned, inventory)
    before = [entry for page in store.pages(prefix_of(prefix)) for entry in page.entries]
    with pytest.raises(Conflict):
        registry.commit(planned, inventory)
    assert [entry for page in store.pages(prefix_of(prefix)) for entry in page.entries] == before
