"""One upstream: how it is asked, and whether it is well."""

import asyncio
import errno
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from dnsserver.forward import datagram
from dnsserver.forward.health import Health
from dnsserver.forward.question import Asked
from dnsserver.forward.reply import Reply, read
from dnsserver.forward.stream import Stream, Tls
from dnsserver.transport.sockets import Address
from dnsserver.wire import const
from dnsserver.wire.name import FormatError, Name

BUCKETS: Final = tuple(0.00025 * 2**power for power in range(16))
"""Upper bounds of the histogram of durations, in seconds; CoreDNS's."""

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class UpstreamError(Exception):
    """No answer of an upstream; another may have one. The text says why."""

    def __init__(self, reason: str, *, is_silent: bool) -> None:
        super().__init__(reason)
        self.is_silent = is_silent
        """Nothing came from it at all, which speaks against its health."""


class Durations:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """By bucket, the last for what took longer than any."""
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds


class Upstream:
    """A resolver that names are asked of."""

    def __init__(
        self,
        address: Address,
        tls: Tls | None,
        is_ours: Callable[[Name], bool],
        *,
        timeout: float,
        failures: int,
        interval: float,
    ) -> None:
        """Give a query `timeout` seconds. `failures` and `interval` are its Health's.

        `is_ours` says of which names nothing is taken from it.
        """
        self.label = f"tls://{address}" if tls else str(address)
        self.health = Health(self.label, self._says_anything, failures=failures, interval=interval)
        self.requests = 0
        self.durations: defaultdict[int, Durations] = defaultdict(Durations)
        """Of the queries that got a response, by its rcode."""
        self._address, self._has_tls, self._timeout = address, tls is not None, timeout
        self._stream = Stream(address, tls)
        self._is_ours = is_ours

    def close(self) -> None:
        self.health.close()
        self._stream.close()

    async def ask(self, asked: Asked) -> Reply:
        """Return what the upstream says.

        Raises:
            UpstreamError: nothing in time, or nothing that helps.
        """
        began = time.monotonic()
        self.requests += 1
        try:
            reply = await self._exchange(asked)
        except UpstreamError as error:
            if error.is_silent:
                self.health.was_silent(str(error))
            raise
        self.health.has_answered()
        self.durations[reply.rcode].add(time.monotonic() - began)
        if reply.is_referral or reply.rcode not in (const.NOERROR, const.NXDOMAIN):
            raise UpstreamError(f"a referral, or rcode {reply.rcode}", is_silent=False)
        return reply

    async def _says_anything(self, name: Name) -> bool:
        try:
            await self._exchange(Asked(name, const.TXT, False, False))
        except UpstreamError as error:
            return not error.is_silent
        return True

    async def _exchange(self, asked: Asked) -> Reply:
        try:
            async with asyncio.timeout(self._timeout):
                message = None if self._has_tls else await datagram.exchange(self._address, asked)
                if message is None:
                    message = await self._stream.exchange(asked)
            return read(message, asked, self._is_ours)
        except TimeoutError:
            raise UpstreamError("no response in time", is_silent=True) from None
        except OSError as error:
            is_silent = error.errno not in _EXHAUSTED
            raise UpstreamError(error.strerror or str(error), is_silent=is_silent) from None
        except FormatError as error:
            raise UpstreamError(str(error), is_silent=False) from None
