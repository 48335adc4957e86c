"""A read-only HTTP listener: GET of fixed paths, one small request a connection.

For probes and scrapes on a port of its own. It reads at most one request head of 8 KiB, answers and closes,
all within five seconds; anything but GET or HEAD of a known path is refused. Connections beyond the limit
cost the oldest, first of those that have sent no request yet: whoever is silent keeps nobody out. Pages are
made one at a time, and in between whatever else the event loop does has its turn.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

log = logging.getLogger("http")

MAX_HEAD: Final = 8192
"""Octets of a request head."""

TIMEOUT: Final = 5.0
"""Seconds for a whole exchange."""

MAX_CONNECTIONS: Final = 64


class Page(NamedTuple):
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values beside those that every response has."""


Handler = Callable[[str, str], Page | Awaitable[Page]]
"""(path, query string as it was sent) → the page."""


async def serve(host: str, port: int, pages: Mapping[str, Handler]) -> asyncio.Server:
    """Listen on an address and answer each path by its handler, which runs on the event loop.

    Raises:
        OSError: the address cannot be taken.
    """
    exchanges: dict[asyncio.Timeout, bool] = {}
    """Those under way by whether they have a request, the oldest first."""
    turn = asyncio.Lock()
    faulty: set[str] = set()
    """Paths of which a fault was told."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(exchanges) >= MAX_CONNECTIONS:
            oldest = min(exchanges, key=exchanges.__getitem__)
            del exchanges[oldest]
            if not oldest.expired():
                oldest.reschedule(0)  # its time is over
        limit = asyncio.timeout(TIMEOUT)
        try:
            async with limit:
                exchanges[limit] = False
                head = await reader.readuntil(b"\r\n\r\n")
                exchanges[limit] = True
                async with turn:
                    await asyncio.sleep(0)
                writer.write(await _answer(head, pages, faulty))
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            exchanges.pop(limit, None)
            writer.transport.abort()

    return await asyncio.start_server(connected, host, port, limit=MAX_HEAD)


async def _made(handler: Handler, path: str, query: str, faulty: set[str]) -> Page:
    try:
        answer = handler(path, query)
        return answer if isinstance(answer, Page) else await answer
    except Exception:
        # Anyone may ask for it again, so it is told once.
        if path not in faulty:
            log.exception("%s cannot be shown because of a fault here", path)
        faulty.add(path)
        return Page(500, b"a fault here; the log has it\n")


async def _answer(head: bytes, pages: Mapping[str, Handler], faulty: set[str]) -> bytes:
    method, _, rest = head.split(b"\r\n", 1)[0].partition(b" ")
    target, _, version = rest.partition(b" ")
    path, _, query = target.decode("latin-1").partition("?")
    handler = pages.get(path)
    if not version.startswith(b"HTTP/1."):
        page = Page(400, b"bad request\n")
    elif method not in (b"GET", b"HEAD"):
        page = Page(405, b"only GET is served\n")
    elif handler is None:
        page = Page(404, f"not found; there is {', '.join(sorted(pages))}\n".encode())
    else:
        page = await _made(handler, path, query, faulty)
    lines = (
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        "Connection: close",
        *(["Allow: GET, HEAD"] if page.status == 405 else []),
        *(f"{name}: {value}" for name, value in page.headers),
        "\r\n",
    )
    return "\r\n".join(lines).encode("latin-1") + (b"" if method == b"HEAD" else page.body)
