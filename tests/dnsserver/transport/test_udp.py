import os
import socket
import struct

import pytest

from dnsserver.handle import nothing
from dnsserver.transport import mmsg
from dnsserver.transport.sockets import Address, listen_udp
from tests.dnsserver.transport.serving import query, serving

RESPONSE = b"\0\1\x80" + bytes(9)
"""A message that is never answered."""

BOTH = pytest.mark.parametrize(
    "batched", [pytest.param(True, marks=pytest.mark.skipif(not mmsg.AVAILABLE, reason="no recvmmsg")), False]
)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@BOTH
def test_a_query_has_its_response(batched):
    with serving(batched=batched) as server, server.datagrams() as client:
        client.send(query(7))
        assert client.recv(4096)[:2] == b"\0\7"


@pytest.mark.skipif(not mmsg.AVAILABLE, reason="no recvmmsg")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.1.2.3"])
def test_a_reply_leaves_from_the_address_that_was_asked(host):
    # The client's socket is connected: a reply from anywhere else would not reach it.
    with serving("0.0.0.0") as server, server.datagrams(host) as client:
        for ident in range(3):
            client.send(query(ident))
            assert client.recv(4096)[:2] == ident.to_bytes(2, "big")


@pytest.mark.skipif(not (mmsg.AVAILABLE and has_ipv6()), reason="no recvmmsg or no IPv6")
def test_a_reply_leaves_from_the_ipv6_address_that_was_asked():
    with serving("::") as server, server.datagrams("::1") as client:
        client.send(query(1))
        assert client.recv(4096)[:2] == b"\0\1"


@BOTH
@pytest.mark.parametrize(
    "answered",
    [
        "1" * 200,
        "0" * 300 + "1",
        "01" * 100,
        "1" + "0" * (mmsg.BATCH - 2) + "1" + "0" + "1" * mmsg.BATCH,
        "0" * mmsg.BATCH + "1" * mmsg.BATCH + "0" * mmsg.BATCH + "1",
        "1" * (mmsg.BATCH - 1) + "0" + "1",
        "0011100" * 40,
    ],
)
def test_what_is_not_answered_shifts_no_reply(batched, answered):
    with serving(batched=batched) as server, server.datagrams() as client:
        # All of it is in the socket before the loop reads.
        server.run(
            lambda: [client.send(query(n) if kind == "1" else RESPONSE) for n, kind in enumerate(answered)]
        )
        wanted = [n for n, kind in enumerate(answered) if kind == "1"]
        replies = [client.recv(4096) for _ in wanted]
        assert [int.from_bytes(reply[:2], "big") for reply in replies] == wanted
        assert all(reply[2:] == replies[0][2:] for reply in replies)


@pytest.mark.skipif(not mmsg.AVAILABLE, reason="no recvmmsg")
@pytest.mark.parametrize(
    ("most", "hosts"), [(1, [1]), (2, [1, 5]), (3, [1, 4, 7]), (8, [*range(1, 9)]), (9, [*range(1, 9)])]
)
def test_a_batch_tells_evenly_where_it_came_from(most, hosts):
    with listen_udp(Address("127.0.0.1", 0)) as sock:
        batch = mmsg.Batch(sock, None, nothing)
        assert batch.last_sources(most) == []
        for number in range(1, 9):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.bind((f"127.0.0.{number}", 0))
                client.sendto(query(), sock.getsockname())
        batch.ready()
        assert batch.last_sources(most) == [bytes((127, 0, 0, host)) for host in hosts]


def test_many_clients_have_each_their_own_replies():
    with serving() as server:
        clients = [server.datagrams() for _ in range(100)]
        server.run(lambda: [client.send(query(n)) for n, client in enumerate(clients)])
        for n, client in enumerate(clients):
            with client:
                assert client.recv(4096)[:2] == n.to_bytes(2, "big")


@BOTH
@pytest.mark.parametrize("octets", [0, 1, 11, 12, 513, 4095, 4096, 4097, 65_000])
def test_a_datagram_of_any_size_leaves_the_socket_well(batched, octets):
    with serving(batched=batched) as server, server.datagrams() as client:
        client.send((query(2) + bytes(octets))[:octets])
        client.send(query(3))
        while (reply := client.recv(4096))[:2] != b"\0\3":
            assert reply[:2] == b"\0\2"


@BOTH
@pytest.mark.skipif(os.geteuid() != 0, reason="a raw socket needs root")
@pytest.mark.parametrize("port", [0, None], ids=["port zero", "the server's own port"])
def test_the_socket_survives_a_source_that_cannot_be_answered(batched, port):
    with serving(batched=batched) as server, server.datagrams() as client:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
            payload = query(5)
            source = server.port if port is None else port
            header = struct.pack(">HHHH", source, server.port, 8 + len(payload), 0)
            for _ in range(3):
                raw.sendto(header + payload, ("127.0.0.1", 0))
        for ident in range(10):
            client.send(query(ident))
            assert client.recv(4096)[:2] == ident.to_bytes(2, "big")
        assert server.udp.send_errors == (0 if port is None else 3)


def test_a_reply_that_cannot_be_sent_keeps_none_of_its_neighbours():
    if os.geteuid() != 0:
        pytest.skip("a raw socket needs root")
    with serving() as server, server.datagrams() as client:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
            payload = query(5)
            nowhere = struct.pack(">HHHH", 0, server.port, 8 + len(payload), 0) + payload

            def batch() -> None:
                for ident in range(30):
                    client.send(query(ident))
                    raw.sendto(nowhere, ("127.0.0.1", 0))

            server.run(batch)
        assert [client.recv(4096)[:2] for _ in range(30)] == [n.to_bytes(2, "big") for n in range(30)]


def test_what_waits_is_answered_before_the_socket_closes():
    count = mmsg.BATCH * mmsg.ROUNDS // 3 + 1  # by all clients more than one turn
    with serving() as server, server.datagrams() as a, server.datagrams() as b, server.datagrams() as c:

        def send_and_close():
            for number in range(count):
                for client in (a, b, c):
                    client.send(query(number))
            server.udp.close()

        server.run(send_and_close)
        for client in (a, b, c):
            assert [client.recv(4096)[:2] for _ in range(count)] == [
                n.to_bytes(2, "big") for n in range(count)
            ]
