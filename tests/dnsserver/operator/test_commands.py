"""The commands as they are typed, on a real etcd and beside a running server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from etcd3 import etcdrpc as pb

from dnsserver.operator import commands
from dnsserver.operator.explain import explain
from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.lease import Leases
from dnsserver.skydns.store import Store
from tests.dnsserver.operator.conftest import Run
from tests.dnsserver.operator.test_explain import KEYS
from tests.dnsserver.support import NO_ETCD
from tests.programs import DnsServer
from tools.embedded_etcd import EmbeddedEtcd

QUESTIONS = ["www.k8s.local A", "parent.k8s.local A", "nothing.k8s.local TXT", "k8s.local NS", "a.b.c SOA"]


@pytest.fixture(scope="module")
def server(etcd: EmbeddedEtcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServer]:
    prefix = "/t-operator/skydns"
    puts = {Key(prefix_of(prefix) + path.encode()): value.encode() for path, value in KEYS.items()}
    puts[Key(prefix_of(prefix) + b"local/k8s/bad")] = b"no json"
    with closing(Store(EtcdAddress(endpoints=(etcd.endpoint,)))) as store:
        store.commit(puts=puts, deletes=(), expected={})
        lease = Leases(store).grant(600)
        leased = pb.PutRequest(
            key=prefix_of(prefix) + b"local/k8s/leased", value=b'{"host":"::1"}', lease=lease
        )
        store.call(lambda client: client.kvstub.Put, leased)
    directory = tmp_path_factory.mktemp("operator")
    with DnsServer(directory, etcd=etcd.endpoint, prefix=prefix) as running:
        running.wait_ready()
        yield running


@pytest.mark.parametrize("question", QUESTIONS)
def test_explain_prints_what_a_running_server_answers(server: DnsServer, dnsserver: Run, question: str):
    qname, qtype = question.split()
    done = dnsserver("explain", qname, qtype, "--config", str(server.config))
    assert (done.returncode, done.stderr) == (0, "")
    served = server.ask(qname, qtype, tcp=True)
    printed = {line for line in done.stdout.splitlines() if line[:1].strip(" ;") and "\tIN\t" in line}
    expected = {
        f"{rrset.name}\t{rrset.ttl}\tIN\t{rrset.rdtype.name}\t{rdata.to_text()}"
        for section in (served.answer, served.authority, served.additional)
        for rrset in section
        for rdata in rrset
    }
    assert printed == expected
    assert f"status: {served.rcode().name}," in done.stdout


def test_explain_shows_the_value_and_the_lease_that_etcd_has(server: DnsServer, dnsserver: Run):
    at_end = ("--config", str(server.config))
    lines = dnsserver("explain", "www.k8s.local", *at_end).stdout.splitlines()
    assert "  /t-operator/skydns/local/k8s/www/1a2b3c4d" in lines
    assert '    value: {"host":"10.0.0.1","targetstrip":1,"ttl":20}' in lines
    lines = dnsserver("explain", "leased.k8s.local", "AAAA", *at_end).stdout.splitlines()
    assert "    lease of 600 s: it goes with it, and its TTL is at most that" in lines
    lines = dnsserver("explain", "bad.k8s.local", *at_end).stdout.splitlines()
    assert "  /t-operator/skydns/local/k8s/bad is skipped: no record (json)" in lines


def test_records_lists_what_etcd_and_the_configuration_give(server: DnsServer, dnsserver: Run):
    done = dnsserver("records", "--output", "json", "--config", str(server.config))
    assert (done.returncode, done.stderr) == (0, "")
    found = {(each["name"], each["data"]): each for each in map(json.loads, done.stdout.splitlines())}
    assert found["www.k8s.local.", "10.0.0.1"]["object"] == "ingress/default/www"
    assert found["ns.dns.k8s.local.", "127.0.0.1"]["key"] is None


STATIC = """\
zones:
  - name: one.example.
    records: [{name: www, type: A, data: 192.0.2.1}]
  - name: two.example.
