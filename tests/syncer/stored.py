"""What a syncer has left in etcd."""

import json

from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.store import Store


def hosts(store: Store, prefix: str) -> dict[str, set[str]]:
    """Return the targets of each name; the name of an ownership text has none."""
    found: dict[str, set[str]] = {}
    start = prefix_of(prefix)
    for page in store.pages(start):
        for entry in page.entries:
            labels = entry.key[len(start) :].decode().split("/")[:-1]
            targets = found.setdefault(".".join(reversed(labels)), set())
            value = json.loads(entry.value or b"{}")
            if "host" in value:
                targets.add(value["host"])
    return found
