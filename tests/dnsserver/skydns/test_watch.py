"""The watch of a real etcd: what it yields, and how often."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

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
