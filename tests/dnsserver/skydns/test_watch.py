"""The watch of a real etcd: what it yields, and how often."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from dnsserver.skydns.connection import Compacted
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import GATHER_TIME

WRITERS = 4
CHANGES = 100
"""Of each writer."""


def test_changes_that_follow_each_other_closely_come_in_few_batches(store, prefix):
    keys = [Key(f"{prefix}/test/name{number}/x".encode()) for number in range(WRITERS)]
    below = Key(prefix.encode())
    seen: dict[bytes, list[int]] = {key: [] for key in keys}
    sizes: list[int] = []
    watching = threading.Event()

    def watch() -> None:
        for batch in store.watch(below, store.head(below).revision + 1):
            watching.set()
            sizes.append(len(batch.entries))
            for entry in batch.entries:
                seen[entry.key].append(int(entry.value))
            if sum(sizes) == WRITERS * CHANGES:
                return

    def write(key: Key) -> None:
        for number in range(CHANGES):
            store.commit(puts={key: b"%d" % number}, deletes=(), expected={})

    with ThreadPoolExecutor() as pool:
        watched = pool.submit(watch)
        assert watching.wait(10)
        began = time.monotonic()
        list(pool.map(write, keys))
        watched.result(10)
        took = time.monotonic() - began
    assert all(numbers == list(range(CHANGES)) for numbers in seen.values())
    assert len([size for size in sizes if size]) <= took / GATHER_TIME + 2


def test_a_watch_begins_with_the_revision_that_was_asked_for(store, prefix):
    key = Key(f"{prefix}/test/name/x".encode())
    revisions = [store.commit(puts={key: b"%d" % n}, deletes=(), expected={}) for n in range(4)]
    seen = []
    for batch in store.watch(Key(prefix.encode()), revisions[2]):
        seen += [(entry.value, entry.revision) for entry in batch.entries]
        if len(seen) >= 2:
            break
    assert seen == [(b"2", revisions[2]), (b"3", revisions[3])]
    assert batch.revision == revisions[3]


def test_deletes_of_the_revision_that_etcd_was_compacted_to_are_not_missed(own_etcd, own_store):
    key = Key(b"/skydns/test/name/x")
    known = own_store.commit(puts={key: b"1"}, deletes=(), expected={})
    own_etcd.ctl("compact", "--physical", str(own_store.commit(puts={}, deletes=[key], expected={})))
    with pytest.raises(Compacted):
        list(islice(own_store.watch(Key(b"/skydns/"), known + 1, 0.1), 5))
