import contextlib
import socket
import time

import pytest

from dnsserver.transport.tcp import OUTPUT
from tests.dnsserver.transport.serving import query, serving
from tests.programs import eventually


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


def read(sock: socket.socket, count: int) -> list[bytes]:
    """Return `count` messages, or fewer if the server closes."""
    stream, found = sock.makefile("rb"), []
    while len(found) < count and len(head := stream.read(2)) == 2:
        found.append(stream.read(int.from_bytes(head, "big")))
    return found


def idents(messages: list[bytes]) -> list[int]:
    return [int.from_bytes(message[:2], "big") for message in messages]


def closed(sock: socket.socket) -> bool:
    """Say whether the server has closed, without a reply."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_the_connection_stays_open_after_an_answer():
    with serving() as server, server.stream() as client:
        for ident in range(3):
            client.sendall(framed(query(ident)))
            assert idents(read(client, 1)) == [ident]


@pytest.mark.parametrize("count", [2, 64, 65, 200])
def test_queries_in_one_segment_are_all_answered(count):
    with serving() as server, server.stream() as client:
        client.sendall(framed(*map(query, range(count))))
        assert idents(read(client, count)) == list(range(count))


def test_queries_may_come_octet_by_octet():
    with serving() as server, server.stream() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framed(query(1), query(2)):
            client.sendall(bytes((octet,)))
            time.sleep(0.0005)
        assert idents(read(client, 2)) == [1, 2]


def test_length_and_message_are_written_together():
    with serving() as server, server.stream() as client:
        client.sendall(framed(query(1)))
        octets = client.recv(65_535)
        assert len(octets) == 2 + int.from_bytes(octets[:2], "big")


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_queries_before_a_half_close_are_answered(count):
    with serving() as server, server.stream() as client:
        client.sendall(framed(*map(query, range(count))))
        client.shutdown(socket.SHUT_WR)
        assert idents(read(client, count + 1)) == list(range(count))


def test_a_half_close_within_a_message_closes():
    with serving() as server, server.stream() as client:
        client.sendall(framed(query(1)) + framed(query(2))[:-1])
        client.shutdown(socket.SHUT_WR)
        assert idents(read(client, 2)) == [1]


@pytest.mark.parametrize("noise", [b"\0\0", b"\0\x0b" + bytes(11), b"\0\1x"])
def test_bad_framing_closes_after_what_was_good(noise):
    with serving() as server, server.stream() as client:
        client.sendall(framed(query(1)) + noise + framed(query(2)))
        assert idents(read(client, 2)) == [1]


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 53\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n",
    ],
    ids=["HTTP", "TLS", "PROXY", "PROXY v2"],
)
def test_other_protocols_end_in_a_close_without_a_reply(noise):
    with serving(idle_timeout=0.3) as server, server.stream() as client:
        client.sendall(noise)
        assert closed(client)


def test_a_response_is_not_answered_and_the_next_query_is():
    with serving() as server, server.stream() as client:
        response = query(1)[:2] + b"\x80" + query(1)[3:]
        client.sendall(framed(response, query(2)))
        assert idents(read(client, 1)) == [2]


def test_a_malformed_message_has_formerr_and_the_next_its_answer():
    with serving() as server, server.stream() as client:
        client.sendall(framed(query(1)[:-1], query(2)))
        replies = read(client, 2)
        assert idents(replies) == [1, 2]
        assert [reply[3] & 15 for reply in replies] == [1, 0]


def test_a_message_of_65535_octets_is_read():
    size = 65_535 - len(query(9)) - 11 - 4
    octets = query(9)[:10] + b"\0\1" + query(9)[12:] + b"\0\0\x29\4\xd0" + bytes(4)
    octets += (size + 4).to_bytes(2, "big") + b"\0\x0c" + size.to_bytes(2, "big") + bytes(size)
    assert len(octets) == 65_535
    with serving() as server, server.stream() as client:
        client.sendall(framed(octets, query(10)))
        replies = read(client, 2)
        assert idents(replies) == [9, 10]
        assert [reply[3] & 15 for reply in replies] == [0, 0]


def test_a_long_response_is_whole():
    with serving() as server, server.stream() as client:
        client.sendall(framed(query(1, "big.example.", "TXT")))
        (reply,) = read(client, 1)
        assert len(reply) > 51_000
        assert not reply[2] & 2


def test_an_idle_connection_is_closed():
    with serving(idle_timeout=0.3) as server, server.stream() as client:
        client.sendall(framed(query(1)))
        assert len(read(client, 1)) == 1
        began = time.monotonic()
        assert closed(client)
        assert 0.1 < time.monotonic() - began < 3
        assert server.tcp.timed_out == 1
        eventually(lambda: not server.tcp.connections and not server.tcp.clients, 2)


def test_a_message_that_is_never_whole_is_idle():
    with serving(idle_timeout=0.3) as server, server.stream() as client:
        began = time.monotonic()
        try:
            while time.monotonic() - began < 3:
                client.sendall(b"\1")
                time.sleep(0.05)
        except OSError:
            return
        raise AssertionError("still open")


def test_who_does_not_read_costs_bounded_memory_and_starves_nobody():
    with serving(idle_timeout=1.0) as server, server.stream() as greedy, server.stream() as modest:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.setblocking(False)
        flood = framed(*[query(1, "big.example.", "TXT")] * 1000)
        sent = 0
        try:
            while sent < 20 << 20:
                sent += greedy.send(flood)
        except BlockingIOError:
            pass
        held = server.run(
            lambda: [(len(c._input), c.transport.get_write_buffer_size()) for c in server.tcp.connections]
        )
        assert all(unread <= 1 << 20 and unsent <= 4 * OUTPUT for unread, unsent in held), held
        for ident in range(20):
            modest.sendall(framed(query(ident)))
            assert idents(read(modest, 1)) == [ident]
        eventually(lambda: server.tcp.timed_out >= 1, 5)


def test_who_reads_late_gets_everything():
    with serving() as server, server.stream() as client:
        client.sendall(framed(*(query(n, "big.example.", "TXT") for n in range(60))))
        time.sleep(0.3)
        assert idents(read(client, 60)) == list(range(60))


def test_a_client_has_a_limit_of_connections():
    with serving(max_per_client=3) as server:
        clients = [server.stream() for _ in range(3)]
        for client in clients:
            client.sendall(framed(query(1)))
            assert len(read(client, 1)) == 1
        with server.stream() as fourth:
            assert closed(fourth)
        clients.pop().close()
        eventually(lambda: len(server.tcp.connections) == 2, 2)
        clients.append(server.stream())
        for client in clients:
            client.sendall(framed(query(2)))
            assert len(read(client, 1)) == 1
            client.close()


def test_where_all_are_too_many_the_longest_idle_goes():
    with serving(max_connections=3) as server:
        clients = [server.stream() for _ in range(3)]
        for client in (clients[1], clients[2], clients[0]):
            client.sendall(framed(query(1)))
            assert len(read(client, 1)) == 1
        with server.stream() as fourth:
            fourth.sendall(framed(query(2)))
            assert len(read(fourth, 1)) == 1
            assert closed(clients[1])
            for client in (clients[0], clients[2]):
                client.sendall(framed(query(3)))
                assert len(read(client, 1)) == 1
        for client in clients:
            client.close()


def test_many_pipelined_queries_do_not_starve_udp():
    count = 50_000
    with serving() as server, server.stream() as busy, server.datagrams() as client:
        flood = framed(*(query(n) for n in range(1000))) * (count // 1000)
        busy.settimeout(0)
        waits, sent, read_back = [], 0, 0
        while read_back < count * (2 + 45):
            with contextlib.suppress(BlockingIOError):
                sent += busy.send(flood[sent:])
            began = time.monotonic()
            client.send(query(7))
            assert client.recv(4096)[:2] == b"\0\7"
            waits.append(time.monotonic() - began)
            try:
                while octets := busy.recv(1 << 20):
                    read_back += len(octets)
            except BlockingIOError:
                pass
        assert max(waits) < 0.25, max(waits)


def test_closing_answers_what_was_asked():
    with serving() as server, server.stream() as client:
        client.sendall(framed(query(1)))
        assert len(read(client, 1)) == 1
        server.run(lambda: client.sendall(framed(query(2))))
        server.run(server.tcp.close)
        assert idents(read(client, 2)) in ([], [2])
