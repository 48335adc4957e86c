"""Several workers: what becomes of queries when one is killed, keeps crashing, or outlives its parent."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import dns.message
import pytest

from dnsserver.transport.mmsg import BATCH
from tests.integration.test_reload import put, zones
from tests.load import Load, either, has, is_denied
from tests.programs import DnsServer, Resolver, children, eventually
from tools.embedded_etcd import free_port

TWO = "workers: 2\n"
ANSWER = {"a.example.": has("192.0.2.1"), "x.example.": is_denied}
ZONES = zones("example=192.0.2.1")


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def udp_sockets(pid: int, port: int) -> set[str]:
    """Return the inodes of the sockets of a port that a process has."""
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()]
    of_port = {f"socket:[{fields[9]}]" for fields in lines if fields[1].endswith(f":{port:04X}")}
    return of_port & {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}


def each_its_own(server: DnsServer) -> bool:
    """Say whether each of two workers has one socket for datagrams, and not the other's."""
    one, other = (udp_sockets(pid, server.port) for pid in children(server))
    return len(one) == len(other) == 1 and one != other


class Clients:
    """Sockets so many that each worker has some of them."""

    def __init__(self, port: int, count: int = 32) -> None:
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for sock in self.sockets:
            sock.connect(("127.0.0.1", port))

    def ask(self, name: str = "a.example") -> None:
        for ident, sock in enumerate(self.sockets):
            sock.send(dns.message.make_query(name, "A", id=ident).to_wire())

    def unanswered(self, within: float) -> list[socket.socket]:
        """Take the answer to the last query of each, and return those that have none in time."""
        deadline, missing = time.monotonic() + within, []
        for ident, sock in enumerate(self.sockets):
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                assert int.from_bytes(sock.recv(512)[:2], "big") == ident
            except TimeoutError:
                missing.append(sock)
        return missing

    def data(self, name: str) -> set[str]:
        """Return all that is answered, by whichever worker."""
        self.ask(name)
        answers = [dns.message.from_wire(sock.recv(512)).answer for sock in self.sockets]
        return {item.to_text() for answer in answers for rrset in answer for item in rrset}

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def server(tmp_path):
    with DnsServer(tmp_path, zones=ZONES, settings=TWO) as running:
        running.wait_ready()
        yield running


def test_what_is_queued_for_a_worker_that_is_killed_is_answered_by_its_sibling(server):
    with Clients(server.port) as clients:
        first, second = children(server)
        os.kill(first, signal.SIGSTOP)
        for _ in range(5):
            clients.ask()
        waiting = clients.unanswered(0.5)
        assert 0 < len(waiting) < len(clients.sockets)
        kill(first)
        for sock in waiting:
            sock.settimeout(2)
            for _ in range(5):
                assert sock.recv(512)
        assert second in children(server)


def test_killed_workers_lose_what_they_had_in_hand_and_come_back(server):
    with Load(server.port, ANSWER, rate=1000, clients=16) as load:
        for restarts in range(1, 4):
            victim = children(server)[0]
            kill(victim)
            eventually(
                lambda: (
                    server.metric("dnsserver_worker_restarts_total") == restarts  # noqa: B023
                    and server.page("/ready")[0] == 200
                    and server.metric("dnsserver_workers") == 2
                ),
                15,
            )
    assert load.wrong == []
    assert load.lost <= 3 * BATCH
    assert load.answered > 500
    assert "Traceback" not in server.log()


def test_the_clients_of_a_worker_that_keeps_crashing_are_served_by_its_sibling(server):
    survivor = children(server)[0]
    with Load(server.port, ANSWER, rate=500, clients=16) as load:
        killed: set[int] = set()
        while len(killed) < 4:
            for pid in set(children(server)) - {survivor}:
                kill(pid)
                killed.add(pid)
            time.sleep(0.01)
        with Clients(server.port) as clients:
            clients.ask()
            assert clients.unanswered(2) == []
    assert load.wrong == []
    assert load.lost <= len(killed) * BATCH
    assert server.page("/ready")[0] == 200
    server.wait_for("next start in 0.4 s")
    eventually(lambda: server.metric("dnsserver_workers") == 2, 15)
    eventually(lambda: each_its_own(server), 5)


