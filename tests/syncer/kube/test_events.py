import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from syncer.endpoint import ObjectRef
from syncer.happening import Happening
from syncer.kube.client import connect
from syncer.kube.events import Recorder
from tests.integration.fake_kube import FakeKube
from tests.programs import until

CHEESE = ObjectRef("ingress", "default", "cheese", uid="u-1")
READY = Happening(str(CHEESE), "RecordReady", "a.test A 192.0.2.1 is written")
KINDS = {"ingress": ("networking.k8s.io/v1", "Ingress"), "node": ("v1", "Node")}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr("syncer.kube.events.PAUSE", 0.0)


@pytest.fixture
async def kube():
    async with FakeKube() as running:
        yield running


@asynccontextmanager
async def recording(kube, reasons=("RecordReady", "RecordError")):
    client = await connect(kubeconfig="", server=kube.url, in_cluster=False, request_timeout=5)
    known = {str(CHEESE): CHEESE}
    recorder = Recorder(client.request, frozenset(reasons), KINDS, known.get)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await client.close()


async def test_the_same_event_again_raises_the_count_of_the_first(kube):
    async with recording(kube) as recorder:
        recorder.note([READY, READY])
        await until(lambda: any(event["count"] == 2 for event in kube.events.values()))
    [((namespace, name), event)] = kube.events.items()
    assert (namespace, name.partition(".")[0]) == ("default", "cheese")
    assert event["involvedObject"] == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "name": "cheese",
        "namespace": "default",
        "uid": "u-1",
    }


async def test_an_event_that_the_server_forgot_is_written_anew(kube):
    async with recording(kube) as recorder:
        recorder.note([READY])
        await until(lambda: kube.events)
        kube.events.clear()
        recorder.note([READY])
        await until(lambda: kube.events)


async def test_other_reasons_and_what_is_no_object_are_not_told_and_one_that_is_gone_is(kube):
    async with recording(kube) as recorder:
        recorder.note([READY._replace(reason="RecordDeleted")])
        recorder.note([READY._replace(resource="/skydns/test/a/x"), READY._replace(resource="file.yaml")])
        recorder.note([READY._replace(resource="node//n1"), READY._replace(resource="ingress/web/gone")])
        await until(lambda: len(kube.events) == 2)
    assert {namespace for namespace, _ in kube.events} == {"default", "web"}
    assert recorder.dropped == 0


async def test_a_refusal_is_logged_once_counted_and_holds_nothing_up(kube, caplog):
    kube.fail(403, "events")
    async with recording(kube) as recorder:
        recorder.note([READY, READY])
        await until(lambda: recorder.dropped == 2)
        assert caplog.text.count("HTTP 403") == 1
        kube.heal()
        recorder.note([READY])
        await until(lambda: kube.events)


async def test_what_is_too_much_is_dropped(kube, monkeypatch):
    monkeypatch.setattr("syncer.kube.events.BACKLOG", 3)
    async with recording(kube) as recorder:
        recorder.note([READY._replace(message=str(number)) for number in range(10)])
        assert recorder.dropped == 7
        await until(lambda: len(kube.events) == 3)
