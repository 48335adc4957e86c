"""List → replace → watch → apply, for ever: keeps a store equal to what an API server holds.

After any gap it lists again and replaces, so an object that was deleted meanwhile goes. It never gives up,
and it never repeats a request without a pause unless the last one lived.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from syncer.kube.resource import ApiGone, ApiUnavailable, Event, Page

FIRST_PAUSE: Final = 0.5
LAST_PAUSE: Final = 15.0
"""Seconds; the pause doubles from one to the other."""

HEALTHY: Final = 5.0
"""Seconds that a watch must live for the next to follow at once."""

log = logging.getLogger("syncer.kube")


class Api(Protocol):
    """What a reflector lists and watches."""

    @property
    def title(self) -> str: ...

    async def page(self, token: str) -> Page: ...

    def watch(self, resource_version: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]: ...


class Sink(Protocol):
    """Where a reflector puts what it sees."""

    def read(self, item: object) -> Any:
        """Return what is kept of a raw object."""

    def replace(self, kept: list[Any]) -> None:
        """Take all objects there are, as `read` returned them."""

    def apply(self, item: object) -> None:
        """Take an object that was added or modified."""

    def remove(self, item: object) -> None:
        """Forget an object that was deleted."""


class Reflector:
    """Reflects one resource into one sink."""

    def __init__(
        self,
        api: Api,
        sink: Sink,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api, self._sink, self._clock, self._sleep = api, sink, clock, sleep
        self._version: str | None = None
        """Where to watch from; None: list first."""
        self._failure = ""
        """The kind of failure that was logged last; empty when all is well."""
        self._heard = clock()
        """When the server last gave a sign of life."""
        self._lost: float | None = None
        """Since when nothing is known; None while the watch stands."""
        self._outage = 0.0

    @property
    def outage(self) -> float:
        """Seconds in all in which objects may have changed unseen."""
        return self._outage + (self._clock() - self._lost if self._lost is not None else 0.0)

    @property
    def fault(self) -> str:
        """What keeps the objects from being watched now; empty while nothing does."""
        return f"{self._api.title} are not watched: {self._failure}" if self._failure else ""

    @property
    def is_absent(self) -> bool:
        """Whether the server said last that it does not have this kind of object."""
        return self._failure == "404"

    async def run(self) -> None:
        """Reflect until cancelled."""
        pause, self._heard = FIRST_PAUSE, self._clock()
        while True:
            started = self._clock()
            try:
                if self._version is None:
                    await self._list()
                await self._watch(self._version or "")
            except ApiGone as error:
                log.debug("%s are listed again: %s", self._api.title, error)
                self._version = None
            except ApiUnavailable as error:
                self._note_failure(error)
            if has_lived := self._clock() - started >= HEALTHY:
                pause = FIRST_PAUSE
            if self._failure or not has_lived:
                await self._sleep(pause * random.uniform(0.5, 1))
                pause = min(pause * 2, LAST_PAUSE)

    async def _list(self) -> None:
        # Page by page, so that the raw objects are never in memory all at once.
        page = await self._api.page("")
        kept = [self._sink.read(item) for item in page.items]
        while page.token:
            page = await self._api.page(page.token)
            kept += [self._sink.read(item) for item in page.items]
        self._sink.replace(kept)
        self._version = page.resource_version

    async def _watch(self, version: str) -> None:
        async with self._api.watch(version) as events:
            self._note_success()
            async for event in events:
                self._take(event)

    def _take(self, event: Event) -> None:
        self._heard = self._clock()
        match event.type:
            case "ADDED" | "MODIFIED":
                self._sink.apply(event.object)
            case "DELETED":
                self._sink.remove(event.object)
            case _:  # BOOKMARK: a version and nothing else
                pass
        metadata = event.object.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if isinstance(version, str) and version:
            self._version = version

    def _note_failure(self, error: ApiUnavailable) -> None:
        if error.kind != self._failure:
            log.warning("%s; retrying, its last known objects stay", error)
        self._failure = error.kind
        # What a server does not have cannot change unseen.
        if self._lost is None and not self.is_absent:
            self._lost = self._heard

    def _note_success(self) -> None:
        if self._failure:
            log.info("%s are watched again", self._api.title)
        self._failure = ""
        self._outage, self._lost, self._heard = self.outage, None, self._clock()
