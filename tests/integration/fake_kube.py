"""A small fake of the Kubernetes API over real HTTP: list and watch, with faults switched on at run time.

It keeps the promises a reflector relies on (pinned pages, ordered events after a resourceVersion, 410 as an
ERROR event inside HTTP 200) and the habits that surprise one: items of a list carry neither kind nor
apiVersion. It has no selectors and says so with a 400. Use it from the event loop it was started in.
"""

import asyncio
import contextlib
import json
import time
import uuid
from collections import Counter
from typing import Any, Literal, NamedTuple, Self

from aiohttp import web

Object = dict[str, Any]


class Resource(NamedTuple):
    plural: str
    kind: str
    api_version: str
    namespaced: bool = True

    @property
    def root(self) -> str:
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"


RESOURCES = (
    Resource("services", "Service", "v1"),
    Resource("nodes", "Node", "v1", namespaced=False),
    Resource("pods", "Pod", "v1"),
    Resource("ingresses", "Ingress", "networking.k8s.io/v1"),
    Resource("endpointslices", "EndpointSlice", "discovery.k8s.io/v1"),
)
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired", 500: "InternalError"}


def status_of(code: int, message: str) -> Object:
    failed = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": REASONS.get(code, "")}
    return failed | {"code": code, "message": message}


def failure(code: int, message: str) -> web.Response:
    return web.json_response(status_of(code, message), status=code)


class Event(NamedTuple):
    version: int
    type: str
    plural: str
    object: Object


class Watch(NamedTuple):
    plural: str
    namespace: str
    queue: "asyncio.Queue[Event]"

    def offer(self, event: Event) -> None:
        namespaces = ("", event.object.get("metadata", {}).get("namespace", ""))
        if event.plural == "*" or (event.plural == self.plural and self.namespace in namespaces):
            self.queue.put_nowait(event)


