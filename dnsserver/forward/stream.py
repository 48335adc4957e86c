"""Queries to one upstream over TCP or TLS: one connection for many of them (RFC 7766 §6.2.1.1, RFC 7858)."""

import asyncio
import secrets
import ssl
from typing import Final, NamedTuple, cast

from dnsserver.forward.question import Asked, matches, query
from dnsserver.transport.sockets import Address

IDLE_TIMEOUT: Final = 10.0
"""Seconds without a query until the connection is closed."""

MIN_MESSAGE: Final = 12


class Tls(NamedTuple):
    context: ssl.SSLContext
    server_name: str
    """What the certificate must be for: a host name or an address."""


class _Waiting(NamedTuple):
    asked: Asked
    done: asyncio.Future[bytes]


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._input = bytearray()
        self._idle: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._heard = 0
        """Messages that came."""
        self.waiting: dict[int, _Waiting] = {}
        """Queries without a response, by id."""

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        octets, at = self._input, 0
        octets += data
        while len(octets) - at >= 2:
            end = at + 2 + (octets[at] << 8 | octets[at + 1])
            if end - at - 2 < MIN_MESSAGE:
                self.abort()
                return
            if len(octets) < end:
                break
            self._answered(bytes(memoryview(octets)[at + 2 : end]))
            at = end
        del octets[:at]

    def _answered(self, message: bytes) -> None:
        self._heard += 1
        ident = message[0] << 8 | message[1]
        found = self.waiting.get(ident)
        if found and not found.done.done() and matches(message, ident, found.asked.name, found.asked):
            found.done.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for waiting in self.waiting.values():
            if not waiting.done.done():
                waiting.done.set_exception(ConnectionResetError("closed the connection"))

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()

    async def exchange(self, asked: Asked) -> bytes:
        """Send a query and return its response. Who gives it up ends a connection that was silent since."""
        if self._transport is None:
            raise ConnectionResetError("closed the connection")
        heard = self._heard
        if self._idle:
            self._idle.cancel()
        ident = secrets.randbits(16)
        while ident in self.waiting:
            ident = (ident + 1) & 0xFFFF
        message = query(asked, ident, asked.name)
        waiting = self.waiting[ident] = _Waiting(asked, self._loop.create_future())
        self._transport.write(len(message).to_bytes(2, "big") + message)
        try:
            return await waiting.done
        except asyncio.CancelledError:
            if self._heard == heard:
                self.abort()
            raise
        finally:
            del self.waiting[ident]
            if not self.waiting:
                self._idle = self._loop.call_later(IDLE_TIMEOUT, self.abort)


class Stream:
    """The connection to an upstream, made when there is something to ask."""

    def __init__(self, address: Address, tls: Tls | None) -> None:
        self._address, self._tls = address, tls
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def exchange(self, asked: Asked) -> bytes:
        """Return the message that answers a question.

        Raises:
            OSError: no connection, none that is encrypted for the right name, or closed by the upstream.
        """
        kept = self._connection
        if kept and kept.is_open:
            try:
                return await kept.exchange(asked)
            except ConnectionResetError:
                pass  # it may have been closed for idleness just before (RFC 7766 §6.2.4)
        return await (await self._connected()).exchange(asked)

    def close(self) -> None:
        if self._connection:
            self._connection.abort()

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.is_open:
                context, name = self._tls or (None, None)
                _, self._connection = await asyncio.get_running_loop().create_connection(
                    _Connection, *self._address, ssl=context, server_hostname=name
                )
        return self._connection
