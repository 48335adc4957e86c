import ipaddress
import math
import socket
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsserver.transport.filter import Network, Rule, attach
from dnsserver.transport.sockets import RECEIVE_BUFFER
from dnsserver.transport.udp import _Listener
from tests.dnsserver.transport.test_udp import has_ipv6
from tests.programs import eventually

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a filter of Linux")


def net(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def received(lists: list[list[Rule]], host: str, sources: list[str]) -> tuple[list[bool], Counter[str]]:
    """Return which lists the kernel follows, and how many datagrams come through it from each source."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((host, 0))
        sock.setblocking(False)
        follows = attach(sock, lists)
        for source in sources:
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.bind((source, 0))
                client.sendto(source.encode(), sock.getsockname())
        found: Counter[str] = Counter()
        with suppress(BlockingIOError):
            while True:
                found[sock.recv(100).decode()] += 1
        return follows, found


def walked(lists: list[list[Rule]], source: str) -> bool:
    """Say whether a datagram comes through lists of all or nothing, by the definition."""
    address = ipaddress.ip_address(source)
    return all(next((part for network, part in rules if address in network), 1) for rules in lists)


prefixes = st.builds(
    lambda octets, length: net(f"127.{octets[0]}.{octets[1]}.{octets[2]}/{length}"),
    st.tuples(st.integers(0, 3), st.sampled_from([0, 128]), st.integers(1, 3)),
    st.integers(0, 32),
)
sources = st.tuples(st.integers(0, 3), st.sampled_from([0, 128]), st.integers(1, 3)).map(
    lambda octets: f"127.{octets[0]}.{octets[1]}.{octets[2]}"
)


rules = st.lists(st.tuples(prefixes, st.sampled_from([0.0, 1.0])), max_size=6)


@settings(max_examples=50)
@given(st.lists(rules, max_size=3), st.lists(sources, max_size=4, unique=True))
def test_the_kernel_passes_what_the_first_rule_of_each_list_says(lists, asked):
    follows, found = received(lists, "127.0.0.1", asked)
    assert all(follows)
    assert found == {source: 1 for source in asked if walked(lists, source)}


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
    _, found = received([[(net(text), 0) for text in networks]], "::1", ["::1"])
    assert found == ({"::1": 1} if comes else {})


EACH: Final = 100
"""Datagrams of one source, fewer than a receive buffer holds."""


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("127.0.0.1", "127.0.0.0/24"),
        pytest.param("::1", "::/56", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6")),
    ],
)
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_of_a_network_the_part_passes_that_its_rule_says(host, network, part):
    _, found = received([[(net(network), part)]], host, [host] * EACH)
    # Six standard deviations: one run of 10^9 is outside.
    assert abs(found[host] - EACH * part) <= 6 * math.sqrt(EACH * part * (1 - part))


def test_a_part_is_taken_of_what_the_list_before_passes():
    denied = [(net("127.0.1.0/24"), 0.0), (net("0.0.0.0/0"), 1.0)]
    thinned = [(net("127.0.2.2"), 1.0), (net("127.0.2.0/24"), 0.1), (net("127.0.3.0/24"), 0.9)]
    asked = ["127.0.1.1", "127.0.2.1", "127.0.2.2", "127.0.3.1", "127.0.4.1"]
    _, found = received([denied, thinned], "127.0.0.1", asked * EACH)
    assert found["127.0.1.1"] == 0
    assert 1 <= found["127.0.2.1"] < EACH / 2 < found["127.0.3.1"] < EACH
    assert found["127.0.2.2"] == found["127.0.4.1"] == EACH


def test_rules_take_the_place_of_those_before_and_none_of_all():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        for rules in ([(net("127.0.0.0/8"), 0)], [(net("10.0.0.0/8"), 0)], []):
            attach(sock, [rules])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", sock.getsockname())
        assert sock.recv(10) == b"x"


def test_nothing_passes_while_rules_are_exchanged():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        rules = [[(net("127.0.0.0/8"), 0.0)], [(net("127.0.0.0/9"), 0.0)]]
        attach(sock, rules[:1])
        command = [
            sys.executable,
            "-m",
            "tests.overload.flood",
            "one",
            "127.0.9.9",
            str(sock.getsockname()[1]),
            "60",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as flood:
            try:
                eventually(lambda: drops(sock) > 1000, 30)
                for number in range(300):
                    attach(sock, [rules[number % 2]])
                until = drops(sock) + 1000
                eventually(lambda: drops(sock) > until, 30)
            finally:
                flood.kill()
        with pytest.raises(BlockingIOError):
            sock.recv(100)


def drops(sock: socket.socket) -> int:
    return _Listener(sock).kernel_drops


@pytest.mark.parametrize(("count", "fits"), [(2046, True), (2047, False)])
def test_rules_without_end_are_left_to_who_answers(count, fits):
    denied = [(net(f"10.{number >> 8}.{number & 255}.0/24"), 0) for number in range(count)]
    assert received([denied], "127.0.0.1", ["127.0.0.1"]) == ([fits], {"127.0.0.1": 1})
    # The list after it has room where that one has not.
    thinned = [(net("127.0.0.0/24"), 0)]
    found = {"127.0.0.1": 1} if fits else {}
    assert received([denied, thinned], "127.0.0.1", ["127.0.0.1"]) == ([fits, not fits], found)
