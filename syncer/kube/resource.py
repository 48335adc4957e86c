"""One kind of object of the Kubernetes API as raw JSON: pages of a list, events of a watch."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

PAGE: Final = 500
"""Objects a list call returns: some milliseconds of decoding on the event loop."""

WATCH_TIMEOUT: Final = 120
"""Seconds after which the server ends a watch, which is then opened again where it stood."""

WATCH_GRACE: Final = 15
"""Seconds after that when a server that has not ended it counts as dead."""

MAX_LINE: Final = 16 * 1024 * 1024
"""Octets of one event; etcd holds no object over 1.5 MiB."""


class ApiUnavailable(Exception):
    """The API did not answer, or refused. Retry with back-off."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        """What kind of failure, for telling a new one from the same one again: `403`, `unreachable`."""


class ApiGone(Exception):
    """The resource version is too old. List again."""


class Page(NamedTuple):
    items: list[Any]
    resource_version: str
    token: str
    """For the next page; empty after the last."""


class Event(NamedTuple):
    type: str
    object: dict[str, Any]


Get = Callable[[Mapping[str, str], float], Awaitable[Any]]
"""A query's parameters and the seconds it may take → the response, unread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResource:
    """One kind of object, of one namespace or of all."""

    title: str
    """For people, as `ingresses.networking.k8s.io`."""
    get: Get
    request_timeout: float = 30.0
    watch_timeout: int = WATCH_TIMEOUT
    watch_grace: float = WATCH_GRACE

    async def page(self, token: str) -> Page:
        """Return a page of the list: the first for an empty token.

        Raises:
            ApiUnavailable: no usable answer.
            ApiGone: the token has expired.
        """
        query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
        try:
            response = await self.get(query, self.request_timeout)
            body = await response.read()
        except Exception as error:
            raise self._failure(error) from None
        self.check(response.status, body)
        document = self._object(body)
        items, metadata = document.get("items"), document.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("resourceVersion"), str):
            raise ApiUnavailable("malformed", f"{self.title}: a list without a resourceVersion")
        following = metadata.get("continue")
        return Page(
            items if isinstance(items, list) else [],
            metadata["resourceVersion"],
            following if isinstance(following, str) else "",
        )

    @asynccontextmanager
    async def watch(self, resource_version: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Open a watch from a resource version on; it has begun when the block is entered.

        Raises:
            ApiUnavailable: refused, broken off, or silent for longer than the server had agreed to.
            ApiGone: the resource version is too old.
        """
        response = await self._open_watch(resource_version)
        try:
            yield self._events(response.content)
        finally:
            response.close()

    async def _open_watch(self, resource_version: str) -> Any:
        query = {"watch": "true", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        query |= {"timeoutSeconds": str(self.watch_timeout)}
        try:
            # Of the whole exchange: the library gives up then, also where nothing comes any more.
            response = await self.get(query, self.watch_timeout + self.watch_grace)
            body = b"" if response.status == 200 else await response.read()
        except Exception as error:
            raise self._failure(error) from None
        if response.status != 200:
            response.close()
            self.check(response.status, body)
        return response

    async def _events(self, content: Any) -> AsyncIterator[Event]:
        buffer = b""
        while chunk := await self._chunk(content):
            *lines, buffer = (buffer + chunk).split(b"\n")
            if len(buffer) > MAX_LINE:
                raise ApiUnavailable("malformed", f"{self.title}: an event of over {MAX_LINE} octets")
            for line in lines:
                if line.strip():
                    yield self._event(line)

    async def _chunk(self, content: Any) -> bytes:
        try:
            chunk: bytes = await content.readany()
        except Exception as error:
            raise self._failure(error) from None
        return chunk

    def _event(self, line: bytes) -> Event:
        document = self._object(line)
        type_, content = document.get("type"), document.get("object")
        if not isinstance(type_, str) or not isinstance(content, dict):
            raise ApiUnavailable("malformed", f"{self.title}: an event without type or object")
        if type_ == "ERROR":
            code, message = content.get("code"), str(content.get("message"))[:200]
            if code == 410:
                raise ApiGone(message)
            raise ApiUnavailable(str(code), f"{self.title}: the watch failed: {message}")
        return Event(type_, content)

    def _object(self, octets: bytes) -> dict[str, Any]:
        try:
            document = json.loads(octets)
        except (ValueError, RecursionError):
            raise ApiUnavailable("malformed", f"{self.title}: no JSON: {octets[:80]!r}") from None
        if not isinstance(document, dict):
            raise ApiUnavailable("malformed", f"{self.title}: no JSON object: {octets[:80]!r}")
        return document

    def check(self, status: int, body: bytes) -> None:
        """Return if a response is one.

        Raises:
            ApiGone, ApiUnavailable: it is a refusal.
        """
        if status == 200:
            return
        try:
            message = str(json.loads(body)["message"])
        except (ValueError, RecursionError, LookupError, TypeError):
            message = body.decode("utf-8", "replace").strip()
        if status == 410:
            raise ApiGone(message[:200])
        hint = {
            401: ": the credentials are not accepted",
            403: ": the account may not list and watch them",
            404: ": this API server does not have them",
        }.get(status, "")
        raise ApiUnavailable(str(status), f"{self.title}: HTTP {status}{hint}: {message[:200]}")

    def _failure(self, error: Exception) -> ApiUnavailable:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return ApiUnavailable("unreachable", f"{self.title}: {reason[:200] or type(error).__name__}")
