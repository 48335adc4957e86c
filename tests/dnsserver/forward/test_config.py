"""What of the zone YAML is about forwarding, and how its faults are told."""

import ipaddress
from pathlib import Path

import pytest

from dnsserver.config import ConfigError, load
from dnsserver.transport.sockets import Address
from tests.dnsserver.forward.upstreams import certificate

ZONES = "zones: [{name: example.}]\n"
LISTEN = 'listen: ["127.0.0.1:53", "[::1]:53"]\n'


@pytest.fixture
def told(tmp_path):
    def load_text(text):
        (tmp_path / "zone.yaml").write_text(text)
        return load(tmp_path / "zone.yaml")

    return load_text


def forward(lines: str, listen: str = LISTEN) -> str:
    return f"{listen}{ZONES}forward:\n  {lines}\n"


def test_nothing_is_forwarded_unless_told(told):
    assert told(ZONES).forward is None


def test_an_upstream_is_all_that_forwarding_needs(told):
    found = told(forward('upstreams: ["192.0.2.1:53"]')).forward
    (upstream,) = found.upstreams
    assert (upstream.address.address, upstream.address.tls) == (Address("192.0.2.1", 53), False)
    assert (found.timeout, found.deadline, found.max_in_flight) == (2, 5, 512)
    assert (found.health.failures, found.health.interval) == (2, 1)
    assert (found.cache.size, found.cache.max_ttl, found.cache.negative_ttl, found.cache.failure_ttl) == (
        16 << 20,
        3600,
        1800,
        5,
    )


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("172.31.0.1", True),
        ("172.32.0.0", False),
        ("192.168.0.1", True),
        ("192.169.0.0", False),
        ("100.64.0.1", True),
        ("100.128.0.0", False),
        ("127.0.0.2", True),
        ("8.8.8.8", False),
        ("::1", True),
        ("::2", False),
        ("fd00::1", True),
        ("fe80::1", True),
        ("fec0::1", False),
        ("2001:db8::1", False),
    ],
)
def test_private_networks_alone_may_have_names_resolved_by_default(told, address, allowed):
    networks = told(forward('upstreams: ["192.0.2.1:53"]')).forward.allow
    assert any(ipaddress.ip_address(address) in network for network in networks) == allowed


def test_an_upstream_over_tls_is_read(told, tmp_path):
    ours = certificate(tmp_path, "DNS:dns.test")
    text = f'{{address: "tls://[2001:db8::1]:853", server_name: dns.test, ca_file: {ours.file}}}'
    (upstream,) = told(forward(f"upstreams: [{text}]")).forward.upstreams
    assert (upstream.address.address, upstream.address.tls) == (Address("2001:db8::1", 853), True)
    assert upstream.server_name == "dns.test"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("upstreams: []", "4:14: forward.upstreams: expected"),
        ('upstreams: ["192.0.2.1"]', "4:15: forward.upstreams[0].address: expected ADDRESS:PORT"),
        ('upstreams: ["dns.test:53"]', "forward.upstreams[0].address: expected ADDRESS:PORT"),
        ('upstreams: ["https://192.0.2.1:443"]', "expected ADDRESS:PORT as 192.0.2.1:53, or tls://"),
        ("upstreams: [53]", "forward.upstreams[0]"),
        ('upstreams: [{adress: "192.0.2.1:53"}]', "unknown key; did you mean address?"),
        ('upstreams: [{address: "192.0.2.1:53", server_name: dns.test}]', "are for tls:// addresses"),
        (
            'upstreams: [{address: "tls://192.0.2.1:53", ca_file: /nowhere}]',
            "/nowhere cannot be read: No such",
        ),
        (
            'upstreams: [{address: "tls://192.0.2.1:53", ca_file: /dev/null}]',
            "/dev/null: expected certificates",
        ),
        (
            'upstreams: ["192.0.2.1:53", "127.0.0.1:53"]',
            "4:31: forward.upstreams[1].address: this is our own",
        ),
        ('upstreams: ["tls://127.0.0.1:53"]', "this is our own address (listen has 127.0.0.1:53)"),
        ('upstreams: ["[::1]:53"]', "this is our own address (listen has [::1]:53)"),
        (
            'upstreams: ["192.0.2.1:53"]\n  allow: ["0.0.0.0/0"]',
            "5:10: forward.allow: a network of everybody",
        ),
        ('upstreams: ["192.0.2.1:53"]\n  allow: ["10.0.0.0/8", "::/0"]', "a network of everybody"),
        ('upstreams: ["192.0.2.1:53"]\n  allow: []', "5:10: forward.allow: expected"),
        ('upstreams: ["192.0.2.1:53"]\n  timeout: 0', "5:12: forward.timeout: expected to be greater than 0"),
        ('upstreams: ["192.0.2.1:53"]\n  cache: {failure_ttl: 600}', "failure_ttl: expected at most 30"),
        ('upstreams: ["192.0.2.1:53"]\n  cache: {sise: 5}', "unknown key; did you mean size?"),
        ("allow: [10.0.0.0/8]", "forward: missing key upstreams"),
    ],
)
def test_a_fault_is_told_with_its_place(told, lines, fault):
    with pytest.raises(ConfigError) as raised:
        told(forward(lines))
    assert fault in str(raised.value)


def test_the_example_in_the_documentation_is_good(told, tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "forwarding.md").read_text("utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert "ca.pem" in example
    found = told(
        ZONES + example.replace("ca.pem", str(certificate(tmp_path, "DNS:dns.example").file))
    ).forward
    assert [upstream.address.tls for upstream in found.upstreams] == [False, True]


@pytest.mark.parametrize("upstream", ["127.0.0.1:53", "127.1.2.3:53", "0.0.0.0:53", "[::1]:53"])
def test_an_address_that_a_listener_on_all_addresses_has_is_our_own(told, upstream):
    listen = 'listen: ["0.0.0.0:53", "[::]:53"]\n'
    with pytest.raises(ConfigError, match="this is our own address"):
        told(forward(f'upstreams: ["{upstream}"]', listen))


@pytest.mark.parametrize("upstream", ["127.0.0.1:54", "192.0.2.1:53", "127.0.0.2:53"])
def test_another_port_or_another_host_is_not_our_own(told, upstream):
    assert told(forward(f'upstreams: ["{upstream}"]')).forward
