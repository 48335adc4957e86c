"""From an object in Kubernetes to an answer on the wire: real etcd, both programs as processes."""

import asyncio
import copy
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.integration.fake_kube import FakeKube
from tests.integration.kube_account import shipped_account
from tests.integration.kube_api import FakeKubeApi, KubeApi
from tests.integration.kustomize import CONFIG
from tests.integration.publishing import publishing
from tests.integration.tools import miss_tool
from tests.programs import DnsServer, Syncer, until

pytestmark = pytest.mark.kube

EXAMPLES = CONFIG / "examples"
CHEESES = ("stilton.k8s.local", "cheddar.k8s.local", "wensleydale.k8s.local")
ADDRESS = "172.22.132.10"
RECOVERY = 40.0
"""Seconds in which a change must arrive after an outage: the syncer's longest pause, and some."""


def example(file: str, kind: str) -> dict:
    """An object of an example file, without the namespace: it goes to the test's own."""
    objects = yaml.safe_load_all((EXAMPLES / file).read_text())
    [found] = [o for o in objects if o["kind"] == kind]
    found["metadata"].pop("namespace", None)
    return found


def ingress(name: str) -> dict:
    """An Ingress of one host, {name}.k8s.local, made of the example."""
    made = copy.deepcopy(example("cheese.yaml", "Ingress"))
    made["metadata"]["name"] = name
    made["spec"]["rules"] = made["spec"]["rules"][:1]
    made["spec"]["rules"][0]["host"] = f"{name}.k8s.local"
    return made


def at(address: str) -> dict:
    return {"loadBalancer": {"ingress": [{"ip": address}]}}


async def publish(api: KubeApi, name: str, address: str) -> None:
    await api.set_status(await api.apply(ingress(name)), at(address))


class Journey(NamedTuple):
    api: KubeApi
    dns: DnsServer
    syncer: Syncer


@pytest.fixture
def dnsserver(etcd, prefix, tmp_path) -> Iterator[DnsServer]:
    with DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix) as running:
        running.wait_ready()
        yield running


@pytest.fixture
async def journey(kube_api, dnsserver, etcd, prefix) -> AsyncIterator[Journey]:
    async with publishing(etcd.endpoint, prefix, kube_api.kubeconfig, kube_api.namespace) as syncer:
        yield Journey(kube_api, dnsserver, syncer)


@pytest.fixture
async def fake_journey(dnsserver, etcd, prefix, tmp_path) -> AsyncIterator[tuple[Journey, FakeKube]]:
    """A journey on the fake, whatever else there is: for faults that a real server cannot be told to have."""
    async with FakeKube() as fake:
        api = FakeKubeApi(fake, tmp_path)
        async with publishing(etcd.endpoint, prefix, api.kubeconfig, api.namespace) as syncer:
            yield Journey(api, dnsserver, syncer), fake


async def test_an_ingress_is_served_within_a_second_of_its_address_and_gone_within_one(journey):
    api, server, _ = journey
    cheese = example("cheese.yaml", "Ingress")
    applied = await api.apply(cheese)
    await asyncio.sleep(0.5)
    assert server.rcode(CHEESES[0]) == "NXDOMAIN", "an Ingress without an address was published"

    start = time.monotonic()
    await api.set_status(applied, cheese["status"])
    for name in CHEESES:
        await until(lambda name=name: server.data(name) == {ADDRESS}, 1)
    served = time.monotonic() - start
    for name in CHEESES:
        assert server.data(name, tcp=True) == {ADDRESS}
        [rrset] = server.ask(name).answer
        assert rrset.ttl == 300

    start = time.monotonic()
    await api.delete("Ingress", api.namespace, "cheese")
    for name in CHEESES:
        await until(lambda name=name: server.rcode(name) == "NXDOMAIN", 1)
    gone = time.monotonic() - start
    assert server.rcode(CHEESES[0], tcp=True) == "NXDOMAIN"
    print(f"\n{api.kind}: served {served * 1000:.0f} ms, gone {gone * 1000:.0f} ms after the change")
    assert served < 1
    assert gone < 1


async def test_a_changed_address_replaces_the_old_one_within_a_second(journey):
    api, server, _ = journey
    await publish(api, "stilton", "10.9.0.1")
    await until(lambda: server.data("stilton.k8s.local") == {"10.9.0.1"}, 5)
    await api.set_status(ingress("stilton"), at("10.9.0.2"))
    await until(lambda: server.data("stilton.k8s.local") == {"10.9.0.2"}, 1)


async def test_a_node_port_service_is_served_at_the_external_address_of_the_node(journey):
    api, server, _ = journey
    node = example("nodes.yaml", "Node")
    node["metadata"]["name"] = f"node-{api.namespace}"
    await api.set_status(await api.apply(node), node["status"])
    await api.apply(example("nginx.yaml", "Service"))

    await until(lambda: "172.22.132.11" in server.data("nginx.k8s.local"), 5)
    await api.delete("Service", api.namespace, "nginx")
    await until(lambda: server.rcode("nginx.k8s.local") == "NXDOMAIN", 5)
    await api.delete("Node", "", node["metadata"]["name"])


