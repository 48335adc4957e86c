"""The listener of the pages, as seen by who means ill: real sockets on loopback."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator

import pytest

from dnsserver.ops import http
from dnsserver.ops.http import MAX_CONNECTIONS, MAX_HEAD, TIMEOUT, Page
from tests.programs import until

GET = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
GET_LARGE = b"GET /large HTTP/1.1\r\n\r\n"

PAGES = {
    "/page": lambda *_: Page(200, b"the page\n"),
    "/large": lambda *_: Page(200, bytes(4 << 20)),
}
"""The large one is more than the kernel takes for who does not read."""


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with await http.serve("127.0.0.1", 0, PAGES) as server:
        yield server.sockets[0].getsockname()[1]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def exchange(port: int, request: bytes) -> bytes:
    """Send octets and return all that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def status(port: int, request: bytes) -> int:
    return int((await exchange(port, request) or b"HTTP/1.1 0").split()[1])


async def test_a_page_is_given_and_the_connection_closed(port):
    reply = await exchange(port, GET + GET)
    assert reply.count(b"HTTP/1.1 200 OK") == 1
    assert reply.endswith(b"\r\n\r\nthe page\n")


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "X" * 99]
)
async def test_no_method_but_get_and_head_is_served(method, port):
    assert await status(port, GET.replace(b"GET", method.encode())) == 405


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET /page\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /page HTTP/2\r\n\r\n", 400),
        (b"GET /../page HTTP/1.1\r\n\r\n", 404),
        (b"GET /page/ HTTP/1.1\r\n\r\n", 404),
        (b"GET /%70age HTTP/1.1\r\n\r\n", 404),
        (b"GET http://x/page HTTP/1.1\r\n\r\n", 404),
        (b"GET /\xff\x00\x1b HTTP/1.1\r\n\r\n", 404),
        (b"HEAD /page HTTP/1.0\r\n\r\n", 200),
    ],
)
async def test_what_is_no_request_for_a_page_gets_none(request_, code, port):
    reply = await exchange(port, request_)
    assert int(reply.split()[1]) == code
    assert b"the page" not in reply


async def test_what_is_asked_for_is_not_in_the_reply(port):
    for hostile in (b"/<script>", b"/x\r\nSet-Cookie: a=b", b"/x?<script>"):
        reply = await exchange(port, b"GET " + hostile + b" HTTP/1.1\r\n\r\n")
        assert b"script" not in reply
        assert b"Cookie" not in reply


async def test_a_fault_in_a_page_is_told_once_and_costs_that_page_alone(caplog):
    pages = PAGES | {"/faulty": lambda *_: 1 / 0}
    async with await http.serve("127.0.0.1", 0, pages) as server:
        port = server.sockets[0].getsockname()[1]
        for _ in range(3):
            assert await status(port, GET.replace(b"/page", b"/faulty")) == 500
            assert await status(port, GET) == 200
    assert [record.getMessage() for record in caplog.records] == [
        "/faulty cannot be shown because of a fault here"
    ]
    assert "ZeroDivisionError" in caplog.text


async def test_a_head_at_the_limit_is_read_and_a_longer_one_closes(port):
    fixed = b"GET /page HTTP/1.1\r\nX: "
    longest = fixed + b"x" * (MAX_HEAD - len(fixed) - 4) + b"\r\n\r\n"
    assert await status(port, longest) == 200
    assert await exchange(port, fixed + b"x" * MAX_HEAD + b"\r\n\r\n") == b""


async def test_who_sends_no_whole_request_is_closed_in_time(port, monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", 0.2)
    began = time.monotonic()
    assert await exchange(port, b"GET /page HTTP/1.1\r\n") == b""
    assert 0.2 <= time.monotonic() - began < 5


@contextlib.asynccontextmanager
async def strangers(port: int, count: int, sends: bytes) -> AsyncIterator[list[socket.socket]]:
    """Connections of others that send some octets and take nothing of what comes."""
    opened = []
    for _ in range(count):
        opened.append(one := socket.socket())
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.setblocking(False)
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
        await asyncio.get_running_loop().sock_sendall(one, sends)
    try:
        yield opened
    finally:
        for one in opened:
            one.close()


@pytest.mark.parametrize(
    "sends", [b"", b"GET /page HTTP/1.1\r\n", GET_LARGE], ids=["nothing", "half", "whole"]
)
async def test_however_many_connections_send_or_read_nothing_a_page_is_given_at_once(port, sends):
    async with strangers(port, 3 * MAX_CONNECTIONS, sends):
        for _ in range(20):
            began = time.monotonic()
            assert await status(port, GET) == 200
            assert time.monotonic() - began < TIMEOUT / 5


async def test_who_sends_no_request_has_to_go_before_one_that_is_being_answered():
    answered = asyncio.Event()

    async def slow(path: str, query: str) -> Page:
        await answered.wait()
        return Page(200, b"late\n")

    async with await http.serve("127.0.0.1", 0, {"/page": slow}) as server:
        port = server.sockets[0].getsockname()[1]
        asked = asyncio.create_task(exchange(port, GET))
        async with strangers(port, 3 * MAX_CONNECTIONS, b""):
            answered.set()
            assert (await asked).endswith(b"late\n")


async def test_no_more_connections_are_open_than_may_be(port, monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", 60.0)
    before = descriptors()
    async with strangers(port, 3 * MAX_CONNECTIONS, b"") as opened:
        await until(lambda: descriptors() - before - len(opened) <= MAX_CONNECTIONS)


async def test_many_who_ask_for_pages_at_once_leave_others_their_turns_in_between():
    turns: list[int] = [0]

    def counted(path: str, query: str) -> Page:
        turns.append(0)
        return Page(200, b"")

    async def another() -> None:
        while True:
            turns[-1] += 1
            await asyncio.sleep(0)

    async with await http.serve("127.0.0.1", 0, {"/page": counted}) as server:
        port = server.sockets[0].getsockname()[1]
        waiting = asyncio.create_task(another())
        await asyncio.gather(*(exchange(port, GET) for _ in range(MAX_CONNECTIONS // 2)))
        waiting.cancel()
    assert len(turns) > MAX_CONNECTIONS // 2
    assert all(turns)


async def test_one_that_takes_its_time_to_end_keeps_no_other_out(monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", 0.05)
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 1)
    ending, ended = asyncio.Event(), asyncio.Event()

    async def slow(path: str, query: str) -> Page:
        try:
            return await asyncio.Future()
        finally:
            ending.set()
            await ended.wait()

    async with await http.serve("127.0.0.1", 0, PAGES | {"/slow": slow}) as server:
        port = server.sockets[0].getsockname()[1]
        asked = asyncio.create_task(exchange(port, b"GET /slow HTTP/1.1\r\n\r\n"))
        await ending.wait()
        assert await status(port, GET) == 200
        ended.set()
        assert await asked == b""


async def test_who_does_not_take_the_page_is_closed_in_time_and_costs_no_memory_any_more(port, monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", 0.2)
    before = descriptors()
    async with strangers(port, 8, GET_LARGE) as opened:
        await until(lambda: descriptors() - before == len(opened))