"""


@pytest.fixture
def static(tmp_path: Path) -> str:
    file = tmp_path / "zone.yaml"
    file.write_text(STATIC)
    return str(file)


@pytest.mark.parametrize("arguments", [["explain", "www.one.example"], ["records", "--zone", "one.example"]])
def test_without_etcd_the_configuration_is_enough(arguments, static, dnsserver):
    done = dnsserver(*arguments, "--config", static)
    assert done.returncode == 0
    assert "192.0.2.1" in done.stdout


@pytest.mark.parametrize("arguments", [["explain", "www.k8s.local"], ["records"]])
def test_an_etcd_that_does_not_answer_ends_it_with_1_and_says_what_to_do(arguments, static, dnsserver):
    done = dnsserver(*arguments, "--config", static, "--etcd-endpoints", NO_ETCD)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"dnsserver {arguments[0]}: etcd does not answer: {NO_ETCD}" in done.stderr
    assert "--etcd-endpoints" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_etcd_that_goes_away_meanwhile_ends_it_with_1_and_one_message(
    own_etcd: EmbeddedEtcd, static, dnsserver, monkeypatch
):
    with closing(Store(EtcdAddress(endpoints=(own_etcd.endpoint,)))) as store:
        puts = {Key(b"/skydns/example/one/www2"): b'{"host":"192.0.2.2"}'}
        store.commit(puts=puts, deletes=(), expected={})

    def explained(*question):
        own_etcd.kill()
        return explain(*question)

    monkeypatch.setattr(commands, "explain", explained)
    done = dnsserver("explain", "www2.one.example", "--config", static, "--etcd-endpoints", own_etcd.endpoint)
    assert done.returncode == 1
    assert f"dnsserver explain: etcd does not answer: {own_etcd.endpoint}" in done.stderr


def test_the_ownership_of_a_zones_own_name_is_found_outside_the_zone(etcd, prefix, store, static, dnsserver):
    note = '"heritage=external-dns,external-dns/owner=me,external-dns/resource=ingress/default/apex"'
    values = {"one/1a2b3c4d": {"host": "192.0.2.2"}, "a-one/2b3c4d5e": {"text": note}}
    puts = {
        Key(f"{prefix}/example/{path}".encode()): json.dumps({"targetstrip": 1} | value).encode()
        for path, value in values.items()
    }
    store.commit(puts=puts, deletes=(), expected={})
    where = ("--config", static, "--etcd-endpoints", etcd.endpoint, "--etcd-prefix", prefix)
    assert "    object ingress/default/apex, owner me\n" in dnsserver("explain", "one.example", *where).stdout
    listed = dnsserver("records", "--zone", "one.example", *where).stdout.splitlines()
    assert [line for line in listed if "192.0.2.2" in line and line.endswith("1a2b3c4d ingress/default/apex")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "a..b"], "a..b: expected a domain name: a label of 0 octets"),
        (["explain", "www.one.example", "ADDRESS"], "ADDRESS: expected a record type as A, TXT or TYPE65280"),
        (["records", "--zone", "three.example"], "not served; there is one.example., two.example."),
        (["records", "--output", "zonefile"], "name it with --zone: one.example., two.example."),
    ],
)
def test_bad_input_ends_it_with_2_and_says_what_was_expected(arguments, words, static, dnsserver):
    done = dnsserver(*arguments, "--config", static)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_outside_the_zones_says_which_upstreams_are_asked(static, dnsserver):
    Path(static).write_text(
        STATIC + "    records: [{name: out, type: CNAME, data: www.example.org.}]\n"
        "forward: {upstreams: ['tls://192.0.2.53:853'], allow: [127.0.0.0/8]}\n"
    )
    words = "forward   www.example.org. is asked of tls://192.0.2.53:853, for clients in 127.0.0.0/8\n"
    for asked in ("www.example.org", "out.two.example"):
        assert words in dnsserver("explain", asked, "--config", static).stdout
    for asked in ("www.one.example", "nothing.two.example"):
        assert "forward" not in dnsserver("explain", asked, "--config", static).stdout


def test_a_fault_in_the_configuration_is_told_as_by_the_server(dnsserver):
    done = dnsserver("records", "--config", "/nonexistent/zone.yaml")
    assert done.returncode == 2
    assert done.stderr == "/nonexistent/zone.yaml: cannot be read: No such file or directory\n"


def test_flags_count_before_and_after_the_command(static, dnsserver):
    for arguments in (("--config", static, "records"), ("records", "--config", static)):
        assert "www.one.example." in dnsserver(*arguments).stdout


def test_whoever_has_seen_enough_ends_it_quietly(static):
    command = f"{sys.executable} -m dnsserver records --config {static} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("one.example.\t300\tIN\tSOA\t")
