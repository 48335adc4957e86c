"""Responses of several messages over TCP: in order, as fast as the client reads, others in between."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

from dnsserver.transport.tcp import TcpListener

QUERY = bytes(12)
STREAM = b"\1" * 12


class Streams:
    """Answers STREAM by messages without end, or by `length` of them, and counts what is taken."""

    def __init__(self, length: int | None = None, size: int = 10_000, error: Exception | None = None) -> None:
        self.length, self.size, self.error = length, size, error
        self.taken = 0
        self.closed = 0
        self.ended = asyncio.Event()
        self.clients: list[bytes] = []

    def __call__(self, query: bytes, address: bytes, port: int):
        self.clients.append(address)
        return self.messages() if query == STREAM else None

    def messages(self):
        try:
            while self.length is None or self.taken < self.length:
                self.taken += 1
                if self.error and self.taken == 3:
                    raise self.error
                yield b""
                yield bytes((self.taken % 256,)) * self.size
        finally:
            self.closed += 1
            self.ended.set()


@asynccontextmanager
async def listening(streams: Streams, **options):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    sock.setblocking(False)
    responder = SimpleNamespace(respond=lambda query: None if query == STREAM else b"answer")
    listener = TcpListener(responder, handle=streams, **options)
    await listener.start(sock)
    try:
        yield sock.getsockname()[1], listener
    finally:
        listener.close()


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


async def read(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


async def test_messages_come_in_order_between_the_answers_before_and_after():
    async with listening(Streams(5)) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(QUERY, STREAM, QUERY, QUERY))
        writer.write_eof()
        found = [await read(reader) for _ in range(8)]
        assert found == [b"answer", *(bytes((n,)) * 10_000 for n in range(1, 6)), b"answer", b"answer"]
        assert await reader.read() == b""
        writer.close()


async def test_a_client_that_does_not_read_stops_the_making_of_messages_and_is_closed():
    streams = Streams()
    async with listening(streams, idle_timeout=0.5) as (port, listener):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(framed(STREAM))
        await asyncio.sleep(0.3)
        taken = streams.taken
        assert 0 < taken * streams.size < 8 << 20  # what the kernel holds, and OUTPUT
        await asyncio.sleep(0.1)
        assert streams.taken == taken
        await asyncio.sleep(1)
        assert (listener.timed_out, streams.closed, len(listener.connections)) == (1, 1, 0)
        sock.close()


async def test_a_stream_that_goes_on_lets_others_be_answered():
    streams = Streams()
    async with listening(streams, idle_timeout=3) as (port, listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(STREAM))
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(10):
            for _ in range(20):
                await read(reader)
            other_writer.write(framed(QUERY))
            assert await asyncio.wait_for(read(other_reader), 1) == b"answer"
            await asyncio.sleep(0.05)
        assert listener.timed_out == 0
        held = list(listener.connections)
        writer.close()
        await asyncio.wait_for(streams.ended.wait(), 5)
        assert held
        other_writer.close()


async def test_a_stream_that_only_pauses_is_not_idle():
    def pauses(query, address, port):
        until = time.monotonic() + 2
        while time.monotonic() < until:
            yield b""
        yield b"last"

    async with listening(pauses, idle_timeout=0.8) as (port, listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(STREAM))
        assert await read(reader) == b"last"
        assert listener.timed_out == 0
        writer.close()


async def test_an_error_in_the_middle_ends_the_connection():
    streams = Streams(error=RuntimeError())
    async with listening(streams) as (port, listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(STREAM))
        with suppress(ConnectionResetError):
            assert len(await asyncio.wait_for(reader.read(), 2)) <= 2 * (streams.size + 2)
        assert listener.connections == {}
        writer.close()


async def test_only_what_has_no_response_is_asked_for_with_the_client():
    streams = Streams(1)
    async with listening(streams) as (port, _):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(QUERY, STREAM))
        await asyncio.sleep(0.1)
        assert streams.clients == [bytes((127, 0, 0, 1))]
        writer.close()
