"""What syncer tells the objects themselves: Events, on the most real API there is."""

import asyncio

import pytest

from tests.programs import Syncer

pytestmark = pytest.mark.kube


def ingress(name, host):
    rules = [{"host": host, "http": {"paths": []}}]
    rules[0]["http"]["paths"] = [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "x", "port": {"number": 80}}}}
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"rules": rules},
    }


def at(address):
    return {"loadBalancer": {"ingress": [{"ip": address}]}}


@pytest.fixture
def start(kube_api, etcd, prefix):
    def syncer(*arguments):
        reasons = ("RecordReady", "RecordDeleted", "RecordError")
        return Syncer(
            etcd.endpoint,
            prefix,
            *("--source=ingress", f"--kubeconfig={kube_api.kubeconfig}"),
            *(f"--namespace={kube_api.namespace}", *(f"--events-emit={reason}" for reason in reasons)),
            *arguments,
        )

    return syncer


async def told(api, name, reason, text):
    """Wait for an event on an Ingress, and return it."""
    async with asyncio.timeout(60):
        while True:
            for event in await api.events():
                is_it = (event["involvedObject"]["name"], event["reason"]) == (name, reason)
                if is_it and text in event["message"]:
                    return event
            await asyncio.sleep(0.02)


async def test_each_object_is_told_what_became_of_its_names(kube_api, start):
    old = await kube_api.apply(ingress("old", "a.test"))
    await kube_api.set_status(old, at("192.0.2.1"))
    young = ingress("young", "a.test")
    young["metadata"]["annotations"] = {"external-dns.kubernetes.io/ttl": "60"}
    await kube_api.set_status(await kube_api.apply(young), at("192.0.2.2"))
    with start("--domain-filter=test") as syncer:
        event = await told(kube_api, "old", "RecordReady", "a.test A 192.0.2.1 is written")
        assert event["type"] == "Normal"
        assert event["involvedObject"]["uid"] == old["metadata"]["uid"]
        assert event["involvedObject"]["apiVersion"] == "networking.k8s.io/v1"
        event = await told(kube_api, "young", "RecordError", "the name is taken by ingress/")
        assert event["type"] == "Warning"
        await kube_api.set_status(old, {"loadBalancer": {"ingress": None}})
        await kube_api.delete("Ingress", kube_api.namespace, "young")
        await told(kube_api, "old", "RecordError", "a.test has lost all its addresses")
        await kube_api.delete("Ingress", kube_api.namespace, "old")
        await told(kube_api, "old", "RecordDeleted", "a.test A is deleted")
        await asyncio.to_thread(syncer.stop)


async def test_a_mass_deletion_that_is_refused_is_told(kube_api, start):
    for number in range(12):
        made = await kube_api.apply(ingress(f"n{number}", f"n{number}.test"))
        await kube_api.set_status(made, at("192.0.2.1"))
    with start() as syncer:
        await told(kube_api, "n11", "RecordReady", "n11.test A")
        await asyncio.to_thread(syncer.stop)
    with start("--ingress-class=other") as syncer:
        await told(kube_api, "n11", "RecordError", "is not deleted: 12 of 12 names would go at once")
        await asyncio.to_thread(syncer.stop)
