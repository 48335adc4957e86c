import asyncio
import time

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store
from dnsserver.source.reflector import Reflector
from tests.dnsserver.support import NO_ETCD, PREFIX, table_of
from tests.proxy import Proxy


def put(store, *names):
    value = b'{"host":"10.0.0.1","targetstrip":1}'
    puts = {Key(PREFIX + f"example/{name}/x".encode()): value for name in names}
    return store.commit(puts=puts, deletes=[], expected={})


def owners(table):
    return {stored.key.split(b"/")[-2].decode() for node in table.nodes.values() for stored in node.records}


async def until(condition, within=15):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_backup_that_has_overtaken_the_table_is_found_by_the_comparison(own_etcd, own_store):
    put(own_store, "old")
    own_etcd.stop()
    own_etcd.backup()
    own_etcd.start()
    put(own_store, "lost")
    table = table_of([{"name": "example.", "lookup": "exact"}], etcd=NO_ETCD)
    with Proxy(own_etcd.port) as proxy:
        store = Store(EtcdAddress(endpoints=(f"http://127.0.0.1:{proxy.port}",)))
        reflector = Reflector(store, PREFIX, table, resync_interval=1)
        reflector.start()
        await until(lambda: owners(table) == {"old", "lost"})
        proxy.cut()
        proxy.drop()
        await until(lambda: not reflector.connected)
        own_etcd.kill()
        own_etcd.restore()
        own_etcd.start()
        missed = put(own_store, "missed")
        assert put(own_store, "seen") > reflector.revision >= missed
        proxy.mend()
        await until(lambda: "seen" in owners(table))
        await until(lambda: owners(table) == {"old", "missed", "seen"})
        await reflector.stop()
