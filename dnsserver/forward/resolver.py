"""Asks upstreams in order until one has answered, once for all who ask the same at a time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from dnsserver.forward.cache import Cache, Entry
from dnsserver.forward.question import Asked
from dnsserver.forward.response import Limits, entry_of, failure
from dnsserver.forward.upstream import Upstream, UpstreamError
from dnsserver.wire.name import FormatError

TRIES: Final = 2
"""Of each upstream for one question, where nothing came of the first: datagrams get lost."""

Done = Callable[[Entry, float], None]
"""Takes what became of a question, and its age in seconds."""


class Resolver:
    """Finds what upstreams say to questions, or said."""

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        cache: Cache,
        limits: Limits,
        *,
        deadline: float,
        max_in_flight: int,
        on_fault: Callable[[Exception], None],
    ) -> None:
        """Answer within `deadline` seconds; wait for at most `max_in_flight` answers at a time."""
        self.upstreams = upstreams
        self.cache = cache
        self.hits = {False: 0, True: 0}
        """Questions answered from the cache, by whether that was a denial."""
        self.misses = self.rejected = 0
        self._limits, self._deadline, self._max_in_flight = limits, deadline, max_in_flight
        self._on_fault = on_fault
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Asked, list[Done]] = {}
        """Who is to be told, by what upstreams are being asked."""
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def settle(self) -> None:
        """Return when all who wait have been told."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def known(self, asked: Asked) -> tuple[Entry, float] | None:
        """Return what is kept for a question, and its age in seconds."""
        now = self._loop.time()
        entry = self.cache.get(asked, now)
        if entry is None:
            self.misses += 1
            return None
        self.hits[entry.is_denial] += 1
        return entry, now - entry.stored

    def resolve(self, asked: Asked, done: Done) -> bool:
        """Call `done` when upstreams have answered or failed. False: too many wait already."""
        if self._in_flight >= self._max_in_flight:
            self.rejected += 1
            return False
        self._in_flight += 1
        if asked in self._waiting:
            self._waiting[asked].append(done)
            return True
        self._waiting[asked] = [done]
        task = self._loop.create_task(self._run(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _run(self, asked: Asked) -> None:
        try:
            entry = await self._answer(asked)
        except Exception as error:
            self._on_fault(error)
            entry = failure(self._limits, self._loop.time())
        finally:
            waiting = self._waiting.pop(asked)
            self._in_flight -= len(waiting)
        self.cache.put(asked, entry)
        for done in waiting:
            try:
                done(entry, 0.0)
            except Exception as error:
                self._on_fault(error)

    async def _answer(self, asked: Asked) -> Entry:
        refused: set[Upstream] = set()
        try:
            async with asyncio.timeout(self._deadline):
                for _ in range(TRIES):
                    for upstream in self._candidates():
                        if upstream in refused:
                            continue
                        try:
                            reply = await upstream.ask(asked)
                            return entry_of(asked, reply, self._limits, self._loop.time())
                        except UpstreamError as error:
                            if not error.is_silent:
                                refused.add(upstream)
                        except FormatError:
                            refused.add(upstream)
        except TimeoutError:
            pass
        return failure(self._limits, self._loop.time())

    def _candidates(self) -> Sequence[Upstream]:
        """Return those that are well, in order; if there are none, those that may be well again."""
        usable = [upstream for upstream in self.upstreams if not upstream.health.is_loop]
        return [upstream for upstream in usable if not upstream.health.is_down] or usable
