"""Upstreams on loopback that do as they are told: answer, lie, wait, cut short, or say nothing."""

import asyncio
import ssl
import subprocess
import uuid
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import dns.flags
import dns.message
import dns.rrset

from dnsserver.transport.sockets import Address
from tests.integration.tools import need_tool
from tools.embedded_etcd import free_port

Says = Callable[[bytes], list[bytes]]
"""query → the messages that are sent back, none being silence."""


def answer(query: bytes, *, ttl: int = 300, address: str = "192.0.2.1") -> bytes:
    """Return what an honest resolver says that knows one address for every name."""
    message = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    name = message.question[0].name
    message.answer = [dns.rrset.from_text(name, ttl, "IN", "A", address)]
    return message.to_wire()


def honest(query: bytes) -> list[bytes]:
    return [answer(query)]


def silent(query: bytes) -> list[bytes]:
    return []


def truncating(query: bytes) -> list[bytes]:
    message = dns.message.make_response(dns.message.from_wire(query))
    message.flags |= dns.flags.TC
    return [message.to_wire()]


def referring(query: bytes) -> list[bytes]:
    """Say what a server says that does not resolve."""
    message = dns.message.make_response(dns.message.from_wire(query))
    message.authority = [dns.rrset.from_text("test.", 300, "IN", "NS", "ns.test.")]
    return [message.to_wire()]


def failing(rcode: int) -> Says:
    def says(query: bytes) -> list[bytes]:
        message = dns.message.make_response(dns.message.from_wire(query))
        message.set_rcode(rcode)
        return [message.to_wire()]

    return says


class Seen(NamedTuple):
    transport: str
    query: bytes
    port: int
    """That it came from."""


class Upstream(asyncio.DatagramProtocol):
    """Serves UDP and TCP on a port, each as told; what it is told may change at any time."""

    def __init__(self, udp: Says = honest, tcp: Says = honest) -> None:
        self.udp, self.tcp = udp, tcp
        self.delay = 0.0
        """Seconds until it says what it says."""
        self.address = Address("127.0.0.1", free_port())
        self.seen: list[Seen] = []
        """Queries that came."""
        self.connections: list[asyncio.StreamWriter] = []

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._datagrams, _ = await self._loop.create_datagram_endpoint(lambda: self, tuple(self.address))
        self._server = await asyncio.start_server(self._connected, *self.address, ssl=tls)

    def stop(self) -> None:
        self._datagrams.close()
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connections there are."""
        for writer in self.connections:
            writer.transport.abort()
        self.connections.clear()

    def answer(self, seen: Seen) -> None:
        """Answer a query over UDP to which nothing was said."""
        self._datagrams.sendto(answer(seen.query), ("127.0.0.1", seen.port))

    def over(self, transport: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.transport == transport]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.seen.append(Seen("udp", data, addr[1]))
        for message in self.udp(data):
            self._loop.call_later(self.delay, self._datagrams.sendto, message, addr)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                self.seen.append(Seen("tcp", query, writer.get_extra_info("peername")[1]))
                for message in self.tcp(query):
                    self._loop.call_later(self.delay, writer.write, len(message).to_bytes(2, "big") + message)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


@asynccontextmanager
async def upstream(udp: Says = honest, tcp: Says = honest, tls: ssl.SSLContext | None = None):
    """Run an upstream on the test's event loop."""
    running = Upstream(udp, tcp)
    await running.start(tls)
    try:
        yield running
    finally:
        running.stop()


class Certificate(NamedTuple):
    file: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate(directory: Path, *names: str) -> Certificate:
    """Make a certificate that is its own authority, for names as `DNS:dns.test` or `IP:127.0.0.1`."""
    stem = f"certificate-{uuid.uuid4().hex[:8]}"
    made = Certificate(directory / f"{stem}.pem", directory / f"{stem}.key")
    options = (
        "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test -days 2"
        f" -addext subjectAltName={','.join(names)} -keyout {made.key} -out {made.file}"
    )
    subprocess.run(
        [need_tool("openssl"), "req", *options.split()],
        check=True,
        capture_output=True,
    )
    return made
