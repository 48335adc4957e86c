"""A TCP proxy on loopback that can be slow, or cut: connections stay open and nothing comes through.

What was sent meanwhile arrives when it is mended, as TCP would send it again.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Container, Coroutine, Iterable
from pathlib import Path
from typing import Any, Self

from tools.embedded_etcd import free_port


class Proxy:
    """`with Proxy(target_port) as proxy: proxy.port`."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.delay = 0.0
        """Seconds that every piece of data is held, each way."""
        self.delayed: Container[int] = ()
        """The processes whose connections alone are delayed; none: those of all."""
        self._target = target
        self._is_cut: Callable[[int], bool] = lambda source: False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._mended = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def cut(self, processes: Iterable[int] = ()) -> None:
        """Let nothing through, or nothing of connections that these processes opened."""
        cut = frozenset(processes)
        self._mended.clear()
        self._is_cut = lambda source: not cut or source in cut

    def mend(self) -> None:
        self._is_cut = lambda source: False
        self._loop.call_soon_threadsafe(self._mended.set)

    def drop(self) -> None:
        """Close the connections there are."""
        self._run(self._drop())

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _close(self) -> None:
        assert self._server
        self._server.close()
        await self._drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = _owner_of(writer.get_extra_info("peername")[1])
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._through(source)
            other_reader, other = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(other)
            try:
                await asyncio.gather(
                    self._pump(source, reader, other), self._pump(source, other_reader, writer)
                )
            finally:
                self._writers.discard(other)
                other.close()
        except (OSError, asyncio.CancelledError):
            pass  # asyncio's streams would tell it to nobody who can do anything about it
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _pump(self, source: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.delay and (not self.delayed or source in self.delayed):
                await asyncio.sleep(self.delay)
            await self._through(source)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _through(self, source: int) -> None:
        while self._is_cut(source):
            await self._mended.wait()


def _owner_of(port: int) -> int:
    """Return the process that has a loopback port of a connection; 0 if it is not known."""
    inode = ""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port and fields[3] == "01":
            inode = fields[9]
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                for descriptor in (process / "fd").iterdir():
                    if os.readlink(descriptor) == f"socket:[{inode}]":
                        return int(process.name)
    return 0
