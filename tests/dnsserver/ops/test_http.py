"""The listener of the pages, as seen by who means ill: real sockets on loopback."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from dnsserver.ops import http
from dnsserver.ops.http import MAX_CONNECTIONS, MAX_HEAD, Page

GET = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await http.serve("127.0.0.1", 0, {"/page": lambda *_: Page(200, b"the page\n")})
    async with server:
        yield server.sockets[0].getsockname()[1]


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


async def test_more_connections_than_may_be_are_closed_at_once_and_room_is_made_again(port):
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
    try:
        assert await exchange(port, GET) == b""
    finally:
        for _, writer in idle:
            writer.close()
    for _ in range(1000):
        if await status(port, GET) == 200:
            return
        await asyncio.sleep(0.01)
    pytest.fail("not served again")
