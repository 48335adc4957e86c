"""A balancer of datagrams on loopback that sends to replicas which are ready, as a Service does."""

import select
import socket
import threading
from contextlib import suppress
from typing import Any, Self

from tests.programs import DnsServer
from tools.embedded_etcd import free_port

PERIOD = 0.1
"""Seconds between two looks at the replicas' /ready."""


class Balancer:
    """`with Balancer() as balancer: balancer.port`. Each query goes to one of the ready replicas."""

    def __init__(self) -> None:
        self.port = free_port()
        self.replicas: tuple[DnsServer, ...] = ()
        """Those there are, ready or not; to be changed by assignment."""
        self.ready: tuple[DnsServer, ...] = ()
        self._front = socket.socket(type=socket.SOCK_DGRAM)
        self._flows: dict[tuple[Any, int], socket.socket] = {}
        """Client and replica's port → the socket whose replies are the client's."""
        self._halt = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._probe, self._forward)]

    def __enter__(self) -> Self:
        self._front.bind(("127.0.0.1", self.port))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt.set()
        for thread in self._threads:
            thread.join()
        for sock in (self._front, *self._flows.values()):
            sock.close()

    def _probe(self) -> None:
        while not self._halt.wait(PERIOD):
            self.ready = tuple(replica for replica in self.replicas if _is_ready(replica))

    def _forward(self) -> None:
        clients: dict[socket.socket, Any] = {}
        turn = 0
        while not self._halt.is_set():
            readable, _, _ = select.select([self._front, *clients], [], [], PERIOD)
            for sock in readable:
                with suppress(OSError):  # a replica that is gone: the datagram is lost, as in a network
                    octets, sender = sock.recvfrom(65_535)
                    if client := clients.get(sock):
                        self._front.sendto(octets, client)
                    elif ready := self.ready:
                        turn += 1
                        flow = self._flow(sender, ready[turn % len(ready)].port)
                        clients[flow] = sender
                        flow.send(octets)

    def _flow(self, client: Any, port: int) -> socket.socket:
        if (client, port) not in self._flows:
            flow = self._flows[client, port] = socket.socket(type=socket.SOCK_DGRAM)
            flow.connect(("127.0.0.1", port))
        return self._flows[client, port]


def _is_ready(replica: DnsServer) -> bool:
    try:
        return replica.page("/ready")[0] == 200
    except OSError:
        return False
