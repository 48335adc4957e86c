"""UDP: the batch loop where the system has recvmmsg, an asyncio datagram endpoint elsewhere."""

import asyncio
import logging
import socket
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, cast

from dnsserver.handle import Handle, Responding, Response, nothing
from dnsserver.transport import mmsg
from dnsserver.transport.filter import Network, Rule, attach
from dnsserver.transport.samples import Sampler
from dnsserver.transport.sockets import octets_of
from dnsserver.transport.thinning import Limit, Thinning
from dnsserver.wire.const import UDP_PAYLOAD

log = logging.getLogger("dnsserver")

MAX_UNSENT: Final = 1 << 20
"""Octets of replies that may wait for the kernel; further ones are dropped."""

LAST_TURNS: Final = 64
"""Of `Batch.ready` before a close: more datagrams than a receive buffer holds, so that a flood has an end."""


_MEMINFO: Final = 55  # SO_MEMINFO of Linux: nine numbers of 32 bits, the last of which counts drops


class _Listener:
    """What both kinds of listener have: a socket, and who may not send to it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._denied: Sequence[Rule] = ()
        self._thinned: Sequence[Rule] = ()

    def deny(self, rules: Iterable[Rule]) -> None:
        """Have the kernel drop what the first rule with its source says, as far as it can."""
        self._denied = list(rules)
        attach(self._sock, (self._denied, self._thinned))

    def _thin(self, rules: Sequence[Rule]) -> bool:
        self._thinned = rules
        return attach(self._sock, (self._denied, rules))[1]

    @property
    def kernel_drops(self) -> int:
        """Datagrams that found no room in the receive buffer, or were dropped by rules."""
        try:
            return int.from_bytes(self._sock.getsockopt(socket.SOL_SOCKET, _MEMINFO, 36)[-4:], sys.byteorder)
        except OSError:
            return 0


class BatchListener(_Listener):
    """Serves a socket by batches from the event loop's reader callback."""

    def __init__(self, sock: socket.socket, responder: Responding | None, handle: Handle) -> None:
        super().__init__(sock)
        self._batch = mmsg.Batch(sock, responder, handle)
        self._finished = False
        self._loop = asyncio.get_running_loop()
        self.samples = Sampler(sock.fileno(), self._batch)
        self._limit: Limit | None = None
        self._thinning: Thinning | None = None

    def limit(self, limit: Limit | None) -> None:
        """Thin networks by a limit from now on; by one that is the same as before, go on."""
        if limit == self._limit:
            return
        self._limit = limit
        if self._thinning:
            self._thinning.close()
            self._thin(())
        self._thinning = Thinning(self._batch, limit.meter(), self._thin) if limit else None
        self.samples.read_by(self._thinning.ready if self._thinning else self._batch.ready)

    @property
    def thinned(self) -> set[Network]:
        """Networks of which the kernel drops a part."""
        return self._thinning.networks if self._thinning else set()

    @property
    def send_errors(self) -> int:
        return self._batch.send_errors

    def answer_by(self, responder: Responding | None, handle: Handle) -> None:
        """Answer by others from now on."""
        self._batch.answer_by(responder, handle)

    def finish(self) -> None:
        """Answer what the kernel still holds, and no more; replies that take time can still be sent."""
        if self._finished:
            return
        self._finished = True
        self.samples.close()
        if self._thinning:
            self._thinning.close()
        self._loop.remove_reader(self._sock.fileno())
        for _ in range(LAST_TURNS):
            if not self._batch.ready():
                break

    def close(self) -> None:
        """Finish and close the socket, if it is not closed."""
        self.finish()
        self._sock.close()


class EndpointListener(_Listener, asyncio.DatagramProtocol):
    """Serves a socket by an asyncio datagram endpoint.

    It cannot choose the address that a reply leaves from: on a machine with several, listen on each.
    """

    def __init__(self, sock: socket.socket, responder: Responding | None, handle: Handle) -> None:
        super().__init__(sock)
        self._responder, self._handle = responder, handle
        self._transport: asyncio.DatagramTransport | None = None
        self.send_errors = 0
        self.samples = None
        """There are none here."""
        self.thinned: set[Network] = set()

    def limit(self, limit: Limit | None) -> None:
        """Say that there is no limit here."""
        if limit:
            log.warning("query_limit is for Linux: there is none here")

    def answer_by(self, responder: Responding | None, handle: Handle) -> None:
        """Answer by others from now on."""
        self._responder, self._handle = responder, handle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        response: Response = self._responder.respond(data) if self._responder else None
        if response is None:
            response = self._handle(data, octets_of(addr[0]), addr[1])
        if callable(response):
            response(partial(self._send, addr))
        elif isinstance(response, bytes):
            self._send(addr, response)

    def _send(self, client: tuple[Any, ...], reply: bytes | None) -> None:
        if not reply or self._transport is None or self._transport.is_closing():
            return
        # The loop queues without a bound what the kernel does not take.
        if client[1] == 0 or len(reply) > UDP_PAYLOAD or _unsent(self._transport) > MAX_UNSENT:
            self.send_errors += 1
            return
        self._transport.sendto(reply, client)

    def error_received(self, exc: Exception) -> None:
        self.send_errors += 1

    def finish(self) -> None:
        """Answer no more; replies that take time can still be sent."""
        self.answer_by(None, nothing)

    def close(self) -> None:
        if self._transport:
            self._transport.close()


def _unsent(transport: asyncio.DatagramTransport) -> int:
    size: int = transport.get_write_buffer_size()  # type: ignore[attr-defined]
    return size


UdpListener = BatchListener | EndpointListener


async def serve_udp(
    sock: socket.socket,
    responder: Responding | None,
    handle: Handle = nothing,
    *,
    batched: bool = mmsg.AVAILABLE,
) -> UdpListener:
    """Answer the datagrams of a bound socket until `close`.

    `handle` is asked for what `responder` has no response for, or without that for all.
    """
    if batched:
        return BatchListener(sock, responder, handle)
    loop = asyncio.get_running_loop()
    listener = EndpointListener(sock, responder, handle)
    await loop.create_datagram_endpoint(lambda: listener, sock=sock)
    return listener
