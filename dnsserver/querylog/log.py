"""Which queries are logged, and the thread that writes their lines."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, Literal, NamedTuple

from dnsserver.handle import Handle, Later, Reply, Response
from dnsserver.querylog.entry import Class, Entry, class_of

QUEUE: Final = 8192
"""Lines that wait to be written; of more, those that come are lost."""

GATHER: Final = 0.1
"""Seconds that lines are gathered for one write."""

CHUNK: Final = 4096
"""Octets written at once, so that lines of several processes do not mix (PIPE_BUF)."""

CLOSE: Final = 1.0
"""Seconds to write what waits, at the end."""


class Choice(NamedTuple):
    """Which queries are logged."""

    classes: Class | Literal["all"]
    sample: int
    """One of so many."""
    rate: int
    """Lines a second, at most; 0: no limit."""


class QueryLog:
    """Notes queries on the event loop, and writes them by a thread of its own from `start` to `close`."""

    def __init__(self, choice: Choice, line: Callable[[Entry], str], descriptor: int) -> None:
        self._choice, self._line, self._descriptor = choice, line, descriptor
        self._queue: deque[Entry] = deque()
        self._arrived = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._second, self._room, self._seen = 0.0, 0, 0
        self.written = self.limited = self.lost = 0
        """Lines; those over the rate; those that found the queue full, or could not be written."""

    def around(self, handle: Handle, transport: str) -> Handle:
        """Return `handle` with what it is asked logged, once there is a response."""
        now, note = time.perf_counter, self._note

        def logged(message: bytes, address: bytes, port: int) -> Response:
            began = now()
            response = handle(message, address, port)
            if isinstance(response, bytes):
                note(began, transport, address, port, message, response)
            elif callable(response):
                return partial(self._later, response, partial(note, began, transport, address, port, message))
            return response

        return logged

    def _later(self, response: Later, note: Callable[[bytes], None], reply: Reply) -> None:
        def noted(message: bytes | None) -> None:
            if message:
                note(message)
            reply(message)

        response(noted)

    def _note(
        self, began: float, transport: str, address: bytes, port: int, query: bytes, response: bytes
    ) -> None:
        classes, sample, rate = self._choice
        if classes != "all" and class_of(response) != classes:
            return
        if sample > 1:
            self._seen += 1
            if self._seen % sample:
                return
        if rate:
            if began >= self._second + 1:
                self._second, self._room = began, rate
            if not self._room:
                self.limited += 1
                return
            self._room -= 1
        queue = self._queue
        if len(queue) >= QUEUE:
            self.lost += 1
            return
        took = time.perf_counter() - began
        queue.append(Entry(time.time(), took, transport, address, port, query, response))
        if len(queue) == 1:
            self._arrived.set()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="query log", daemon=True)
        self._thread.start()

    def close(self, within: float = CLOSE) -> None:
        """Write what waits, and return when that is done or the seconds are over."""
        self._closing.set()
        self._arrived.set()
        if self._thread:
            self._thread.join(within)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._arrived.wait()
            self._closing.wait(GATHER)
            self._arrived.clear()
            self._write()

    def _write(self) -> None:
        chunk, lines = b"", 0
        while self._queue:
            line = self._line(self._queue.popleft()).encode() + b"\n"
            if len(chunk) + len(line) > CHUNK:
                self._put(chunk, lines)
                chunk, lines = b"", 0
            chunk, lines = chunk + line, lines + 1
        if chunk:
            self._put(chunk, lines)

    def _put(self, chunk: bytes, lines: int) -> None:
        try:
            os.write(self._descriptor, chunk)
        except OSError:
            self.lost += lines
        else:
            self.written += lines
