"""TCP: two octets of length before each message, several messages a connection (RFC 7766).

Memory of a connection is bounded: what one read brings, one response past OUTPUT octets, and what the
kernel holds. A reader who does not read stops being read; who is idle or stuck is closed. A response of
several messages is an iterator: the next message is taken when the client has taken the ones before.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from dnsserver.handle import Handle, Reply, Responding, Response, nothing
from dnsserver.transport.sockets import octets_of

IDLE_TIMEOUT: Final = 10.0
"""Seconds without a whole message, or with a response not taken, until a close (RFC 7766 §6.2.3)."""

MAX_CONNECTIONS: Final = 1024
MAX_PER_CLIENT: Final = 128
"""Connections in all, and of one address (RFC 7766 §6.2.2)."""

TURN: Final = 64
"""Messages of one connection answered before other connections and UDP get their turn."""

OUTPUT: Final = 65_536
"""Octets of responses made in one turn, at most; also how many may be unsent before reading stops."""

MIN_MESSAGE: Final = 12

PENDING: Final = 64
"""Messages of one connection whose responses take time; with as many nothing more is read from it."""


class TcpListener:
    """Accepts connections on a socket and answers their messages until `close`."""

    def __init__(
        self,
        responder: Responding | None,
        handle: Handle = nothing,
        *,
        admits: Callable[[bytes], bool] = lambda address: True,
        idle_timeout: float = IDLE_TIMEOUT,
        max_connections: int = MAX_CONNECTIONS,
        max_per_client: int = MAX_PER_CLIENT,
    ) -> None:
        """Answer by `responder`, and what that has no response for by `handle`; without it all by `handle`.

        `admits` says whether the octets of an address may have a connection.
        """
        self._admits = admits
        self.responder, self.handle = responder, handle
        self.max_connections, self.max_per_client = max_connections, max_per_client
        self.connections: dict[_Connection, None] = {}
        """Open ones, the longest idle first."""
        self.clients: Counter[bytes] = Counter()
        """Connections by address; the addresses of an IPv6 network of 64 bits are one client."""
        self.accepted = self.refused = self.timed_out = 0
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def answer_by(self, responder: Responding | None, handle: Handle) -> None:
        """Answer by others from now on, also on connections that are open."""
        self.responder, self.handle = responder, handle

    async def start(self, sock: socket.socket) -> None:
        self._server = await self._loop.create_server(lambda: _Connection(self), sock=sock)
        self._sweep()

    def close(self) -> None:
        """Stop accepting and close every connection when its responses are sent."""
        if self._server:
            self._server.close()
        if self._sweeper:
            self._sweeper.cancel()
        for connection in list(self.connections):
            connection.transport.close()

    async def drain(self) -> None:
        """Stop accepting, answer what has arrived, and close; at a cancellation connections are aborted."""
        if self._server:
            self._server.close()
        for connection in list(self.connections):
            connection.finish()
        try:
            await self._empty.wait()
        finally:
            for connection in list(self.connections):
                connection.transport.abort()
            self.close()

    def admit(self, connection: "_Connection") -> bool:
        """Make room for a new connection: the longest idle goes. False: it may have none, or has enough."""
        if not self._admits(connection.address) or self.clients[connection.client] >= self.max_per_client:
            self.refused += 1
            return False
        if len(self.connections) >= self.max_connections:
            self.refused += 1
            next(iter(self.connections)).transport.abort()
        self.accepted += 1
        self.clients[connection.client] += 1
        self.connections[connection] = None
        self._empty.clear()
        return True

    def active(self, connection: "_Connection") -> None:
        """Note that a connection has brought a whole message or taken its responses."""
        connection.active_at = self._loop.time()
        if connection in self.connections:
            del self.connections[connection]
            self.connections[connection] = None

    def gone(self, connection: "_Connection") -> None:
        if connection in self.connections:
            del self.connections[connection]
            self.clients[connection.client] -= 1
            if not self.clients[connection.client]:
                del self.clients[connection.client]
            if not self.connections:
                self._empty.set()

    def _sweep(self) -> None:
        oldest = self._loop.time() - self._idle_timeout
        for connection in list(self.connections):
            if connection.active_at > oldest:
                break
            self.timed_out += 1
            connection.transport.abort()
        self._sweeper = self._loop.call_later(min(1.0, self._idle_timeout / 4), self._sweep)


class _Connection(asyncio.Protocol):
    def __init__(self, listener: TcpListener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._input = bytearray()
        self._blocked = False
        """The client does not read: nothing more is answered until it does."""
        self._scheduled = False
        self._ended = False
        self._rest: Iterator[bytes] | None = None
        """Messages that are still to come of the last response."""
        self._pending = 0
        """Messages whose responses come later."""
        self.active_at = self._loop.time()
        self.address, self.port = b"", 0
        self.transport: asyncio.Transport

    @property
    def client(self) -> bytes:
        """Who is counted as one: an IPv4 address, the first half of an IPv6 one."""
        return self.address[:8]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer: Any = transport.get_extra_info("peername")
        if not peer:  # it has gone already
            self.transport.abort()
            return
        self.address, self.port = octets_of(peer[0]), peer[1]
        if not self._listener.admit(self):
            self.transport.abort()
            return
        self.transport.set_write_buffer_limits(high=OUTPUT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._input.clear()
        self._rest = None
        self._listener.gone(self)

    def data_received(self, data: bytes) -> None:
        self._input += data
        if not self._scheduled:
            self._answer()

    def eof_received(self) -> bool:
        # A client may close its side after the last query and still read (all peers answer it).
        self._ended = True
        if not self._scheduled and not self._blocked:
            self._answer()
        return True

    def finish(self) -> None:
        """Close when what has arrived is answered."""
        self.eof_received()

    def pause_writing(self) -> None:
        self._blocked = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._blocked = False
        self._listener.active(self)
        self._answer()

    def _answer(self) -> None:
        """Answer whole messages of the input, one turn of them, and write once."""
        self._scheduled = False
        if self.transport.is_closing() or self._blocked:
            return
        if self._rest is not None:
            self._go_on(self._rest)
            return
        octets, at, size = self._input, 0, 0
        replies: list[bytes] = []
        responder, handle = self._listener.responder, self._listener.handle
        for _ in range(TURN):
            if len(octets) - at < 2 or size > OUTPUT or self._pending >= PENDING:
                break
            length = octets[at] << 8 | octets[at + 1]
            if length < MIN_MESSAGE:
                self._listener.active(self)
                self._finish(replies)  # no DNS is framed like this: HTTP, TLS, noise
                return
            end = at + 2 + length
            if len(octets) < end:
                break
            message = bytes(memoryview(octets)[at + 2 : end])
            at = end
            response: Response = responder.respond(message) if responder else None
            if response is None:
                response = handle(message, self.address, self.port)
            if isinstance(response, bytes):
                replies.append(len(response).to_bytes(2, "big") + response)
                size += len(response)
            elif callable(response):
                response(self._reply())
            elif response is not None:
                self._rest = response
                break
        if at:
            del octets[:at]
            self._listener.active(self)
        if replies:
            self.transport.write(b"".join(replies))
        self._next()

    def _reply(self) -> Reply:
        """Return what replies to the message at hand when others may have been answered since."""
        self._pending += 1
        used = False

        def reply(message: bytes | None) -> None:
            nonlocal used
            if used or self.transport.is_closing():
                return
            used = True
            self._pending -= 1
            # Who does not read what there is gets no more of it; a query without response is asked again.
            if message and self.transport.get_write_buffer_size() <= OUTPUT:
                self.transport.write(len(message).to_bytes(2, "big") + message)
            self._listener.active(self)
            if not self._scheduled and not self._blocked:
                self._scheduled = True
                self._loop.call_soon(self._answer)

        return reply

    def _go_on(self, rest: Iterator[bytes]) -> None:
        """Send one more message of a response, and the others in later turns."""
        try:
            message = next(rest, None)
        except Exception:
            self.transport.abort()  # it has been told by who made the messages; half a response is none
            return
        self._listener.active(self)
        if message is None:
            self._rest = None
        elif message:
            self.transport.write(len(message).to_bytes(2, "big") + message)
        self._next()

    def _next(self) -> None:
        """Go on with what is left in the input, after others had their turn."""
        octets = self._input
        whole = len(octets) >= 2 and len(octets) >= 2 + (octets[0] << 8 | octets[1])
        if self._blocked:
            return
        if self._rest is not None or (whole and self._pending < PENDING):
            self._scheduled = True
            self.transport.pause_reading()
            self._loop.call_soon(self._answer)
        elif whole:
            self.transport.pause_reading()
        elif self._ended and not self._pending:
            self.transport.close()
        elif not self._ended:
            self.transport.resume_reading()

    def _finish(self, replies: list[bytes]) -> None:
        self._input.clear()
        if replies:
            self.transport.write(b"".join(replies))
        self.transport.close()
