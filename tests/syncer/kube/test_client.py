"""The client and the reflector on an API over real HTTP."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from syncer.kube.client import ClientError, connect
from syncer.kube.informer import Informer
from syncer.kube.reflector import Reflector
from syncer.kube.resource import ApiGone, ApiUnavailable
from tests.integration.fake_kube import FakeKube
from tests.programs import until

pytestmark = pytest.mark.kube


def service(name: str, namespace: str = "default"):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}}


def objects(informer):
    return [obj for _, obj in informer.items()]


@pytest.fixture
async def kube():
    async with FakeKube() as running:
        yield running


@pytest.fixture
async def client(kube):
    opened = await connect(kubeconfig="", server=kube.url, in_cluster=False, request_timeout=5)
    yield opened
    await opened.close()


def name_of(raw) -> str:
    return raw["metadata"]["name"]


@asynccontextmanager
async def reflecting(resource):
    informer = Informer(name_of, lambda: None)
    task = asyncio.create_task(Reflector(resource, informer).run())
    try:
        yield informer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_objects_are_listed_in_pages_and_changes_follow(kube, client, monkeypatch):
    monkeypatch.setattr("syncer.kube.resource.PAGE", 2)
    for name in "abcde":
        kube.put(service(name))
    async with reflecting(client.services("")) as informer:
        await until(lambda: informer.has_synced)
        assert sorted(objects(informer)) == list("abcde")
        assert kube.lists["services"] == 3
        await until(lambda: kube.open_watches)
        kube.put(service("f"))
        kube.delete("Service", "default", "a")
        await until(lambda: sorted(objects(informer)) == list("bcdef"))


async def test_only_the_namespace_asked_for_is_read(kube, client):
    kube.put(service("a"))
    kube.put(service("b", "other"))
    async with reflecting(client.services("other")) as informer:
        await until(lambda: informer.has_synced)
        assert objects(informer) == ["b"]


async def test_compaction_leads_to_a_new_list(kube, client):
    kube.put(service("a"))
    async with reflecting(client.services("")) as informer:
        await until(lambda: kube.open_watches)
        kube.expire()
        kube.put(service("b"))
        await until(lambda: sorted(objects(informer)) == ["a", "b"])
        assert kube.lists["services"] == 2


async def test_an_outage_keeps_the_objects_and_ends_by_itself(kube, client):
    kube.put(service("a"))
    async with reflecting(client.services("")) as informer:
        await until(lambda: kube.open_watches)
        await kube.stop()
        await asyncio.sleep(0.3)
        assert objects(informer) == ["a"]
        kube.put(service("b"))
        await kube.start()
        await until(lambda: sorted(objects(informer)) == ["a", "b"])


async def test_watches_that_end_at_once_cost_few_requests(kube, client):
    kube.watches_are = "closed"
    async with reflecting(client.services("")) as informer:
        await until(lambda: informer.has_synced)
        await asyncio.sleep(2)
        assert kube.watches["services"] <= 5


async def drain(resource):
    async with resource.watch("1000") as events:
        async for _ in events:
            pass


async def test_a_silent_watch_is_given_up(kube, client):
    kube.watches_are = "silent"
    resource = replace(client.services(""), watch_timeout=1, watch_grace=0.2)
    started = time.monotonic()
    with pytest.raises(ApiUnavailable, match="no answer in time"):
        await drain(resource)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("code", "text"),
    [(401, "credentials"), (403, "may not list"), (404, "does not have them"), (500, "HTTP 500")],
)
async def test_a_refusal_says_what_and_why(kube, client, code, text):
    kube.fail(code)
    with pytest.raises(ApiUnavailable, match=text) as refusal:
        await client.ingresses("").page("")
    assert str(refusal.value).startswith("ingresses.networking.k8s.io: ")
    with pytest.raises(ApiUnavailable, match=text):
        async with client.ingresses("").watch("1000"):
            pass


async def test_an_absent_api_says_so_in_plain_text(kube, client):
    kube.absent.add("ingresses")
    with pytest.raises(ApiUnavailable, match="404 page not found"):
        await client.ingresses("").page("")


async def test_gone_is_told_apart(kube, client):
    kube.fail(410)
    with pytest.raises(ApiGone):
        await client.nodes().page("")
    with pytest.raises(ApiGone):
        async with client.nodes().watch("1"):
            pass


async def test_an_unreachable_server_is_told_without_a_traceback():
    client = await connect(kubeconfig="", server="http://127.0.0.1:1", in_cluster=False, request_timeout=5)
    with pytest.raises(ApiUnavailable, match=r"services: .*127\.0\.0\.1"):
        await client.services("").page("")
    await client.close()


async def test_a_kubeconfig_names_the_server(kube, tmp_path):
    path = tmp_path / "config"
    path.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{server: "{kube.url}"}}}}]
users: [{{name: u, user: {{token: secret}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
"""
    )
    kube.put(service("a"))
    client = await connect(kubeconfig=str(path), server="", in_cluster=False, request_timeout=5)
    assert [name_of(item) for item in (await client.services("").page("")).items] == ["a"]
    await client.close()


@pytest.mark.parametrize("text", ["", "{", "a: b", "clusters: 7"])
async def test_a_kubeconfig_that_cannot_be_used_is_one_sentence(tmp_path, text, caplog):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClientError, match="cannot use the kubeconfig"):
        await connect(kubeconfig=str(path), server="", in_cluster=False, request_timeout=5)
    assert caplog.text == ""


async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ClientError, match=f"no kubeconfig {tmp_path}/config"):
        await connect(kubeconfig=f"{tmp_path}/config", server="", in_cluster=False, request_timeout=5)


async def test_outside_a_pod_without_its_files_the_account_is_refused(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClientError, match="the Pod's account"):
        await connect(kubeconfig="", server="", in_cluster=True, request_timeout=5)


@pytest.mark.parametrize("namespace", ["", "default"])
async def test_of_several_versions_the_first_that_a_server_has_is_read(kube, client, namespace):
    slice_ = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a"}}
    kube.put(slice_ | {"metadata": {"name": "a", "namespace": "default"}})
    kube.put(slice_ | {"metadata": {"name": "b", "namespace": "other"}})
    resource = client.extension(namespace, "discovery.k8s.io", "endpointslices", ("v9", "v1"))
    async with reflecting(resource) as informer:
        async with asyncio.timeout(5):
            while not informer.has_synced:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert sorted(objects(informer)) == (["a"] if namespace else ["a", "b"])


async def test_a_kind_that_the_server_does_not_have_is_absent_and_no_outage(client):
    resource = client.extension("", "example.org", "things", ("v1",))
    informer = Informer(name_of, lambda: None)
    reflector = Reflector(resource, informer)
    informer.is_absent = lambda: reflector.is_absent
    assert informer.is_awaited
    task = asyncio.create_task(reflector.run())
    async with asyncio.timeout(5):
        while not reflector.is_absent:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert (informer.is_awaited, informer.has_synced, reflector.outage) == (False, False, 0.0)
    task.cancel()
