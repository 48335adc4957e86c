"""Events on the objects that ask for records: `kubectl describe` shows them.

Telling is a courtesy: it never holds anything up. What is too much, or refused, is dropped and counted.
"""

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from syncer.endpoint import ObjectRef
from syncer.happening import Happening

BACKLOG: Final = 1000
"""Events that may wait; the rest is dropped."""

PAUSE: Final = 0.05
"""Seconds between two requests: an API server has other clients."""

TIMEOUT: Final = 10.0
"""Seconds for a request."""

MAX_MESSAGE: Final = 1000
"""Characters; Kubernetes takes 1024."""

_KNOWN: Final = 4096
"""Events of which it is remembered how often they were sent."""

_COMPONENT: Final = "syncer"

Request = Callable[..., Awaitable[Any]]
"""As `Client.request`."""

log = logging.getLogger("syncer.kube")


class Recorder:
    """Sends events of some reasons. The same one again raises the count of the first."""

    def __init__(
        self,
        request: Request,
        reasons: frozenset[str],
        kinds: Mapping[str, tuple[str, str]],
        find: Callable[[str], ObjectRef | None],
    ) -> None:
        """Make one.

        Args:
            request: sends to the API.
            reasons: what is told at all.
            kinds: kind of resource → apiVersion and kind.
            find: the object of a resource's text, None where there is none any more.
        """
        self._request, self._reasons, self._kinds, self._find = request, reasons, kinds, find
        self._waiting: deque[tuple[Happening, ObjectRef]] = deque()
        self._wake = asyncio.Event()
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._failure = ""
        self.dropped = 0
        """Events that were not sent."""

    def note(self, happenings: Iterable[Happening]) -> None:
        """Take what has happened; to be called on the event loop."""
        for happening in happenings:
            if happening.reason not in self._reasons:
                continue
            ref = self._find(happening.resource) or _ref_of(happening.resource)
            if ref is None or ref.kind not in self._kinds:
                continue
            if len(self._waiting) >= BACKLOG:
                self.dropped += 1
                continue
            self._waiting.append((happening, ref))
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._send(*self._waiting.popleft())
                await asyncio.sleep(PAUSE)

    async def _send(self, happening: Happening, ref: ObjectRef) -> None:
        body = self._event(happening, ref)
        name, count = body["metadata"]["name"], self._counts.get(body["metadata"]["name"], 0) + 1
        path = f"/api/v1/namespaces/{body['metadata']['namespace']}/events"
        try:
            status = await self._call("POST", path, body) if count == 1 else 409
            if status == 409:
                again = {"count": count, "lastTimestamp": body["lastTimestamp"]}
                status = await self._call("PATCH", f"{path}/{name}", again)
                if status == 404:  # events live an hour
                    count, status = 1, await self._call("POST", path, body)
        except Exception as error:
            self._fail(str(error)[:200] or type(error).__name__)
            return
        if status >= 300:
            self._fail(f"HTTP {status}")
            return
        self._failure = ""
        self._counts[name] = count
        self._counts.move_to_end(name)
        if len(self._counts) > _KNOWN:
            self._counts.popitem(last=False)

    async def _call(self, method: str, path: str, body: Mapping[str, Any]) -> int:
        kind = "application/json" if method == "POST" else "application/merge-patch+json"
        response = await self._request(method, path, TIMEOUT, body=body, content_type=kind)
        await response.read()
        status: int = response.status
        return status

    def _fail(self, why: str) -> None:
        self.dropped += 1
        if why != self._failure:
            log.warning("events cannot be written (%s); they are dropped (--events-emit)", why)
        self._failure = why

    def _event(self, happening: Happening, ref: ObjectRef) -> dict[str, Any]:
        version, kind = self._kinds[ref.kind]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = json.dumps([str(ref), ref.uid, happening.reason, happening.message])
        involved = {"apiVersion": version, "kind": kind, "name": ref.name}
        involved |= {"namespace": ref.namespace} if ref.namespace else {}
        involved |= {"uid": ref.uid} if ref.uid else {}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{ref.name[:200]}.{hashlib.sha256(text.encode()).hexdigest()[:16]}",
                "namespace": ref.namespace or "default",
            },
            "involvedObject": involved,
            "reason": happening.reason,
            "message": happening.message[:MAX_MESSAGE],
            "type": "Warning" if happening.reason == "RecordError" else "Normal",
            "source": {"component": _COMPONENT},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }


def _ref_of(resource: str) -> ObjectRef | None:
    """Return the object of a text `kind/namespace/name`: one that is gone has events too."""
    parts = resource.split("/")
    return ObjectRef(*parts) if len(parts) == 3 else None