class FakeKube:
    """`async with FakeKube() as kube`, then point a client at `kube.url`.

    Attributes:
        watches_are: "live"; "closed": each watch ends at once; "silent": it opens, then nothing comes,
            past timeoutSeconds too, as behind a dead NAT entry.
        absent: plurals whose API this server does not have (404, in plain text as the real one says it).
        bookmark_s: seconds between bookmarks on a watch that allows them.
        lists, watches: requests per plural, failed ones included; a page is a request.
        events: Events that were posted, by namespace and name.
        times: `time.monotonic()` of each such request, to assert a back-off.
    """

    def __init__(self) -> None:
        self.watches_are: Literal["live", "closed", "silent"] = "live"
        self.absent: set[str] = set()
        self.bookmark_s = 1.0
        self.lists: Counter[str] = Counter()
        self.watches: Counter[str] = Counter()
        self.times: list[float] = []
        self.events: dict[tuple[str, str], Object] = {}
        self.version = 1000
        self._floor = 0  # a watch from below it is too old
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._events: list[Event] = []
        self._pages: dict[str, tuple[int, list[Object]]] = {}
        self._failing: dict[str, int] = {}
        self._open: list[Watch] = []
        self._port = 0

    # Life: stop() and start() again is an outage; the port and the objects stay.

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application()
        for resource in RESOURCES:
            app.router.add_get(f"{resource.root}/{resource.plural}", self._handler(resource))
            if resource.namespaced:
                path = f"{resource.root}/namespaces/{{namespace}}/{resource.plural}"
                app.router.add_get(path, self._handler(resource))
        events = "/api/v1/namespaces/{namespace}/events"
        app.router.add_get(events, self._list_events)
        app.router.add_post(events, self._add_event)
        app.router.add_patch(events + "/{name}", self._patch_event)
        # Without cancellation a silent watch would outlive its client, and stop() would wait for it.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.drop_connections()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def open_watches(self) -> int:
        return len(self._open)

    # Objects

    def put(self, obj: Object) -> Object:
        """Create or replace, status included; returns what is stored, a copy with its resourceVersion."""
        resource = next(r for r in RESOURCES if (r.kind, r.api_version) == (obj["kind"], obj["apiVersion"]))
        stored: Object = json.loads(json.dumps(obj))
        metadata = stored["metadata"]
        if resource.namespaced:
            metadata.setdefault("namespace", "default")
        key = (resource.plural, metadata.get("namespace", ""), metadata["name"])
        before = self._objects.get(key, {}).get("metadata", {})
        metadata["uid"] = before.get("uid") or str(uuid.uuid4())
        metadata["creationTimestamp"] = before.get("creationTimestamp") or "2026-01-01T00:00:00Z"
        self._objects[key] = self._publish("MODIFIED" if before else "ADDED", resource.plural, stored)
        return json.loads(json.dumps(self._objects[key]))

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        found = self._objects.get((self._plural(kind), namespace, name))
        return json.loads(json.dumps(found)) if found else None

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove the object; `namespace` is "" for a Node. KeyError when there is none."""
        gone = self._objects.pop((self._plural(kind), namespace, name))
        self._publish("DELETED", self._plural(kind), {**gone, "metadata": {**gone["metadata"]}})

    # Faults

    def fail(self, code: int, plural: str = "*") -> None:
        """Answer `code` to each new list and watch of `plural`, until heal(); open watches go on."""
        self._failing[plural] = code

    def heal(self) -> None:
        self._failing.clear()
        self.absent.clear()
        self.watches_are = "live"

    def expire(self) -> None:
        """Compact: each resourceVersion and continue token handed out so far is too old, open watches end."""
        self.version += 1
        self._floor = self.version
        self._events.clear()
        self._pages.clear()
        self._offer(Event(self.version, "ERROR", "*", status_of(410, "too old resource version")))

    def drop_connections(self) -> None:
        """Reset each connection without a last word, as a killed server does."""
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    # Inside

    @staticmethod
    def _plural(kind: str) -> str:
        return next(r.plural for r in RESOURCES if r.kind == kind)

    def _publish(self, type_: str, plural: str, obj: Object) -> Object:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._events.append(event := Event(self.version, type_, plural, obj))
        self._offer(event)
        return obj

    def _offer(self, event: Event) -> None:
        for watch in self._open:
            watch.offer(event)

    def _handler(self, resource: Resource) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            plural, query = resource.plural, request.query
            watching = query.get("watch") in ("1", "true", "True")
            (self.watches if watching else self.lists)[plural] += 1
            self.times.append(time.monotonic())
            if plural in self.absent:
                return web.Response(status=404, text="404 page not found\n")
            if code := self._failing.get(plural) or self._failing.get("*"):
                return failure(
                    code, f'{plural} is forbidden: User "fake"' if code == 403 else f"told to {code}"
                )
            if "labelSelector" in query or "fieldSelector" in query:
                return failure(400, "the fake has no selectors")
            namespace = request.match_info.get("namespace", "")
            if watching:
                return await self._watch(request, resource, namespace)
            return self._list(request, resource, namespace)

        return handle

    async def _list_events(self, request: web.Request) -> web.Response:
        found = [
            e for (namespace, _), e in self.events.items() if namespace == request.match_info["namespace"]
        ]
        return web.json_response({"kind": "EventList", "apiVersion": "v1", "items": found})

    async def _add_event(self, request: web.Request) -> web.Response:
        if code := self._failing.get("events"):
            return failure(code, f"told to {code}")
        event: Object = await request.json()
        key = request.match_info["namespace"], event["metadata"]["name"]
        if key in self.events:
            return failure(409, "it is there")
        self.events[key] = event
        return web.json_response(event, status=201)

    async def _patch_event(self, request: web.Request) -> web.Response:
        event = self.events.get((request.match_info["namespace"], request.match_info["name"]))
        if event is None:
            return failure(404, "not found")
        event |= await request.json()
        return web.json_response(event)

    def _list(self, request: web.Request, resource: Resource, namespace: str) -> web.Response:
        token = request.query.get("continue", "")
        if token and token not in self._pages:
            return failure(410, "The provided continue parameter is too old")
        keys = sorted(k for k in self._objects if k[0] == resource.plural and namespace in ("", k[1]))
        version, items = self._pages.get(token, (self.version, [self._objects[k] for k in keys]))
        limit = int(request.query.get("limit") or 0) or len(items)
        metadata: Object = {"resourceVersion": str(version)}
        if rest := items[limit:]:
            metadata |= {"continue": uuid.uuid4().hex, "remainingItemCount": len(rest)}
            self._pages[metadata["continue"]] = (version, rest)
        bare = [{k: item[k] for k in item if k not in ("kind", "apiVersion")} for item in items[:limit]]
        listed = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata}
        return web.json_response(listed | {"items": bare})

    async def _watch(self, request: web.Request, resource: Resource, namespace: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        with contextlib.suppress(ConnectionError):  # the client may leave at any time
            await response.prepare(request)
            if self.watches_are == "silent":
                await asyncio.Event().wait()
            if self.watches_are == "live":
                await self._follow(request, resource, namespace, response)
        return response

    async def _follow(
        self, request: web.Request, resource: Resource, namespace: str, response: web.StreamResponse
    ) -> None:
        typed = {"kind": resource.kind, "apiVersion": resource.api_version}
        watch = Watch(resource.plural, namespace, asyncio.Queue())
        self._replay(watch, request.query.get("resourceVersion", ""))
        self._open.append(watch)
        seconds = float(request.query.get("timeoutSeconds") or 1800)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._send(watch, typed, response, "allowWatchBookmarks" in request.query)
        finally:
            self._open.remove(watch)

    def _replay(self, watch: Watch, since: str) -> None:
        """Queue what came after `since`; without it, or from "0", the current objects as ADDED."""
        if since in ("", "0"):
            for (plural, _, _), obj in sorted(self._objects.items()):
                watch.offer(Event(0, "ADDED", plural, obj))
        elif int(since) < self._floor:
            watch.offer(Event(0, "ERROR", "*", status_of(410, "too old resource version")))
        else:
            for event in self._events:
                if event.version > int(since):
                    watch.offer(event)

    async def _send(self, watch: Watch, typed: Object, response: web.StreamResponse, bookmarks: bool) -> None:
        while True:
            event = Event(0, "BOOKMARK", "*", {})
            with contextlib.suppress(TimeoutError):
                event = await asyncio.wait_for(watch.queue.get(), self.bookmark_s if bookmarks else None)
            body = event.object
            if event.type == "BOOKMARK":
                body = {"metadata": {"resourceVersion": str(self.version)}}
            if event.type != "ERROR":
                body = typed | body
            await response.write(json.dumps({"type": event.type, "object": body}).encode() + b"\n")
            if event.type == "ERROR":
                return
