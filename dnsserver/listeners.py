"""The DNS listeners of a process, by address. What answers may change under them; their sockets stay."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Final

from prometheus_client.core import Metric

from dnsserver import metrics
from dnsserver.answer.tally import Transport
from dnsserver.handle import Handle, Responding
from dnsserver.transport.filter import Rule
from dnsserver.transport.sockets import Address, Sockets
from dnsserver.transport.tcp import TcpListener
from dnsserver.transport.thinning import Limit
from dnsserver.transport.udp import UdpListener, serve_udp

DRAIN: Final = 5.0
"""Seconds that responses under way have to be made and taken."""


class Listeners:
    def __init__(
        self,
        answering: Callable[[Transport, Address], tuple[Responding | None, Handle]],
        admits: Callable[[bytes], bool],
        denied: Callable[[], Iterable[Rule]],
        limit: Callable[[], Limit | None],
    ) -> None:
        """Answer by what `answering` returns, asked for each listener now and at `renew`.

        `admits` says whether the octets of an address may have a TCP connection. `denied` returns from
        which networks no datagrams are wanted, and `limit` how many from others.
        """
        self._answering, self._admits, self._denied, self._limit = answering, admits, denied, limit
        self._udp: dict[Address, dict[int, UdpListener]] = {}
        """By the process whose socket it is."""
        self._tcp: dict[Address, TcpListener] = {}

    @property
    def addresses(self) -> Collection[Address]:
        return self._tcp.keys()

    async def open(self, opened: Mapping[Address, Sockets]) -> None:
        """Answer on more addresses."""
        for address, sockets in opened.items():
            self._udp[address] = {}
            for owner, sock in sockets.udp.items():
                await self.take(owner, address, sock)
            self._tcp[address] = TcpListener(*self._answering("tcp", address), admits=self._admits)
            await self._tcp[address].start(sockets.tcp)

    async def take(self, owner: int, address: Address, sock: socket.socket) -> None:
        """Answer the datagrams of one more socket of an address, that of another process."""
        listener = self._udp[address][owner] = await serve_udp(sock, *self._answering("udp", address))
        self._filter(listener)

    def _filter(self, listener: UdpListener) -> None:
        listener.deny(self._denied())
        listener.limit(self._limit())

    def leave(self, owner: int) -> None:
        """Leave the sockets of another process to it."""
        for datagrams in self._udp.values():
            if owner in datagrams:
                datagrams.pop(owner).close()

    def renew(self) -> None:
        """Answer by what `answering` returns now."""
        for address, datagrams in self._udp.items():
            for listener in datagrams.values():
                listener.answer_by(*self._answering("udp", address))
                self._filter(listener)
        for address, streams in self._tcp.items():
            streams.answer_by(*self._answering("tcp", address))

    async def drain(self, addresses: Iterable[Address], settled: Callable[[], Awaitable[None]]) -> None:
        """Take no more queries on these addresses, answer what has arrived, and close.

        `settled` returns when all responses have been made that take time.
        """
        udp: list[UdpListener] = []
        tcp: list[TcpListener] = []
        for address in list(addresses):
            udp += self._udp.pop(address).values()
            tcp.append(self._tcp.pop(address))
        for datagrams in udp:
            datagrams.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await asyncio.gather(settled(), *(listener.drain() for listener in tcp))
        for datagrams in udp:
            datagrams.close()

    def close(self) -> None:
        """Close at once, after the responses that are made already."""
        for datagrams in self._udp.values():
            for listener in datagrams.values():
                listener.close()
        for streams in self._tcp.values():
            streams.close()

    def metrics(self, prefix: str) -> Iterable[Metric]:
        udp = {address: list(listeners.values()) for address, listeners in self._udp.items()}
        yield from metrics.of_listeners(
            [one for many in udp.values() for one in many], list(self._tcp.values())
        )
        yield from metrics.of_samples(prefix, udp)
