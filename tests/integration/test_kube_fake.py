import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.integration.fake_kube import FakeKube

SERVICES = "/api/v1/services"


@pytest.fixture
async def kube() -> AsyncIterator[FakeKube]:
    async with FakeKube() as running:
        yield running


@pytest.fixture
async def http(kube: FakeKube) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(kube.url, timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


def service(name: str, namespace: str = "default") -> dict:
    return {"kind": "Service", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}}


async def page(http: aiohttp.ClientSession, path: str = SERVICES, **params: str) -> dict:
    async with http.get(path, params=params) as response:
        return {"code": response.status} | await response.json()


async def events(http: aiohttp.ClientSession, path: str = SERVICES, **params: str) -> list[dict]:
    """The whole of a watch that ends; `timeoutSeconds` is 0.3 unless told."""
    async with http.get(path, params={"watch": "true", "timeoutSeconds": "0.3"} | params) as response:
        assert response.status == 200
        return [json.loads(line) async for line in response.content]


def names(listed: dict) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


async def test_pages_show_the_moment_of_the_first_one(kube, http):
    for name in "abc":
        kube.put(service(name))
    first = await page(http, limit="2")
    kube.delete("Service", "default", "c")
    kube.put(service("d"))
    second = await page(http, limit="2", **{"continue": first["metadata"]["continue"]})
    assert names(first) + names(second) == ["a", "b", "c"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]
    assert names(await page(http)) == ["a", "b", "d"]


async def test_a_watch_replays_what_came_after_its_version_and_goes_on_live(kube, http):
    kube.put(service("before"))
    listed = await page(http)
    kube.put(service("between"))
    asyncio.get_running_loop().call_later(0.1, kube.put, service("live"))
    asyncio.get_running_loop().call_later(0.15, kube.delete, "Service", "default", "before")
    seen = await events(http, resourceVersion=listed["metadata"]["resourceVersion"])
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in seen] == [
        ("ADDED", "between"),
        ("ADDED", "live"),
        ("DELETED", "before"),
    ]
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in seen]
    assert versions == sorted(set(versions))


async def test_lists_and_watches_of_a_namespace_leave_out_the_others(kube, http):
    path = "/api/v1/namespaces/blue/services"
    kube.put(service("mine", "blue"))
    kube.put(service("other", "green"))
    assert names(await page(http, path)) == ["mine"]
    assert [e["object"]["metadata"]["name"] for e in await events(http, path)] == ["mine"]


async def test_an_expired_version_is_an_error_event_and_an_expired_page_a_410(kube, http):
    kube.put(service("a"))
    kube.put(service("b"))
    first = await page(http, limit="1")
    kube.expire()
    seen = await events(http, resourceVersion=first["metadata"]["resourceVersion"])
    assert [(e["type"], e["object"]["code"]) for e in seen] == [("ERROR", 410)]
    assert (await page(http, limit="1", **{"continue": first["metadata"]["continue"]}))["code"] == 410
    fresh = await page(http)
    assert await events(http, resourceVersion=fresh["metadata"]["resourceVersion"]) == []


async def test_bookmarks_come_only_where_they_are_allowed(kube, http):
    kube.bookmark_s = 0.1
    now = (await page(http))["metadata"]["resourceVersion"]
    allowed = await events(http, resourceVersion=now, allowWatchBookmarks="true")
    assert {e["type"] for e in allowed} == {"BOOKMARK"}
    assert allowed[0]["object"]["metadata"]["resourceVersion"] == now
    assert await events(http, resourceVersion=now) == []


async def test_faults_switch_on_for_one_resource_and_off_again(kube, http):
    kube.fail(403, "services")
    assert (await page(http))["reason"] == "Forbidden"
    assert (await page(http, "/api/v1/nodes"))["code"] == 200
    kube.fail(500)
    assert (await page(http, "/api/v1/nodes"))["code"] == 500
    kube.heal()
    assert (await page(http))["code"] == 200
    assert kube.lists == {"services": 2, "nodes": 2}


async def test_an_absent_api_is_a_404_in_plain_text(kube, http):
    kube.absent.add("ingresses")
    async with http.get("/apis/networking.k8s.io/v1/ingresses") as response:
        assert (response.status, await response.text()) == (404, "404 page not found\n")


async def test_closed_watches_end_at_once_and_silent_ones_outlast_their_timeout(kube, http):
    kube.put(service("a"))
    kube.watches_are = "closed"
    assert await events(http) == []
    kube.watches_are = "silent"
    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(0.5):
            await events(http, timeoutSeconds="0.1")
    assert kube.watches == {"services": 2}


async def test_dropped_connections_break_a_watch_and_the_port_survives_an_outage(kube, http):
    asyncio.get_running_loop().call_later(0.1, kube.drop_connections)
    with pytest.raises(aiohttp.ClientError):
        await events(http, timeoutSeconds="5")
    url = kube.url
    kube.put(service("kept"))
    await kube.stop()
    with pytest.raises(aiohttp.ClientError):
        await page(http)
    await kube.start()
    assert (kube.url, names(await page(http))) == (url, ["kept"])


async def test_what_is_put_is_copied_and_numbered(kube):
    given = service("a")
    stored = kube.put(given)
    stored["metadata"]["labels"] = given["metadata"]["labels"] = {"changed": "later"}
    assert "labels" not in kube.get("Service", "default", "a")["metadata"]
    again = kube.put(service("a"))
    assert kube.get("Service", "default", "a") == again
    assert int(again["metadata"]["resourceVersion"]) > int(stored["metadata"]["resourceVersion"])
    assert again["metadata"]["uid"] == stored["metadata"]["uid"]
