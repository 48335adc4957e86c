"""Policies by client, on a running dnsserver: clients are addresses of loopback."""

import dns.message
import dns.query
import dns.rcode
import pytest

from tests.programs import ZONE, DnsServer

ACL = """\
acl:
  - {networks: [127.0.1.1], action: allow}
  - {networks: [127.0.1.0/24, "2001:db8::/32"], action: refuse}
  - {networks: [127.0.2.0/24], action: drop}
"""
DENIED = "dnsserver_acl_denied_total"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DnsServer(tmp_path_factory.mktemp("acl"), zones=ZONE + ACL) as running:
        yield running


def asked(server, client: str, *, tcp: bool, kind: str = "A"):
    """Return the response to a client, None if it gets none."""
    query = dns.message.make_query("ns.dns.k8s.local.", kind, use_edns=0)
    send = dns.query.tcp if tcp else dns.query.udp
    try:
        return send(query, "127.0.0.1", 2 if tcp else 0.5, server.port, source=client)
    except (OSError, EOFError, dns.exception.Timeout):
        return None


BOTH = pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])


@BOTH
@pytest.mark.parametrize("client", ["127.0.0.1", "127.0.1.1", "127.0.3.1"])
def test_whom_no_list_denies_is_answered(server, client, tcp):
    response = asked(server, client, tcp=tcp)
    assert response.rcode() == dns.rcode.NOERROR
    assert response.answer


@BOTH
@pytest.mark.parametrize("kind", ["A", "AXFR"])
def test_the_refused_get_refused_for_all_they_ask(server, kind, tcp):
    before = server.metric(DENIED)
    response = asked(server, "127.0.1.2", tcp=tcp, kind=kind)
    assert response.rcode() == dns.rcode.REFUSED
    assert not response.answer
    assert [option.code for option in response.options] == [18]  # EDE Prohibited
    assert server.metric(DENIED) == before + 1


def test_the_dropped_get_nothing_over_udp_and_no_connection_over_tcp(server):
    before = server.metric(DENIED), server.metric("dnsserver_tcp_connections_refused_total")
    assert asked(server, "127.0.2.2", tcp=False) is None
    assert asked(server, "127.0.2.2", tcp=True) is None
    after = server.metric(DENIED), server.metric("dnsserver_tcp_connections_refused_total")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)
