import ipaddress
import socket
import sys
from contextlib import contextmanager

import pytest

from dnsserver.limits.queries import QueryLimit
from dnsserver.transport import udp
from dnsserver.transport.thinning import LINES
from tests.dnsserver.transport.serving import Serving, query, serving
from tests.dnsserver.transport.test_udp import has_ipv6
from tests.programs import eventually

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a filter of Linux")

LIMIT = QueryLimit(100)


@contextmanager
def limited(limit: QueryLimit = LIMIT, host: str = "127.0.0.1"):
    with serving(host) as server:
        server.run(lambda: server.udp.limit(limit))
        yield server


def flood(server: Serving, source: str, count: int = 200) -> None:
    """Ask, each query in a turn of its own."""
    with socket.socket(server.address.family, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.connect(tuple(server.address))
        for _ in range(count):
            server.run(lambda: client.send(query()))


def thin(server: Serving, source: str, network: str) -> None:
    """Flood until a network is thinned."""
    eventually(lambda: flood(server, source) or network in thinned(server), 20)


def thinned(server: Serving) -> list[str]:
    return sorted(map(str, server.run(lambda: server.udp.thinned)))


@pytest.mark.parametrize(
    ("host", "source", "network"),
    [
        ("127.0.0.1", "127.0.9.9", "127.0.9.0/24"),
        pytest.param("::1", "::1", "::/56", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6")),
    ],
)
def test_who_asks_too_much_is_thinned_until_it_asks_less(host, source, network):
    with limited(host=host) as server:
        thin(server, source, network)
        assert thinned(server) == [network]
        # Nobody asks anything now.
        eventually(lambda: not thinned(server), 10)


def test_who_asks_as_much_as_allowed_is_not_thinned():
    with limited() as server:
        flood(server, "127.0.8.8", LIMIT.per_second)
        thin(server, "127.0.9.9", "127.0.9.0/24")
        assert thinned(server) == ["127.0.9.0/24"]


def test_others_are_answered_while_a_network_is_thinned():
    with limited() as server, server.datagrams() as client:
        thin(server, "127.0.9.9", "127.0.9.0/24")
        for ident in range(LIMIT.per_second):
            client.send(query(ident))
            assert client.recv(4096)[:2] == ident.to_bytes(2, "big")
        assert thinned(server) == ["127.0.9.0/24"]


def test_the_exempt_pass_in_a_network_that_is_thinned():
    exempt = (ipaddress.ip_network("127.0.0.1/32"),)
    with limited(QueryLimit(1, exempt)) as server, server.datagrams() as client:
        thin(server, "127.0.0.9", "127.0.0.0/24")
        for ident in range(100):
            client.send(query(ident))
            assert client.recv(4096)[:2] == ident.to_bytes(2, "big")
        assert thinned(server) == ["127.0.0.0/24"]


@pytest.mark.parametrize(
    ("next_limit", "stays"), [(QueryLimit(1), True), (QueryLimit(2), False), (None, False)]
)
def test_a_reload_keeps_what_a_limit_has_found_unless_it_is_another(next_limit, stays):
    with limited(QueryLimit(1)) as server:
        thin(server, "127.0.9.9", "127.0.9.0/24")

        def reload():
            server.udp.deny([(ipaddress.ip_network("127.0.7.0/24"), 0.0)])
            server.udp.limit(next_limit)
            return bool(server.udp.thinned)

        assert server.run(reload) == stays
        for source, dropped in (("127.0.7.7", True), ("127.0.9.9", stays)):
            before = server.run(lambda: server.udp.kernel_drops)
            flood(server, source, 20)
            assert (server.run(lambda: server.udp.kernel_drops) > before) == dropped


def test_the_log_tells_of_each_network_but_not_of_any_number(caplog):
    with limited(QueryLimit(1)) as server:
        for number in range(1, LINES + 2):
            thin(server, f"127.0.{number}.1", f"127.0.{number}.0/24")
        eventually(lambda: not thinned(server), 20)
    lines = [record.getMessage() for record in caplog.records if "query_limit" in record.getMessage()]
    assert len(lines) == LINES
    assert any(line.startswith("127.0.1.0/24 is over query_limit") for line in lines)


def test_where_the_kernel_cannot_follow_there_is_one_warning_and_all_are_answered(caplog, monkeypatch):
    with limited() as server, server.datagrams() as client:
        monkeypatch.setattr(udp, "attach", lambda sock, lists: [not rules for rules in lists])
        eventually(lambda: flood(server, "127.0.9.9") or "the kernel cannot follow" in caplog.text, 20)
        flood(server, "127.0.9.9", 1000)
        assert not thinned(server)
        client.send(query(1))
        assert client.recv(4096)[:2] == b"\0\1"
    assert caplog.text.count("query_limit") == 1


def test_elsewhere_than_in_the_batch_loop_a_limit_is_refused_with_a_warning(caplog):
    with serving(batched=False) as server:
        server.run(lambda: server.udp.limit(LIMIT))
        assert "query_limit is for Linux" in caplog.text
        assert not thinned(server)
