"""`python -m syncer` as a process, between an API over real HTTP and a real etcd."""

import asyncio

import pytest

from tests.integration.fake_kube import FakeKube
from tests.programs import Syncer, until
from tests.syncer.stored import hosts

pytestmark = pytest.mark.kube


def ingress(host, ip="192.0.2.1", name="cheese"):
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"rules": [{"host": host}]},
        "status": {"loadBalancer": {"ingress": [{"ip": ip}]}},
    }


def node_port(host):
    annotations = {"external-dns.alpha.kubernetes.io/hostname": host}
    metadata = {"name": "nginx", "namespace": "default", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"type": "NodePort"}}


def node(ip):
    addresses = [{"type": "InternalIP", "address": ip}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1"},
        "status": {"addresses": addresses},
    }


@pytest.fixture
async def kube():
    async with FakeKube() as running:
        yield running


@pytest.fixture
def start(kube, etcd, prefix):
    def syncer(*arguments):
        sources = ("--source=service", "--source=ingress", f"--server={kube.url}")
        return Syncer(etcd.endpoint, prefix, *sources, *arguments)

    return syncer


async def test_objects_become_records_and_changes_follow(kube, start, store, prefix):
    kube.put(ingress("a.test"))
    kube.put(node_port("n.test"))
    kube.put(node("10.0.0.1"))
    with start() as syncer:
        await until(lambda: hosts(store, prefix).get("n.test") == {"10.0.0.1"})
        await until(lambda: hosts(store, prefix).get("a.test") == {"192.0.2.1"})
        kube.put(ingress("a.test", "192.0.2.2"))
        kube.put(node("10.0.0.2"))
        await until(lambda: hosts(store, prefix)["a.test"] == {"192.0.2.2"}, 2)
        await until(lambda: hosts(store, prefix)["n.test"] == {"10.0.0.2"}, 2)
        kube.delete("Ingress", "default", "cheese")
        await until(lambda: hosts(store, prefix).keys() == {"n.test", "a-n.test"}, 2)
        assert await asyncio.to_thread(syncer.stop) == 0


async def test_an_api_that_is_refused_blocks_no_other_and_deletes_nothing(kube, start, store, prefix):
    kube.put(ingress("a.test"))
    kube.put(node_port("n.test"))
    kube.put(node("10.0.0.1"))
    with start("--once") as syncer:
        assert await asyncio.to_thread(syncer.wait) == 0
    kube.fail(403, "ingresses")
    kube.absent.add("nodes")
    kube.delete("Ingress", "default", "cheese")
    kube.put(
        ingress("unseen.test", name="unseen")
        | {"apiVersion": "v1", "kind": "Service", "metadata": node_port("n.test")["metadata"]}
        | {"spec": {"type": "LoadBalancer", "externalIPs": ["192.0.2.7"]}}
    )
    with start() as syncer:
        await until(lambda: hosts(store, prefix)["n.test"] == {"192.0.2.7"})
        assert hosts(store, prefix)["a.test"] == {"192.0.2.1"}
        await until(lambda: syncer.page("/readyz")[0] == 503)
        waiting, leader = syncer.page("/readyz")[1].split("leader: ")
        assert waiting.splitlines() == [
            "not every ingress was seen yet",
            "not every node was seen yet",
            "ingresses.networking.k8s.io are not watched: 403",
            "nodes are not watched: 404",
        ]
        assert leader.startswith("this one, term ")
        kube.heal()
        await until(lambda: "a.test" not in hosts(store, prefix))
        await until(lambda: syncer.page("/readyz")[0] == 200)
        await until(lambda: "not watched" not in syncer.page("/readyz")[1])
        await asyncio.to_thread(syncer.stop)
        log = syncer.log()
    assert log.count("HTTP 403") == 1
    assert log.count("HTTP 404") == 1
    assert log.count("are watched again") == 2


async def test_names_of_node_ports_stay_until_the_nodes_are_known(kube, start, store, prefix):
    kube.put(node_port("n.test"))
    kube.put(node("10.0.0.1"))
    with start("--once") as syncer:
        await asyncio.to_thread(syncer.wait)
    kube.fail(403, "nodes")
    with start() as syncer:
        await until(lambda: syncer.page("/metrics")[1].count('syncer_source_synced{kind="service"} 1.0'))
        assert hosts(store, prefix)["n.test"] == {"10.0.0.1"}
        kube.delete("Service", "default", "nginx")
        await until(lambda: "n.test" not in hosts(store, prefix))


async def test_an_odd_object_does_not_stop_the_others(kube, start, store, prefix):
    odd = ingress("odd.test", name="odd")
    odd["spec"] = {"rules": None, "tls": [{"hosts": "x"}]}
    odd["status"] = None
    kube.put(odd)
    kube.put(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s"},
            "spec": {"ports": [{"port": "80"}]},
        }
    )
    kube.put(ingress("a.test"))
    with start("--once") as syncer:
        assert await asyncio.to_thread(syncer.wait) == 0
        log = syncer.log()
    assert "ingress/default/odd: hosts: expected a list, got str" in log
    assert hosts(store, prefix)["a.test"] == {"192.0.2.1"}


async def test_an_unreachable_api_is_one_line_and_the_program_waits(kube, start, store, prefix):
    await kube.stop()
    with start("--source=ingress") as syncer:
        await until(lambda: syncer.page("/healthz")[0] == 200)
        await asyncio.sleep(1.5)
        await kube.start()
        kube.put(ingress("a.test"))
        await until(lambda: "a.test" in hosts(store, prefix))
        await asyncio.to_thread(syncer.stop)
        log = syncer.log()
    assert log.count("Cannot connect") == 3  # one for each kind of object
