"""SIGTERM: it says that it goes, answers what has arrived, and goes."""

import os
import signal
import socket
import time

import dns.message
import pytest

from dnsserver.listeners import DRAIN
from tests.load import Load, has
from tests.programs import DnsServer, children, eventually

ZONES = "zones: [{name: example, records: [{name: a, type: A, data: 192.0.2.1}]}]\n"


def query(ident: int) -> bytes:
    return dns.message.make_query("a.example", "A", id=ident).to_wire()


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def ended(server: DnsServer, within: float) -> int:
    eventually(lambda: server.process.poll() is not None, within, server.log())
    return server.process.returncode


WORKERS = pytest.mark.parametrize("workers", [1, 2])


@WORKERS
def test_as_a_lame_duck_it_answers_and_is_not_ready(tmp_path, workers):
    settings = f"lameduck: 2\nworkers: {workers}\n"
    with DnsServer(tmp_path, zones=ZONES, settings=settings) as server:
        server.wait_ready()
        with Load(server.port, {"a.example.": has("192.0.2.1")}) as load:
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: server.page("/ready") == (503, "stopping\n"), 1)
            assert server.page("/health")[0] == 200
            while time.monotonic() - began < 1.5:
                assert server.data("a.example", tcp=True) == {"192.0.2.1"}
        assert load.wrong == []
        assert ended(server, 5) == 0
        assert time.monotonic() - began > 2


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once_and_ctrl_c_knows_no_lame_duck(tmp_path, first):
    with DnsServer(tmp_path, zones=ZONES, settings="lameduck: 60\n") as server:
        server.process.send_signal(first)
        if first == signal.SIGTERM:
            server.wait_for("stopping")
            assert server.data("a.example") == {"192.0.2.1"}
            server.process.send_signal(signal.SIGTERM)
        assert ended(server, 5) == 0


@WORKERS
def test_what_is_queued_when_it_ends_is_answered(tmp_path, workers):
    with DnsServer(tmp_path, zones=ZONES, settings=f"workers: {workers}\n") as server:
        server.wait_ready()
        end_with_queries(server)


def end_with_queries(server: DnsServer) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.port), 5) as stream,
    ):
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
        stream.sendall(framed(query(1)))
        assert stream.recv(512)
        pids = [server.process.pid, *children(server)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        count = 175  # by three more than one turn of the batch loop, and what a usual receive buffer holds
        for client in clients:
            client.settimeout(5)
            client.connect(("127.0.0.1", server.port))
            for ident in range(count):
                client.send(query(ident))
        stream.sendall(b"".join(map(framed, map(query, range(300)))))
        fresh = socket.create_connection(("127.0.0.1", server.port), 5)
        fresh.sendall(framed(query(7)))
        server.process.send_signal(signal.SIGTERM)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        began = time.monotonic()
        for client in clients:
            assert {int.from_bytes(client.recv(512)[:2], "big") for _ in range(count)} == set(range(count))
        assert len(messages(stream)) == 300
        assert len(messages(fresh)) == 1
        assert ended(server, 5) == 0
        assert time.monotonic() - began < DRAIN


def messages(stream: socket.socket) -> list[bytes]:
    """Return what comes until the other side closes in good order, by message."""
    octets, found = b"", []
    while part := stream.recv(65_536):
        octets += part
    while octets:
        end = 2 + int.from_bytes(octets[:2], "big")
        found.append(octets[2:end])
        octets = octets[end:]
    return found


def test_a_transfer_that_is_under_way_is_finished(tmp_path):
    lines = "".join(f"n{number} 300 IN TXT {'x' * 250}\n" for number in range(8000))
    (tmp_path / "example.zone").write_text(lines)
    zones = "zones: [{name: example, file: example.zone, transfer: {allow: [{address: 127.0.0.1}]}}]\n"
    with DnsServer(tmp_path, zones=zones) as server, socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.settimeout(5)
        stream.connect(("127.0.0.1", server.port))
        stream.sendall(framed(dns.message.make_query("example", "AXFR").to_wire()))
        first = stream.recv(2, socket.MSG_PEEK)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping")
        assert first
        assert server.process.poll() is None
        assert b"".join(messages(stream)).count(b"\xfa" + b"x" * 250) == 8000
        assert ended(server, 5) == 0