def test_all_workers_dead_at_once_come_back_and_answer_what_waited(server):
    with Clients(server.port) as clients:
        for pid in children(server):
            kill(pid)
        clients.ask()
        assert clients.unanswered(10) == []


def test_a_reload_reaches_all_workers_and_no_answer_is_lost(server):
    more = Resolver(free_port())
    checks = {"a.example.": either(has("192.0.2.1"), has("192.0.2.2"))}
    with Load(server.port, checks, clients=16) as load:
        server.configure(zones=zones("example=192.0.2.2"), settings=TWO, ports=[more.port])
        server.reload()
        for port in (server.port, more.port):
            with Clients(port) as clients:
                assert clients.data("a.example") == {"192.0.2.2"}
            assert Resolver(port).data("a.example", tcp=True) == {"192.0.2.2"}
        kill(children(server)[0])
        with Clients(more.port) as clients:
            assert clients.data("a.example") == {"192.0.2.2"}
        eventually(lambda: server.metric("dnsserver_workers") == 2, 15)
        with Clients(server.port) as clients:
            assert clients.data("a.example") == {"192.0.2.2"}
        server.configure(zones=ZONES, settings=TWO)
        server.reload()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", more.port))
    assert load.wrong == []
    assert load.lost <= BATCH


def test_counters_are_summed_and_do_not_fall_when_a_worker_dies(server):
    with Clients(server.port) as clients:
        for _ in range(5):
            clients.ask()
            assert clients.unanswered(2) == []
    asked = 5 * len(clients.sockets)
    assert server.metric("coredns_dns_responses_total") == asked
    shares = [server.metric(f'dnsserver_worker_responses_total{{worker="{number}"}}') for number in range(2)]
    assert sum(shares) == asked
    assert min(shares) > 0
    kill(children(server)[0])
    eventually(lambda: server.metric("dnsserver_worker_restarts_total") == 1, 5)
    assert server.metric("coredns_dns_responses_total") == asked
    eventually(lambda: server.metric("dnsserver_workers") == 2, 15)
    assert server.metric("coredns_dns_responses_total") == asked
    assert server.metric("dnsserver_names") == 2


def test_it_is_ready_when_all_workers_have_what_etcd_had_and_all_follow(etcd, store, prefix, tmp_path):
    put(store, prefix, "example/www", "10.0.0.1")
    at = {"etcd": etcd.endpoint, "prefix": prefix}
    with DnsServer(tmp_path, zones=ZONES, settings=TWO, **at) as server:
        server.wait_ready()
        with Clients(server.port) as clients:
            assert clients.data("www.example") == {"10.0.0.1"}
            put(store, prefix, "example/www", "10.0.0.2")
            eventually(lambda: clients.data("www.example") == {"10.0.0.2"}, 5)
        assert server.metric("dnsserver_etcd_connected") == 1
        assert server.metric("dnsserver_workers") == 2


def test_the_status_site_is_that_of_a_worker(tmp_path):
    port = free_port()
    settings = TWO + f"status: {{listen: '127.0.0.1:{port}'}}\n"
    with DnsServer(tmp_path, zones=ZONES, settings=settings) as server:
        server.wait_ready()
        server.http_port = port
        for path in ("/", "/records?zone=example."):
            status, text = server.page(path)
            assert status == 200
            assert "example." in text
        for pid in children(server):
            os.kill(pid, signal.SIGSTOP)
        assert server.page("/") == (503, "no worker answers\n")
        for pid in children(server):
            os.kill(pid, signal.SIGCONT)


def test_workers_end_with_a_parent_that_is_killed(server):
    left = children(server)
    server.process.kill()
    server.process.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), 10)


@pytest.mark.slow
def test_a_worker_that_hangs_is_killed_and_replaced(server):
    victim = children(server)[0]
    os.kill(victim, signal.SIGSTOP)
    eventually(lambda: victim not in children(server), 60)
    eventually(lambda: server.metric("dnsserver_workers") == 2, 15)
    assert "does not answer for 30 s: killed" in server.log()
