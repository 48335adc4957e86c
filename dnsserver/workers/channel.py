"""What a parent and a worker say to each other, over a pair of sockets that the worker inherits.

A request is a word with values and octets, its reply values and octets; many may be under way at once.
Listening sockets go over a second pair, ahead of the request that is about them. Values are JSON.
"""

import asyncio
import itertools
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, Self

from dnsserver.transport.sockets import Address

log = logging.getLogger("dnsserver.workers")

_FRAME: Final = struct.Struct(">II")
"""Octets of the values and of the octets that follow."""

MAX_SOCKETS: Final = 250
"""In one message of the kernel's, which takes 253."""


class Gone(Exception):
    """The other side has ended. Start another one, or end."""


class Refused(Exception):
    """The other side could not do what was asked; the text says why."""


class Label(NamedTuple):
    """Which listening socket it is."""

    host: str
    port: int
    owner: int | None
    """Of the sockets for UDP that share the address, the worker's that it is; None for the one for TCP."""

    @property
    def address(self) -> Address:
        return Address(self.host, self.port)


class Message(NamedTuple):
    values: dict[str, Any]
    octets: bytes = b""


Serve = Callable[[str, Message], Awaitable[Message]]
"""(word, request) → its reply, or Refused."""


async def _nothing(word: str, request: Message) -> Message:
    raise Refused(f"{word}: not understood")


class Channel:
    """One end. Requests of the other are answered by `serve`, each in a task of its own."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sockets: socket.socket, serve: Serve
    ) -> None:
        self._reader, self._writer, self._sockets, self._serve = reader, writer, sockets, serve
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._served: set[asyncio.Task[None]] = set()
        self.gone = asyncio.Event()
        """Set when the other side has ended."""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def over(cls, words: socket.socket, sockets: socket.socket, serve: Serve = _nothing) -> Self:
        """Return the end that holds these two sockets."""
        sockets.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=words)
        return cls(reader, writer, sockets, serve)

    async def ask(self, word: str, octets: bytes = b"", **values: Any) -> Message:
        """Send a request and return its reply.

        Raises:
            Gone: the other side ended before it replied.
            Refused: it said so.
        """
        if self.gone.is_set():
            raise Gone
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._write({**values, "word": word, "number": number}, octets)
            reply = await self._asked[number]
        finally:
            del self._asked[number]
        if "refused" in reply.values:
            raise Refused(reply.values["refused"])
        return reply

    def send_sockets(self, labelled: Sequence[tuple[Label, socket.socket]]) -> None:
        """Hand over sockets; to be followed by a request that lets the other side take them.

        Raises:
            Gone: the other side has ended.
        """
        for at in range(0, len(labelled), MAX_SOCKETS):
            part = labelled[at : at + MAX_SOCKETS]
            labels = json.dumps([label for label, _ in part]).encode()
            try:
                socket.send_fds(self._sockets, [labels], [sock.fileno() for _, sock in part])
            except OSError:
                raise Gone from None

    def take_sockets(self) -> list[tuple[Label, socket.socket]]:
        """Return the sockets that the other side has sent so far."""
        taken: list[tuple[Label, socket.socket]] = []
        while True:
            try:
                labels, numbers, _, _ = socket.recv_fds(self._sockets, 1 << 16, MAX_SOCKETS)
            except BlockingIOError:
                return taken
            if not labels:
                return taken
            for (host, port, owner), number in zip(json.loads(labels), numbers, strict=True):
                sock = socket.socket(fileno=number)
                sock.setblocking(False)
                taken.append((Label(host, port, owner), sock))

    def close(self) -> None:
        self._reading.cancel()
        self._writer.close()
        self._sockets.close()

    def _write(self, values: dict[str, Any], octets: bytes) -> None:
        head = json.dumps(values).encode()
        self._writer.write(_FRAME.pack(len(head), len(octets)) + head + octets)

    async def _read(self) -> None:
        try:
            while True:
                sizes = _FRAME.unpack(await self._reader.readexactly(_FRAME.size))
                values = json.loads(await self._reader.readexactly(sizes[0]))
                self._heard(Message(values, await self._reader.readexactly(sizes[1])))
        except (OSError, asyncio.IncompleteReadError):
            self.gone.set()
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(Gone())

    def _heard(self, message: Message) -> None:
        number = message.values.pop("number")
        if word := message.values.pop("word", None):
            task = asyncio.create_task(self._reply(number, word, message))
            self._served.add(task)
            task.add_done_callback(self._served.discard)
        elif (future := self._asked.get(number)) and not future.done():
            future.set_result(message)

    async def _reply(self, number: int, word: str, request: Message) -> None:
        try:
            values, octets = await self._serve(word, request)
        except Refused as error:
            values, octets = {"refused": str(error)}, b""
        except Exception:
            log.exception("%s", word)
            values, octets = {"refused": f"{word}: a fault there"}, b""
        self._write({**values, "number": number}, octets)