async def test_a_syncer_that_was_killed_catches_up_when_it_is_back(kube_api, dnsserver, etcd, prefix):
    def syncer() -> AbstractAsyncContextManager[Syncer]:
        return publishing(etcd.endpoint, prefix, kube_api.kubeconfig, kube_api.namespace)

    await publish(kube_api, "goes", "10.9.0.1")
    async with syncer() as first:
        await until(lambda: dnsserver.data("goes.k8s.local") == {"10.9.0.1"}, 5)
        first.stop(signal.SIGKILL)
    await kube_api.delete("Ingress", kube_api.namespace, "goes")
    await publish(kube_api, "comes", "10.9.0.2")
    assert dnsserver.data("goes.k8s.local") == {"10.9.0.1"}, "the names left with the syncer"
    async with syncer():
        await until(lambda: dnsserver.data("comes.k8s.local") == {"10.9.0.2"}, 5)
        await until(lambda: dnsserver.rcode("goes.k8s.local") == "NXDOMAIN", 5)


async def test_an_api_server_killed_and_restarted_costs_no_name_and_no_later_change(journey):
    api, server, syncer = journey
    if api.kind == "cluster":
        pytest.skip("a cluster's API server is not ours to kill")
    if api.kind == "fake":
        miss_tool("kube-apiserver")
    await publish(api, "before", "10.9.0.1")
    await until(lambda: server.data("before.k8s.local") == {"10.9.0.1"}, 5)
    api.server.kill()
    try:
        for _ in range(20):
            await asyncio.sleep(0.1)
            assert server.data("before.k8s.local") == {"10.9.0.1"}
    finally:
        await asyncio.to_thread(api.server.start)
    await publish(api, "after", "10.9.0.2")
    back = time.monotonic()
    await until(lambda: server.data("after.k8s.local") == {"10.9.0.2"}, RECOVERY)
    print(f"\nback {time.monotonic() - back:.1f} s after the API server")
    assert server.data("before.k8s.local") == {"10.9.0.1"}
    assert syncer.process.poll() is None


async def test_versions_that_expire_with_a_deletion_behind_them_are_listed_again(fake_journey):
    (api, server, _), fake = fake_journey
    await publish(api, "stays", "10.9.0.1")
    await publish(api, "goes", "10.9.0.2")
    await until(lambda: server.data("goes.k8s.local") == {"10.9.0.2"}, 5)
    await fake.stop()
    await api.delete("Ingress", "default", "goes")
    await publish(api, "comes", "10.9.0.3")
    fake.expire()
    await fake.start()
    await until(lambda: server.rcode("goes.k8s.local") == "NXDOMAIN", RECOVERY)
    assert server.data("comes.k8s.local") == {"10.9.0.3"}
    assert server.data("stays.k8s.local") == {"10.9.0.1"}
    await publish(api, "later", "10.9.0.4")
    await until(lambda: server.data("later.k8s.local") == {"10.9.0.4"}, 1)


@pytest.mark.parametrize("code", [404, 410, 500])
async def test_an_api_that_refuses_everything_costs_no_name_and_few_requests(code, fake_journey):
    (api, server, syncer), fake = fake_journey
    await publish(api, "before", "10.9.0.1")
    await until(lambda: server.data("before.k8s.local") == {"10.9.0.1"}, 5)
    fake.fail(code)
    fake.drop_connections()
    asked = len(fake.times)
    await asyncio.sleep(3)
    assert server.data("before.k8s.local") == {"10.9.0.1"}
    assert 3 <= len(fake.times) - asked <= 30, "three kinds, pauses that double"
    await api.delete("Ingress", "default", "before")
    await publish(api, "after", "10.9.0.2")
    fake.heal()
    await until(lambda: server.data("after.k8s.local") == {"10.9.0.2"}, RECOVERY)
    await until(lambda: server.rcode("before.k8s.local") == "NXDOMAIN", RECOVERY)
    assert syncer.process.poll() is None


async def test_watches_that_end_at_once_are_not_opened_in_a_storm(fake_journey):
    (api, server, _), fake = fake_journey
    await publish(api, "before", "10.9.0.1")
    await until(lambda: server.data("before.k8s.local") == {"10.9.0.1"}, 5)
    fake.watches_are = "closed"
    fake.drop_connections()
    opened = fake.watches.total()
    await asyncio.sleep(3)
    assert 3 <= fake.watches.total() - opened <= 30
    await publish(api, "after", "10.9.0.2")
    fake.heal()
    await until(lambda: server.data("after.k8s.local") == {"10.9.0.2"}, RECOVERY)


async def test_an_account_without_rights_is_one_clear_line_and_the_shipped_rights_are_enough(
    kube_api, dnsserver, etcd, prefix, tmp_path
):
    """A service account as config/kubernetes has it, its ClusterRole bound only after the syncer started."""
    grant, kubeconfig = await account(kube_api, tmp_path)
    await publish(kube_api, "stilton", "10.9.0.1")
    async with publishing(etcd.endpoint, prefix, kubeconfig, kube_api.namespace) as syncer:
        await asyncio.sleep(3)
        refused = [line for line in syncer.log().splitlines() if "403" in line]
        assert len([line for line in refused if "ingresses" in line]) == 1, syncer.log()
        assert len(refused) <= 3, syncer.log()
        assert "may not list" in refused[0]
        assert syncer.process.poll() is None
        assert dnsserver.rcode("stilton.k8s.local") == "NXDOMAIN"
        await grant()
        await until(lambda: dnsserver.data("stilton.k8s.local") == {"10.9.0.1"}, RECOVERY)


async def account(api: KubeApi, directory: Path):
    """Return what grants the shipped rights, and the kubeconfig of an account that lacks them so far."""
    if api.kind == "fake":
        api.fake.fail(403)

        async def heal() -> None:
            api.fake.heal()

        return heal, api.kubeconfig
    return await shipped_account(api)
