"""Responses that take time: to who asked, from the address that was asked, and nobody waits for them."""

import socket
import struct

import pytest

from dnsserver.handle import Reply
from dnsserver.transport import mmsg
from dnsserver.transport.tcp import OUTPUT, PENDING
from dnsserver.wire.const import UDP_PAYLOAD
from tests.dnsserver.transport.serving import query, serving
from tests.dnsserver.transport.test_tcp import closed, framed, idents, read
from tests.dnsserver.transport.test_udp import BOTH, has_ipv6
from tests.programs import eventually

AT_ONCE = 1
"""The id of a query that is answered at once."""


class Desk:
    """A handle that keeps what it is asked, with who asked, until the test replies."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes, int]] = []
        self.replies: list[Reply] = []

    def __call__(self, message: bytes, address: bytes, port: int):
        if message[:2] == AT_ONCE.to_bytes(2, "big"):
            return message
        self.asked.append((message, address, port))
        return self.replies.append

    def waits_for(self, count: int) -> None:
        eventually(lambda: len(self.replies) >= count, 5)

    def reply(self, index: int, message: bytes | None = None) -> None:
        self.replies[index](message or self.asked[index][0])


WHERE = [
    pytest.param("0.0.0.0", "127.0.0.1", id="127.0.0.1"),
    pytest.param("0.0.0.0", "127.0.0.2", id="127.0.0.2"),
    pytest.param("::", "::1", id="::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6")),
]


@pytest.mark.skipif(not mmsg.AVAILABLE, reason="no recvmmsg")
@pytest.mark.parametrize(("bound", "host"), WHERE)
def test_a_late_reply_leaves_from_the_address_that_was_asked(bound, host):
    # The client's socket is connected: a reply from anywhere else would not reach it.
    desk = Desk()
    with serving(bound, handle=desk) as server, server.datagrams(host) as client:
        client.send(query(7))
        desk.waits_for(1)
        for ident in range(100, 170):  # the slot is used by others meanwhile
            client.send(query(ident))
        desk.waits_for(71)
        server.run(lambda: desk.reply(0))
        assert client.recv(4096) == query(7)


@BOTH
def test_late_replies_reach_each_who_asked_in_any_order(batched):
    desk, count = Desk(), 100
    with serving(batched=batched, handle=desk) as server:
        clients = [server.datagrams() for _ in range(count)]
        server.run(lambda: [client.send(query(1000 + n)) for n, client in enumerate(clients)])
        desk.waits_for(count)
        server.run(lambda: [desk.reply(index) for index in reversed(range(count))])
        for n, client in enumerate(clients):
            with client:
                assert client.recv(4096) == query(1000 + n)


@BOTH
def test_what_is_answered_at_once_waits_for_no_late_reply(batched):
    desk = Desk()
    with serving(batched=batched, handle=desk) as server, server.datagrams() as client:
        server.run(lambda: [client.send(query(ident)) for ident in (2, AT_ONCE, 3, AT_ONCE)])
        assert [client.recv(4096)[:2] for _ in range(2)] == [b"\0\1"] * 2
        desk.waits_for(2)
        server.run(lambda: desk.reply(1))
        assert client.recv(4096)[:2] == b"\0\3"


@BOTH
def test_a_reply_within_the_question_is_sent_beside_those_of_the_batch(batched):
    def handle(message, address, port):
        return (lambda reply: reply(message)) if message[1] % 5 == 0 else message

    wanted = range(40)
    with (
        serving(batched=batched, handle=handle) as server,
        server.datagrams() as client,
        server.stream() as stream,
    ):
        server.run(lambda: [client.send(query(ident)) for ident in wanted])
        assert sorted(idents([client.recv(4096) for _ in wanted])) == list(wanted)
        stream.sendall(framed(*map(query, wanted)))
        assert sorted(idents(read(stream, 40))) == list(wanted)


@BOTH
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=WHERE[2].marks)])
def test_a_handle_is_told_the_address_and_port_of_each_client(batched, host):
    desk = Desk()
    with serving(host, batched=batched, handle=desk) as server:
        clients = [server.datagrams(host) for _ in range(70)]
        server.run(lambda: [client.send(query(100 + n)) for n, client in enumerate(clients)])
        clients.append(server.stream(host))
        clients[-1].sendall(framed(query(170)))
        desk.waits_for(71)
        octets = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        told = {message: (address, port) for message, address, port in desk.asked}
        for n, client in enumerate(clients):
            assert told[query(100 + n)] == (octets, client.getsockname()[1])
            client.close()


@BOTH
@pytest.mark.parametrize("late", [False, True])
def test_no_reply_of_a_handle_over_udp_is_longer_than_1232_octets(batched, late):
    def handle(message, address, port):
        size = UDP_PAYLOAD + (message[1] == 3)
        octets = message + bytes(size - len(message))
        return (lambda reply: reply(octets)) if late else octets

    with serving(batched=batched, handle=handle) as server, server.datagrams() as client:
        client.send(query(3))
        client.send(query(4))
        reply = client.recv(65_535)
        assert (reply[:2], len(reply)) == (b"\0\4", UDP_PAYLOAD)
        assert server.udp.send_errors == 1


@BOTH
def test_a_late_reply_to_a_closed_listener_goes_nowhere(batched):
    desk = Desk()
    with serving(batched=batched, handle=desk) as server, server.datagrams() as client:
        client.send(query(2))
        desk.waits_for(1)

        def close_and_reply() -> None:
            number = server.udp._sock.fileno() if batched else None
            server.udp.close()
            if not batched:
                desk.reply(0)
                return
            # A socket that took the number, and the address, of the closed one.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                assert other.fileno() == number
                other.bind(server.address)
                desk.reply(0)

        server.run(close_and_reply)
        client.settimeout(0.2)
        with pytest.raises(OSError):  # noqa: PT011 - timed out, or refused
            client.recv(4096)


def test_a_half_closed_connection_stays_until_it_is_answered():
    desk = Desk()
    with serving(handle=desk) as server, server.stream() as client:
        client.sendall(framed(query(2), query(3)))
        client.shutdown(socket.SHUT_WR)
        desk.waits_for(2)
        server.run(lambda: desk.reply(1))
        assert idents(read(client, 1)) == [3]
        server.run(lambda: desk.reply(0))
        assert idents(read(client, 1)) == [2]
        assert closed(client)


def test_a_half_closed_connection_that_gets_no_response_is_closed():
    desk = Desk()
    with serving(handle=desk) as server, server.stream() as client:
        client.sendall(framed(query(2)))
        client.shutdown(socket.SHUT_WR)
        desk.waits_for(1)
        server.run(lambda: desk.replies[0](None))
        assert closed(client)


def test_one_connection_has_a_limit_of_messages_that_wait():
    desk, count = Desk(), PENDING * 2
    with serving(handle=desk) as server, server.stream() as client, server.stream() as other:
        client.sendall(framed(query(1000)))
        desk.waits_for(1)  # so the limit lies within a turn
        client.sendall(framed(*(query(1000 + n) for n in range(1, count))))
        desk.waits_for(PENDING)
        other.sendall(framed(query(AT_ONCE)))
        assert idents(read(other, 1)) == [AT_ONCE]
        assert len(desk.replies) == PENDING
        for index in range(count):
            desk.waits_for(index + 1)
            server.run(lambda index=index: desk.reply(index))
        assert idents(read(client, count)) == [1000 + n for n in range(count)]


def test_a_late_reply_to_a_client_that_has_gone_is_dropped():
    desk = Desk()
    with serving(handle=desk) as server, server.stream() as goes, server.stream() as stays:
        goes.sendall(framed(query(2)))
        desk.waits_for(1)
        stays.sendall(framed(query(3)))
        desk.waits_for(2)
        goes.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        goes.close()  # by a reset
        eventually(lambda: len(server.tcp.connections) == 1, 5)
        server.run(lambda: [desk.reply(0), desk.reply(1)])
        assert idents(read(stays, 1)) == [3]


def test_late_replies_to_who_does_not_read_take_bounded_memory():
    desk = Desk()
    with serving(handle=desk) as server, server.stream() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(framed(*map(query, range(100, 100 + PENDING))))
        desk.waits_for(PENDING)
        large = query(5) + bytes(60_000)

        def reply() -> int:
            (connection,) = server.tcp.connections
            sock = connection.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            for index in range(PENDING):
                desk.reply(index, large)
            return connection.transport.get_write_buffer_size()

        assert OUTPUT < server.run(reply) <= OUTPUT + 2 + len(large)
