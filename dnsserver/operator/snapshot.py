"""The table as the server would have it now, filled once from etcd by the server's own reflector."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final, NamedTuple

from dnsserver.build import etcd_address, zone_table
from dnsserver.config import Config
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.entry import Entry
from dnsserver.skydns.key import Key, key_of, prefix_of
from dnsserver.skydns.ownership import Ownership, parse_text
from dnsserver.skydns.record import Reason, RecordError, decode
from dnsserver.skydns.store import Store
from dnsserver.source.provenance import NONE_OUTSIDE, Ownerships, places_of
from dnsserver.source.reflector import Reflector
from dnsserver.wire.name import Name, labels_of
from dnsserver.zone.table import ZoneTable

PATIENCE: Final = 120.0
"""Seconds for a whole snapshot."""


Look = Callable[[Key], tuple[Entry, int] | None]
"""A key → what etcd has there, with the seconds its lease was granted for; None: it is gone."""


class Snapshot(NamedTuple):
    table: ZoneTable
    rejected: dict[bytes, Reason]
    """Keys below the prefix that are no records, with why."""
    prefix: Key
    outside: Ownerships = NONE_OUTSIDE
    """Of the zones' own names: their texts stand beside them, outside the zones."""


def take(config: Config) -> Snapshot:
    """Return the table of a checked configuration, and of etcd where it has one.

    Raises:
        StoreUnavailable: etcd does not answer.
        ConfigError: a file for etcd cannot be read.
    """
    table = zone_table(config)
    if config.etcd is None:
        return Snapshot(table, {}, prefix_of("/"))
    prefix = prefix_of(config.etcd.prefix)
    store = Store(etcd_address(config.etcd))
    _reach(store, prefix, len(config.etcd.endpoints))
    rejected = asyncio.run(_fill(table, store, prefix))
    with closing(Store(etcd_address(config.etcd))) as store:
        return Snapshot(table, rejected, prefix, _outside(table, store, prefix))


def _reach(store: Store, prefix: Key, members: int) -> None:
    """See that a member answers: the reflector would try for ever."""
    for last in (*(False,) * (members - 1), True):
        try:
            store.head(prefix)
            return
        except StoreUnavailable:
            if last:
                raise


def _outside(table: ZoneTable, store: Store, prefix: Key) -> Ownerships:
    """Read the ownerships of the zones' own names."""
    places = {
        place
        for apex in table.zones
        for source in table.at_apex(apex)
        for kind in table.rrsets(apex, table.nodes[apex])
        for place in places_of(source, kind)
        if place not in table.nodes
    }
    found: dict[Name, Ownership] = {}
    for place in places:
        # The first page has it, or there is so much that is something else.
        for entry in next(store.pages(Key(key_of(labels_of(place), prefix) + b"/"))).entries:
            with suppress(RecordError):
                if ownership := parse_text(decode(entry.value or b"").text):
                    found[place] = ownership
    return found


async def _fill(table: ZoneTable, store: Store, prefix: Key) -> dict[bytes, Reason]:
    synced = asyncio.Event()
    reflector = Reflector(store, prefix, table, on_synced=synced.set)
    reflector.start()
    try:
        async with asyncio.timeout(PATIENCE):
            await synced.wait()
    except TimeoutError:
        raise StoreUnavailable(f"{store.endpoint}: no whole snapshot within {PATIENCE:.0f} s") from None
    finally:
        await reflector.stop()
    return reflector.rejected


@contextmanager
def reader(config: Config) -> Iterator[Look]:
    """Give what reads single keys of etcd as they are now.

    Raises:
        StoreUnavailable: at the call of what is given.
    """
    if config.etcd is None:
        yield lambda key: None
        return
    store = Store(etcd_address(config.etcd))

    def look(key: Key) -> tuple[Entry, int] | None:
        entry = store.entry(key)
        return entry and (entry, store.granted_ttl(entry.lease) if entry.lease else 0)

    try:
        yield look
    finally:
        store.close()
