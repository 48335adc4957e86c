"""What logs, metrics and pages show: strangers' octets as nothing but themselves, and secrets not at all."""

import base64
import contextlib
import random
import socket
import subprocess
import sys
from pathlib import Path

import dns.message
import dns.query
import dns.tsig
import dns.tsigkeyring
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store
from tests.programs import DnsServer, eventually

MARK = b"xyzzy"
"""Stands in every hostile name."""

HOSTILE = [
    MARK + b'"} 1\nforged_total{a="',
    MARK + b"\r\n2026-01-01T00:00:00.000Z ERROR forged",
    MARK + b"\x1b[2J\x1b]0;title\x07",
    MARK + b"\\\"'%s%n{}$(x)`x`",
    MARK + b"\xff\xfe\x00\x9b2J",
]


def question(label: bytes, rdtype: int, rdclass: int, opcode: int = 0) -> bytes:
    head = random.randbytes(2) + bytes([opcode << 3, 0]) + b"\0\1\0\0\0\0\0\0"
    name = bytes([len(label)]) + label + b"\3k8s\5local\0"
    return head + name + rdtype.to_bytes(2, "big") + rdclass.to_bytes(2, "big")


def series(server: DnsServer) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Every sample's name and labels; the page must be one that Prometheus reads."""
    status, page = server.page("/metrics")
    assert status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def ask_everything(port: int) -> None:
    """Hostile names with every type and class that counts, each opcode, and octets that are no query."""
    chosen = random.Random(1)
    types = [*range(300), 4096, 32768, 32769, 65280, 65535, *(chosen.randrange(65536) for _ in range(50))]
    queries = [question(chosen.choice(HOSTILE), t, 1) for t in types]
    queries += [question(label, 1, c) for label in HOSTILE for c in (0, 2, 3, 4, 254, 255, 65535)]
    queries += [question(label, 1, 1, opcode) for label in HOSTILE for opcode in range(16)]
    queries += [query[:cut] for query in queries[:5] for cut in range(len(query))]
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(("127.0.0.1", port))
        for count, query in enumerate(queries):
            datagrams.send(query)
            if count % 50 == 49:  # let it keep up
                alive = dns.message.make_query("ns.dns.k8s.local.", "A")
                datagrams.send(alive.to_wire())
                while datagrams.recv(4096)[:2] != alive.to_wire()[:2]:
                    pass


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_query_makes_a_metric_or_a_line_of_its_own(form, tmp_path):
    with DnsServer(tmp_path, more=("--log-format", form)) as server:
        ask_everything(server.port)
        before, lines = series(server), server.log().count("\n")
        ask_everything(server.port)
        after = series(server)
        assert after == before
        assert MARK.decode() not in str(after)
        assert server.log().count("\n") == lines
        assert MARK.decode() not in server.log()


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_in_etcd_shows_in_the_log_as_itself_and_in_no_metric(
    form, etcd, prefix, store: Store, tmp_path: Path
):
    root = f"{prefix}/local/k8s/".encode()
    puts = {Key(root + label.replace(b"/", b"") + b"/bad"): b"no json" for label in HOSTILE}
    puts |= {
        Key(root + b"host%d" % n): b'{"host": "%s"}' % label.hex().encode() for n, label in enumerate(HOSTILE)
    }
    puts |= {Key(root + b"text%d" % n): b'{"host": "a..b\\u000aforged\\u001b[2J%d"}' % n for n in range(5)}
    store.commit(puts=puts, deletes=(), expected={})
    with DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix, more=("--log-format", form)) as server:
        server.wait_ready()
        eventually(lambda: "no json" in server.log() or "bad" in server.log(), 10, server.log())
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in server.log() if c != "\n")
        assert not any(line.startswith("forged") for line in server.log().splitlines())
        assert MARK.decode() in server.log()
        assert MARK.decode() not in str(series(server))
        assert "forged" not in str(series(server))


SECRET = "hush-hush-hush-hush-hush-hush-32"
"""Of TSIG, as octets; it is long enough to be found."""

PASSWORD = "open-sesame-xyzzy"

SIGNED = """\
tsig: [{name: one.key., secret_file: one.b64}]
zones: [{name: k8s.local, transfer: {allow: [{address: 127.0.0.1, key: one.key.}]}}]
"""


def test_secrets_are_in_no_log_no_page_and_no_fault(etcd, tmp_path):
    """With all that is logged on, an etcd that refuses the password, and keys that are used and misused."""
    encoded = base64.b64encode(SECRET.encode()).decode()
    (tmp_path / "one.b64").write_text(encoded)
    (tmp_path / "password").write_text(PASSWORD)
    more = (
        "--log-level",
        "debug",
        "--etcd-username",
        "root",
        "--etcd-password-file",
        str(tmp_path / "password"),
    )
    with DnsServer(tmp_path, zones=SIGNED, etcd=etcd.endpoint, more=more) as server:
        query = dns.message.make_query("k8s.local.", "SOA")
        for name, secret in (("one.key.", SECRET), ("one.key.", SECRET[1:]), ("two.key.", SECRET)):
            query.use_tsig(
                dns.tsigkeyring.from_text({name: base64.b64encode(secret.encode()).decode()}), name
            )
            with contextlib.suppress(dns.tsig.PeerError, dns.tsig.BadSignature):
                dns.query.udp(query, "127.0.0.1", port=server.port, timeout=5)
        eventually(lambda: "authentication is not enabled" in server.log(), 10, server.log())
        shown = server.log() + "".join(
            server.page(path)[1] for path in ("/metrics", "/health", "/ready", "/")
        )
        check = [sys.executable, "-m", "dnsserver", "--check", "--config", str(server.config), *more]
        (tmp_path / "one.b64").write_text(f"not base64: {encoded}")
        shown += subprocess.run(check, capture_output=True, text=True, timeout=60).stderr
    assert "expected base64" in shown
    for secret in (SECRET, encoded, PASSWORD):
        assert secret not in shown
