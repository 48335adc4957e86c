"""What of the zone YAML is about transfers, and how its faults are told."""

import base64

import pytest

from dnsserver.build import transfer_policies
from dnsserver.config import ConfigError, load
from dnsserver.transport.sockets import Address
from dnsserver.wire.name import from_text

SECRET = b"0123456789abcdef"

GOOD = """\
tsig:
  - {name: One.Key, secret_file: secret}
  - {name: two, algorithm: hmac-sha512, secret_file: secret}
zones:
  - name: example.
    transfer:
      allow:
        - {address: 192.0.2.0/24, key: one.key}
        - {address: "2001:db8::1"}
      notify:
        - {address: "192.0.2.1:53", key: two}
        - {address: "[2001:db8::1]:5353"}
  - name: closed.test.
"""


@pytest.fixture
def told(tmp_path):
    (tmp_path / "secret").write_bytes(base64.b64encode(SECRET) + b"\n")

    def load_text(text):
        (tmp_path / "zone.yaml").write_text(text)
        return load(tmp_path / "zone.yaml")

    return load_text


def test_keys_and_peers_are_read(told):
    config = told(GOOD)
    one, two = config.tsig
    assert (one.name, one.algorithm, one.secret) == (from_text("one.key."), "hmac-sha256", SECRET)
    assert (two.name, two.algorithm, two.secret) == (from_text("two."), "hmac-sha512", SECRET)
    ((apex, policy),) = transfer_policies(config).items()
    assert apex == from_text("example.")
    assert [(str(peer.network), peer.key) for peer in policy.allow] == [
        ("192.0.2.0/24", one.name),
        ("2001:db8::1/128", None),
    ]
    assert policy.notify == [
        (Address("192.0.2.1", 53), two.name),
        (Address("2001:db8::1", 5353), None),
    ]


def test_no_secret_shows_in_the_configuration_as_text(told):
    config = told(GOOD)
    for text in (repr(config), str(config), config.model_dump_json(), repr(config.tsig[0])):
        assert SECRET.decode() not in text
        assert base64.b64encode(SECRET).decode() not in text


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "key: two",
            "key: tow",
            "11:42: zones[0].transfer.notify[0].key: tow: no key of this name under tsig",
        ),
        ("key: one.key", "key: One", "zones[0].transfer.allow[0].key: One: no key of this name under tsig"),
        ("name: two", "name: one.KEY", "3:12: tsig[1].name: one.KEY: a second key of this name"),
        (
            "two, algorithm: hmac-sha512",
            "two, algorithm: hmac-md5",
            "tsig[1].algorithm: expected 'hmac-sha256'",
        ),
        ("Key, secret_file: secret", "Key, secret_file: nowhere", "2:34: tsig[0].secret_file: "),
        ("Key, secret_file: secret", "Key, secret_file: nowhere", "nowhere cannot be read: No such file"),
        ("Key, secret_file: secret", "Key, secret_file: zone.yaml", "zone.yaml: expected base64"),
        ("Key, secret_file: secret", "Key, secret_file: empty", "empty: expected base64"),
        ("Key, secret_file: secret", "Key, secret: secret", "unknown key; did you mean secret_file?"),
        ("192.0.2.0/24", "192.0.2.1/24", "transfer.allow[0].address: expected an address or a network"),
        ("192.0.2.1:53", "192.0.2.1", "transfer.notify[0].address: expected ADDRESS:PORT"),
        ("      allow:", "      alow:", "7:7: zones[0].transfer.alow: unknown key; did you mean allow?"),
        (
            "  - name: closed.test.",
            '  - {name: closed.test., transfer: {notify: [{address: "192.0.2.1:53"}]}}',
            "notify without allow",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(told, tmp_path, old, new, fault):
    (tmp_path / "empty").write_bytes(b"\n")
    assert old in GOOD
    with pytest.raises(ConfigError) as raised:
        told(GOOD.replace(old, new))
    assert fault in str(raised.value)
    assert base64.b64encode(SECRET).decode() not in str(raised.value)
