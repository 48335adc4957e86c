"""Host names of load balancers → their addresses, looked up again and again while records depend on them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from syncer.source.objects import Resolved

PERIOD: Final = 30.0
"""Seconds after which a host is looked up again."""

_AT_ONCE: Final = 8

Key = tuple[str, str]


async def system_addresses(host: str) -> tuple[str, ...]:
    """Return the addresses of a host, as the system's resolver says.

    Raises:
        OSError: it has none, or nobody knows.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(sorted({str(entry[4][0]) for entry in found}))


class Resolver:
    """A cache of hosts: one that was wanted once stays wanted.

    What cannot be looked up keeps the addresses it had: a resolver that is away takes no record away.
    """

    has_synced = True

    def __init__(
        self,
        changed: Callable[[], None],
        look_up: Callable[[str], Awaitable[tuple[str, ...]]] = system_addresses,
    ) -> None:
        self._changed, self._look_up = changed, look_up
        self._known: dict[str, Resolved] = {}
        self._changes: dict[Key, Resolved] = {}
        self._wanted: set[str] = set()
        self._wake = asyncio.Event()

    @property
    def is_awaited(self) -> bool:
        """Whether a host was not looked up yet."""
        return len(self._known) < len(self._wanted)

    def want(self, host: str) -> None:
        """Have a host looked up; to be called on the event loop."""
        if host not in self._wanted:
            self._wanted.add(host)
            self._wake.set()

    def items(self) -> Iterable[tuple[Key, Resolved]]:
        return [(("", host), found) for host, found in self._known.items()]

    def drain(self) -> Sequence[tuple[Key, Resolved]]:
        changes, self._changes = self._changes, {}
        return list(changes.items())

    async def run(self) -> None:
        """Look hosts up until cancelled: new ones at once, all of them at every period."""
        limit = asyncio.Semaphore(_AT_ONCE)
        loop = asyncio.get_running_loop()
        due = loop.time() + PERIOD
        while True:
            hosts = [host for host in sorted(self._wanted) if host not in self._known or loop.time() >= due]
            if loop.time() >= due:
                due = loop.time() + PERIOD
            await asyncio.gather(*(self._resolve(host, limit) for host in hosts))
            self._wake.clear()
            if self.is_awaited:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - loop.time())):
                    await self._wake.wait()

    async def _resolve(self, host: str, limit: asyncio.Semaphore) -> None:
        async with limit:
            before = self._known.get(host)
            try:
                addresses = await self._look_up(host)
            except OSError:
                addresses = before.addresses if before else ()
        self._known[host] = Resolved(host, addresses)
        if before != self._known[host]:
            self._changes["", host] = self._known[host]
            self._changed()
