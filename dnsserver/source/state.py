"""The table on disk: written now and then, in slices, and read once after a restart."""

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from dnsserver.skydns.entry import Head, Page
from dnsserver.skydns.key import Key
from dnsserver.source.saved import (
    DIGEST,
    END,
    Header,
    SavedFault,
    SavedZone,
    fingerprint,
    header_octets,
    item,
    read_header,
    read_items,
)
from dnsserver.zone.table import ZoneTable

log = logging.getLogger("dnsserver.state")

FILE: Final = "table"

INTERVAL: Final = 10.0
"""Seconds between two writes, at least."""

SHARE: Final = 20
"""A write that took long is followed by a pause of so many times as long."""

SLICE: Final = 100
"""Names read before queries get their turn: less than a millisecond."""

PAUSE: Final = 0.002
"""Seconds between two slices: a write takes a third of a core at most."""

BUFFER: Final = 1 << 18
"""Octets handed to the thread that writes."""

PAGE: Final = 2000
"""Keys of a page, when it is read."""


class Saved:
    """A file whose checksum is right."""

    def __init__(self, path: Path, header: Header) -> None:
        self._path, self.header = path, header

    def pages(self) -> Iterator[Page]:
        """Yield its records."""
        with self._path.open("rb") as file:
            read_header(file.readline)
            entries = read_items(file.read)
            while page := list(islice(entries, PAGE)):
                yield Page(page, self.header.head.revision, self.header.head.cluster_id)


def load(directory: Path, prefix: Key) -> Saved | None:
    """Return the table that was written last, of a prefix; None, and a line in the log, if there is none."""
    path = directory / FILE
    try:
        _check(path)
        with path.open("rb") as file:
            header = read_header(file.readline)
        if header.prefix != prefix.decode():
            raise SavedFault(f"it is of the prefix {header.prefix}")
    except FileNotFoundError:
        log.info("%s is not there yet: nothing is known before etcd answers", path)
    except OSError as error:
        log.warning("%s is ignored: %s", path, error.strerror)
    except SavedFault as fault:
        log.warning("%s is ignored: %s", path, fault)
    else:
        return Saved(path, header)
    return None


def _check(path: Path) -> None:
    digest, left = hashlib.sha256(), path.stat().st_size - DIGEST
    with path.open("rb") as file:
        while left > 0 and (octets := file.read(min(BUFFER, left))):
            digest.update(octets)
            left -= len(octets)
        if left or file.read() != digest.digest():
            raise SavedFault("it is damaged: its checksum is wrong")


class Saver:
    """Writes a table when it has changed. `head` is of which state it is; None: not to be written now."""

    def __init__(
        self,
        directory: Path,
        prefix: Key,
        table: ZoneTable,
        head: Callable[[], Head | None],
        interval: float = INTERVAL,
    ) -> None:
        self._path, self._prefix, self._table, self._head = directory / FILE, prefix, table, head
        self._interval = interval
        self._written: Header | None = None
        self._task: asyncio.Task[None] | None = None
        self._halt = asyncio.Event()
        self._is_failing = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write no more. A write that is under way is given up: two at once would spoil each other's."""
        self._halt.set()
        if self._task:
            await self._task

    async def _run(self) -> None:
        while not self._halt.is_set():
            began = time.monotonic()
            try:
                await self.save()
            except OSError as error:
                if not self._is_failing:
                    log.warning("%s cannot be written: %s", self._path, error.strerror)
                self._is_failing = True
            pause = max(self._interval, SHARE * (time.monotonic() - began))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halt.wait(), pause)

    async def save(self) -> None:
        """Write the table, if it has changed; the file is replaced as a whole, or stays.

        Raises:
            OSError: it cannot be written.
        """
        head = self._head()
        if head is None:
            return
        header = self._header(head)
        if header == self._written:
            return
        if await self._write(header):
            self._written, self._is_failing = header, False

    def _header(self, head: Head) -> Header:
        zones = {
            apex.hex(): SavedZone(zone.serial, fingerprint(zone))
            for apex, zone in self._table.zones.items()
            if zone.synced
        }
        return Header(self._prefix.decode(), head, zones)

    async def _write(self, header: Header) -> bool:
        file = await asyncio.to_thread(_NewFile, self._path)
        try:
            waiting = bytearray(header_octets(header))
            names = iter(self._table.nodes)
            while part := list(islice(names, SLICE)):
                for name in part:
                    node = self._table.nodes.get(name)
                    for stored in node.records if node else ():
                        waiting += item(stored)
                if len(waiting) > BUFFER:
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
                await asyncio.sleep(PAUSE)
                if self._halt.is_set():
                    return False
            await asyncio.to_thread(file.write, bytes(waiting) + END)
            await asyncio.to_thread(file.replace)
            return True
        finally:
            file.close()


class _NewFile:
    """What will replace a file. Blocking."""

    def __init__(self, path: Path) -> None:
        self._path, self._new = path, path.with_suffix(".new")
        self._file = os.fdopen(os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._digest = hashlib.sha256()

    def write(self, octets: bytes) -> None:
        self._digest.update(octets)
        self._file.write(octets)

    def replace(self) -> None:
        """End it by its checksum, make it last, and put it in the place of the one before."""
        self._file.write(self._digest.digest())
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self._new, self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def close(self) -> None:
        self._file.close()
