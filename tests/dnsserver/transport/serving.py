"""A server's sockets in a thread with an event loop of the kind that serves, for clients that block."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dns.message
import uvloop

from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Tally
from dnsserver.handle import Handle, Responding, nothing
from dnsserver.transport import mmsg
from dnsserver.transport.sockets import Address, listen_tcp, listen_udp
from dnsserver.transport.tcp import TcpListener
from dnsserver.transport.udp import serve_udp
from tests.dnsserver.support import raising, table_of
from tools.embedded_etcd import free_port

ZONES = [
    {
        "name": "example.",
        "records": [
            {"name": "www", "type": "A", "data": "192.0.2.1"},
            {"name": "big", "type": "TXT", "data": " ".join(['"' + "t" * 255 + '"'] * 200)},
        ],
    }
]


def query(ident: int = 1, owner: str = "www.example.", kind: str = "A") -> bytes:
    return dns.message.make_query(owner, kind, id=ident).to_wire()


class Serving:
    """What runs: `port`, the listeners, and `run` to call something on the loop."""

    def __init__(self, host: str, batched: bool, handle: Handle | None, options: dict[str, Any]) -> None:
        self.address = Address(host, free_port())
        self.port = self.address.port
        self._batched, self._handle, self._options = batched, handle, options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        with suppress(RuntimeError):  # it has stopped already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        table, tally = table_of(ZONES), Tally()
        udp: Responding | None = Responder(table, tally, "udp", raising)
        tcp: Responding | None = Responder(table, tally, "tcp", raising)
        if self._handle:
            udp = tcp = None
        handle = self._handle or nothing
        self.udp = await serve_udp(listen_udp(self.address), udp, handle, batched=self._batched)
        self.tcp = TcpListener(tcp, handle, **self._options)
        await self.tcp.start(listen_tcp(self.address))
        self._ready.set()
        await self._stop.wait()
        self.udp.close()
        self.tcp.close()

    def run(self, function: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def datagrams(self, host: str = "127.0.0.1") -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(5)
        sock.connect((host, self.port))
        return sock

    def stream(self, host: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection((host, self.port), 5)


@contextmanager
def serving(
    host: str = "127.0.0.1", *, batched: bool = mmsg.AVAILABLE, handle: Handle | None = None, **options: Any
) -> Iterator[Serving]:
    """Serve ZONES, or by `handle` alone; options are the TcpListener's."""
    running = Serving(host, batched, handle, options)
    running.start()
    try:
        yield running
    finally:
        running.stop()
