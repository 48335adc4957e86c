"""A worker: a Server that does what its parent says, `python -m dnsserver.workers.worker WORDS SOCKETS`.

The two arguments are the numbers of the inherited sockets of its channel. It ends with its parent.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Mapping

import uvloop
from prometheus_client.core import CounterMetricFamily, Metric

from dnsserver.config import Config, load
from dnsserver.config.files import Files
from dnsserver.config.source import Source
from dnsserver.ops import log
from dnsserver.server import Server
from dnsserver.transport.sockets import Address, ListenError, Sockets
from dnsserver.workers.aggregate import packed
from dnsserver.workers.channel import Channel, Label, Message, Refused


class Worker:
    """Answers the parent's words; each is described where it is asked."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._number = 0
        self._server: Server | None = None
        self._channel: Channel

    async def run(self, words: int, sockets: int) -> None:
        """Serve over a channel until its other end, or the parent's word."""
        self._channel = await Channel.over(
            socket.socket(fileno=words), socket.socket(fileno=sockets), self._serve
        )
        ends = [asyncio.create_task(self._channel.gone.wait()), asyncio.create_task(self.ended.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if self._server:
            await self._server.close()

    async def _serve(self, word: str, request: Message) -> Message:
        if word == "start":
            return await self._start(request)
        server = self._server
        if server is None:
            raise Refused("not started")
        match word:
            case "synced":
                await server.synced()
            case "listen":
                await server.listeners.open(_by_address(self._channel.take_sockets()))
            case "take":
                for label, sock in self._channel.take_sockets():
                    await server.listeners.take(label.owner or 0, label.address, sock)
            case "leave":
                server.listeners.leave(request.values["owner"])
            case "reload":
                await self._reload(server, request)
            case "state":
                return Message({"missing": await server.missing(), "revision": server.revision})
            case "metrics":
                return Message({}, packed([*await server.metrics(), self._share(server)]))
            case "status":
                page = await server.status(request.values["path"], request.values["query"])
                return Message({**page._asdict(), "body": None}, page.body)
            case "drain":
                await server.drain()
            case _:
                raise Refused(f"{word}: not understood")
        return Message({})

    async def _start(self, request: Message) -> Message:
        self._number = request.values["number_of_worker"]
        config = self._configured(request)
        self._server = Server(config, tells=self._number == 0)
        await self._server.start({})
        return Message({})

    async def _reload(self, server: Server, request: Message) -> None:
        config = self._configured(request)
        try:
            await server.reload(config, _by_address(self._channel.take_sockets()))
        except ListenError as error:
            raise Refused(str(error)) from None

    def _share(self, server: Server) -> Metric:
        name, text = "dnsserver_worker_responses", "Responses, by the number of the worker."
        family = CounterMetricFamily(name, text, labels=["worker"])
        family.add_metric([str(self._number)], server.responses)
        return family

    def _configured(self, request: Message) -> Config:
        source = Source.unpacked(request.octets)
        config = load(source.file, source.overrides, Files(source.file.parent, source.files))
        log.configure(config.log.level, config.log.format, f"[{self._number}]")
        return config


def _by_address(taken: list[tuple[Label, socket.socket]]) -> Mapping[Address, Sockets]:
    udp: dict[Address, dict[int, socket.socket]] = {}
    tcp: dict[Address, socket.socket] = {}
    for label, sock in taken:
        if label.owner is None:
            tcp[label.address] = sock
        else:
            udp.setdefault(label.address, {})[label.owner] = sock
    return {address: Sockets(udp[address], tcp[address]) for address in tcp}


def main() -> None:
    """Run as a process. Signals to end or to reload are for the parent, whoever gets them too."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    words, sockets = map(int, sys.argv[1:3])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Worker().run(words, sockets))


if __name__ == "__main__":
    main()
