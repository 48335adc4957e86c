"""The same promises from the fake, a kube-apiserver and a cluster: what the other tests stand on."""

import asyncio
import json

import aiohttp
import pytest
import yaml

pytestmark = pytest.mark.kube

INGRESS = {"kind": "Ingress", "apiVersion": "networking.k8s.io/v1", "metadata": {"name": "cheese"}}
ADDRESS = {"loadBalancer": {"ingress": [{"ip": "172.22.132.10"}]}}


def ingress(host: str) -> dict:
    return INGRESS | {
        "spec": {
            "rules": [{"host": host}],
            "defaultBackend": {"service": {"name": "cheese", "port": {"number": 80}}},
        }
    }


class Client:
    """Reads as a program would: by the kubeconfig alone, where it can; else by url and token."""

    def __init__(self, api) -> None:
        config = yaml.safe_load(api.kubeconfig.read_text())
        self.url = api.url
        if api.kind != "cluster":
            assert config["clusters"][0]["cluster"]["server"] == api.url
        self.headers = {"Authorization": f"Bearer {api.token}"} if api.token else {}
        self.path = f"/apis/networking.k8s.io/v1/namespaces/{api.namespace}/ingresses"

    async def items(self) -> list[dict]:
        async with (
            aiohttp.ClientSession(headers=self.headers) as http,
            http.get(self.url + self.path, ssl=False) as response,
        ):
            return (await response.json())["items"]

    async def watch(self, since: str):
        params = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "5"}
        async with (
            aiohttp.ClientSession(headers=self.headers) as http,
            http.get(self.url + self.path, ssl=False, params=params) as response,
        ):
            async for line in response.content:
                yield json.loads(line)


async def test_what_is_applied_can_be_listed_changed_and_deleted(kube_api):
    client = Client(kube_api)
    await kube_api.apply(ingress("stilton.k8s.local"))
    await kube_api.apply(ingress("cheddar.k8s.local"))
    assert [i["spec"]["rules"][0]["host"] for i in await client.items()] == ["cheddar.k8s.local"]
    await kube_api.delete("Ingress", kube_api.namespace, "cheese")
    assert await client.items() == []


async def test_apply_leaves_the_status_alone_and_set_status_the_rest(kube_api):
    client = Client(kube_api)
    applied = await kube_api.apply(ingress("stilton.k8s.local") | {"status": ADDRESS})
    assert not applied.get("status", {}).get("loadBalancer")
    await kube_api.set_status(applied, ADDRESS)
    await kube_api.apply(ingress("cheddar.k8s.local"))
    [stored] = await client.items()
    assert stored["status"] == ADDRESS
    assert stored["spec"]["rules"][0]["host"] == "cheddar.k8s.local"


async def test_a_node_has_no_namespace(kube_api):
    node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": f"node-{kube_api.namespace}"}}
    applied = await kube_api.apply(node)
    await kube_api.set_status(applied, {"addresses": [{"type": "InternalIP", "address": "10.0.0.11"}]})
    assert "namespace" not in applied["metadata"]
    await kube_api.delete("Node", "", node["metadata"]["name"])


async def test_a_watch_tells_of_each_change_with_its_version(kube_api):
    applied = await kube_api.apply(ingress("stilton.k8s.local"))
    seen = []

    async def follow() -> None:
        async for event in Client(kube_api).watch(applied["metadata"]["resourceVersion"]):
            seen.append((event["type"], event["object"]["metadata"]["resourceVersion"]))
            if event["type"] == "DELETED":
                return

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(follow())
        await asyncio.sleep(0.2)
        await kube_api.set_status(applied, ADDRESS)
        await kube_api.delete("Ingress", kube_api.namespace, "cheese")
    assert [kind for kind, _ in seen] == ["MODIFIED", "DELETED"]
    assert len({version for _, version in seen} | {applied["metadata"]["resourceVersion"]}) == 3
