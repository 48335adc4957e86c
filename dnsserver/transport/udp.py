"""UDP: the batch loop where the system has recvmmsg, an asyncio datagram endpoint elsewhere."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from dnsserver.transport import mmsg

Respond = Callable[[bytes], bytes | None]

Deferred = Callable[[bytes, str], bytes | None]
"""(datagram that a Respond has no response for, client's address) → its response, or None."""

MAX_UNSENT: Final = 1 << 20
"""Octets of replies that may wait for the kernel; further ones are dropped."""


class BatchListener:
    """Serves a socket by batches from the event loop's reader callback."""

    def __init__(self, sock: socket.socket, respond: Respond, deferred: Deferred) -> None:
        self._sock = sock
        self._batch = mmsg.Batch(sock, respond, deferred)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._batch.ready)

    @property
    def send_errors(self) -> int:
        return self._batch.send_errors

    def close(self) -> None:
        """Answer what the kernel still holds and close the socket."""
        self._loop.remove_reader(self._sock.fileno())
        self._batch.ready()
        self._sock.close()


class EndpointListener(asyncio.DatagramProtocol):
    """Serves a socket by an asyncio datagram endpoint.

    It cannot choose the address that a reply leaves from: on a machine with several, listen on each.
    """

    def __init__(self, respond: Respond, deferred: Deferred) -> None:
        self._respond, self._deferred = respond, deferred
        self._transport: asyncio.DatagramTransport | None = None
        self.send_errors = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        reply = self._respond(data)
        if reply is None:
            reply = self._deferred(data, str(addr[0]))
        if reply is None or self._transport is None:
            return
        # The loop queues without a bound what the kernel does not take.
        if addr[1] == 0 or _unsent(self._transport) > MAX_UNSENT:
            self.send_errors += 1
            return
        self._transport.sendto(reply, addr)

    def error_received(self, exc: Exception) -> None:
        self.send_errors += 1

    def close(self) -> None:
        if self._transport:
            self._transport.close()


def _unsent(transport: asyncio.DatagramTransport) -> int:
    size: int = transport.get_write_buffer_size()  # type: ignore[attr-defined]
    return size


UdpListener = BatchListener | EndpointListener


async def serve_udp(
    sock: socket.socket,
    respond: Respond,
    deferred: Deferred = lambda query, client: None,
    *,
    batched: bool = mmsg.AVAILABLE,
) -> UdpListener:
    """Answer the datagrams of a bound socket until `close`."""
    if batched:
        return BatchListener(sock, respond, deferred)
    loop = asyncio.get_running_loop()
    _, listener = await loop.create_datagram_endpoint(lambda: EndpointListener(respond, deferred), sock=sock)
    return listener
