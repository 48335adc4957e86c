import ipaddress
import socket
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsserver.transport.filter import Network, Rule, drop
from tests.dnsserver.transport.test_udp import has_ipv6

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a filter of Linux")


def net(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def received(rules: list[Rule], host: str, sources: list[str]) -> tuple[bool, set[str]]:
    """Return whether there is a filter, and from which sources datagrams come through it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.setblocking(False)
        filtered = drop(sock, rules)
        for source in sources:
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.bind((source, 0))
                client.sendto(source.encode(), sock.getsockname())
        found = set()
        with suppress(BlockingIOError):
            while True:
                found.add(sock.recv(100).decode())
        return filtered, found


def walked(rules: list[Rule], source: str) -> bool:
    """Say whether a datagram comes through, by the definition."""
    address = ipaddress.ip_address(source)
    return not next((dropped for network, dropped in rules if address in network), False)


prefixes = st.builds(
    lambda octets, length: net(f"127.{octets[0]}.{octets[1]}.{octets[2]}/{length}"),
    st.tuples(st.integers(0, 3), st.sampled_from([0, 128]), st.integers(1, 3)),
    st.integers(0, 32),
)
sources = st.tuples(st.integers(0, 3), st.sampled_from([0, 128]), st.integers(1, 3)).map(
    lambda octets: f"127.{octets[0]}.{octets[1]}.{octets[2]}"
)


@settings(max_examples=50)
@given(st.lists(st.tuples(prefixes, st.booleans()), max_size=6), st.lists(sources, max_size=4, unique=True))
def test_the_kernel_drops_what_the_first_rule_says(rules, asked):
    filtered, found = received(rules, "127.0.0.1", asked)
    assert filtered == any(dropped for _, dropped in rules)
    assert found == {source for source in asked if walked(rules, source)}


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6")
@pytest.mark.parametrize(
    ("networks", "comes"),
    [
        (["::1"], False),
        (["::/0"], False),
        (["::2"], True),
        (["::1:0:0:0:1", "2001:db8::/32"], True),
        (["2001:db8::/32", "::/64"], False),
        (["0.0.0.0/0"], True),
    ],
)
def test_ipv6_sources_are_compared_whole(networks, comes):
    _, found = received([(net(text), True) for text in networks], "::1", ["::1"])
    assert found == ({"::1"} if comes else set())


def test_rules_take_the_place_of_those_before_and_none_of_all():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        for rules in ([(net("127.0.0.0/8"), True)], [(net("10.0.0.0/8"), True)], []):
            drop(sock, rules)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", sock.getsockname())
        assert sock.recv(10) == b"x"


@pytest.mark.parametrize(("count", "fits"), [(1023, True), (1024, False)])
def test_rules_without_end_are_left_to_who_answers(count, fits):
    rules = [(net(f"10.{number >> 8}.{number & 255}.0/24"), True) for number in range(count)]
    assert received(rules, "127.0.0.1", ["127.0.0.1"]) == (fits, {"127.0.0.1"})
