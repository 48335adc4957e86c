"""Two syncers between a real API server and three members of etcd, under a stream of changes, while all that
can die does. A watch on etcd sees every change of every record.
"""

import asyncio
import threading
import time
from contextlib import AsyncExitStack, suppress

import aiohttp
import pytest
from etcd3 import etcdrpc as pb

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.record import decode
from dnsserver.skydns.store import Store
from tests.integration.test_kube_events import at, ingress
from tests.programs import Syncer, until
from tests.syncer.stored import hosts
from tools.embedded_etcd import EmbeddedCluster

pytestmark = pytest.mark.kube

LIVE = [f"live{number}.test" for number in range(4)]
PATIENCE = 60.0
"""Seconds in which what must happen does, on a machine with other work."""


def address(round_):
    return f"192.0.{round_ // 250 % 250}.{round_ % 250 + 1}"


class Witness(threading.Thread):
    """Follows the records by a watch that misses nothing; `missing` are live names that were once gone."""

    def __init__(self, endpoints, prefix):
        super().__init__(daemon=True)
        self._store = Store(EtcdAddress(endpoints=endpoints))
        self._prefix = prefix_of(prefix)
        self._next = self._store.head(self._prefix).revision + 1
        self._hosts: dict[str, dict[bytes, str]] = {}
        self._was_there: set[str] = set()
        self._is_over = False
        self.missing: set[str] = set()
        self.changes = 0

    def run(self):
        while not self._is_over:
            with suppress(StoreUnavailable):
                for batch in self._store.watch(self._prefix, self._next):
                    self._take(batch)

    def _take(self, batch):
        at_once = {}
        for entry in batch.entries:
            at_once.setdefault(entry.revision, []).append(entry)
        for entries in at_once.values():
            for entry in entries:
                self._put(entry)
            self.changes += 1
            there = {name for name, found in self._hosts.items() if found}
            self.missing |= self._was_there - there
            self._was_there |= there & set(LIVE)
        self._next = max(self._next, batch.revision + 1)

    def _put(self, entry):
        name = ".".join(reversed(entry.key[len(self._prefix) :].decode().split("/")[:-1]))
        held = self._hosts.setdefault(name, {})
        held.pop(entry.key, None)
        if entry.value is not None and (host := decode(entry.value).host):
            held[entry.key] = host

    def finish(self):
        self._is_over = True
        self._store.close()
        self.join()


class Changes:
    """Gives every live name a new address, again and again, and makes and removes another name."""

    def __init__(self, api):
        self._api, self._made = api, {}
        self.round = 0

    async def begin(self):
        for name in LIVE:
            self._made[name] = await self._api.apply(ingress(name.partition(".")[0], name))
        await self.change()

    async def run(self):
        while True:
            await asyncio.sleep(0.2)
            # The API server is killed under it: a change that fails is made anew.
            with suppress(aiohttp.ClientError, AssertionError, OSError):
                await self.change()

    async def change(self):
        for made in self._made.values():
            await self._api.set_status(made, at(address(self.round + 1)))
        passing = "passing"
        if self.round % 2:
            await self._api.delete("Ingress", self._api.namespace, passing)
        else:
            await self._api.set_status(
                await self._api.apply(ingress(passing, "passing.test")), at("192.0.2.9")
            )
        self.round += 1


class Scene:
    def __init__(self, api, cluster, syncers, store, prefix):
        self.api, self.cluster, self.syncers, self.store, self.prefix = api, cluster, syncers, store, prefix
        self.changes = Changes(api)

    def hosts(self):
        with suppress(StoreUnavailable):
            return {name: found for name, found in hosts(self.store, self.prefix).items() if found}
        return {}

    async def news(self):
        """Wait until an address that is given from now on is there."""
        since = self.changes.round

        def is_there():
            newer = {address(number) for number in range(since + 2, self.changes.round + 2)}
            return self.hosts().get(LIVE[0], set()) & newer

        await until(is_there)

    async def leader(self):
        def leading():
            return [s for s in self.syncers if "leader: this one" in s.page("/readyz")[1]]

        return (await until(leading))[0]


@pytest.fixture
async def scene(kube_api, prefix):
    if kube_api.kind != "apiserver":
        pytest.skip("needs a kube-apiserver that may be killed")
    async with AsyncExitStack() as stack:
        cluster = stack.enter_context(EmbeddedCluster(3))
        arguments = ("--source=ingress", f"--kubeconfig={kube_api.kubeconfig}", "--log-level=debug")
        arguments = (*arguments, f"--namespace={kube_api.namespace}", "--interval=2s")
        urls = ",".join(cluster.endpoints)
        syncers = [stack.enter_context(Syncer(urls, prefix, *arguments)) for _ in range(2)]
        store = Store(EtcdAddress(endpoints=cluster.endpoints))
        stack.callback(store.close)
        yield Scene(kube_api, cluster, syncers, store, prefix)


def compact(endpoint):
    """Move the API server's etcd on and forget what was, so that every version handed out is too old."""
    store = Store(EtcdAddress(endpoints=(endpoint,)))
    revision = store.commit(puts={Key(b"/elsewhere"): b"x"}, deletes=[], expected={})
    store.call(lambda client: client.kvstub.Compact, pb.CompactionRequest(revision=revision, physical=True))
    store.close()


async def test_no_live_name_is_ever_gone_whatever_dies(scene):
    await scene.changes.begin()
    await until(lambda: set(LIVE) <= scene.hosts().keys())
    witness = Witness(scene.cluster.endpoints, scene.prefix)
    witness.start()
    changing = asyncio.create_task(scene.changes.run())
    await scene.news()

    scene.api.server.kill()
    await asyncio.sleep(1)
    await asyncio.to_thread(scene.api.server.start)
    await scene.news()

    scene.cluster.leader().kill()
    await scene.news()

    leader = await scene.leader()
    leader.process.kill()
    await scene.news()
    survivor = await scene.leader()
    assert survivor is not leader

    scene.api.server.kill()
    compact(scene.api.server.etcd_endpoint)
    await asyncio.to_thread(scene.api.server.start)
    await scene.news()

    changing.cancel()
    with suppress(asyncio.CancelledError):
        await changing
    started = time.monotonic()
    await scene.changes.change()
    wanted = {name: {address(scene.changes.round)} for name in LIVE}
    wanted |= {"passing.test": {"192.0.2.9"}} if scene.changes.round % 2 else {}
    await until(lambda: scene.hosts() == wanted)
    assert time.monotonic() - started < PATIENCE
    await asyncio.to_thread(witness.finish)
    assert witness.changes > 8
    assert witness.missing == set()
    await asyncio.to_thread(survivor.stop)
    said = survivor.log()
    assert "ingresses.networking.k8s.io are listed again" in said
    assert "no event had told of" not in said
