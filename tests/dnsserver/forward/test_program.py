"""The server with a real resolver behind it: what it forwards, for whom, and what it says meanwhile."""

import asyncio
import re
import signal
import subprocess
import time

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.update
import pytest

from tests.dnsserver.forward.upstreams import certificate, silent, upstream
from tests.integration.tools import need_tool
from tests.programs import DnsServer, eventually, until
from tests.unbound import Unbound
from tools.embedded_etcd import free_port

ZONES = """\
zones:
  - name: k8s.local
    records:
      - {name: here, type: A, data: 10.0.0.1}
      - {name: out, type: CNAME, data: alias.test.}
      - {name: gone, type: CNAME, data: gone.test.}
      - {name: across, type: CNAME, data: here.zwei.}
      - {name: round, type: CNAME, data: round.test.}
      - {name: "*.wild", type: CNAME, data: www.test.}
  - name: zwei
    records: [{name: here, type: A, data: 10.0.0.2}]
"""
ALLOWED, STRANGER = "127.0.0.1", "127.0.0.2"


def forwarding(upstream: str, more: str = "") -> str:
    return f"{ZONES}forward:\n  upstreams: [{upstream}]\n  allow: [{ALLOWED}]\n{more}"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("forward")


@pytest.fixture(scope="module")
def unbound(directory):
    with Unbound(directory) as running:
        yield running


@pytest.fixture(scope="module")
def server(directory, unbound):
    with DnsServer(directory, zones=forwarding(f'"127.0.0.1:{unbound.port}"')) as running:
        yield running


def ask(server, name, kind="A", *, tcp=False, source=ALLOWED, change=None, **options):
    query = dns.message.make_query(name, kind, **{"use_edns": 0} | options)
    if change:
        change(query)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, "127.0.0.1", port=server.port, timeout=8, source=source, one_rr_per_rrset=True)


def texts(section):
    return [f"{rrset.name} {rrset.rdtype:d} {item}" for rrset in section for item in rrset]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_name_outside_the_zones_is_resolved(server, tcp):
    for _ in range(2):
        response = ask(server, "www.test", tcp=tcp)
        assert texts(response.answer) == ["www.test. 1 192.0.2.1"]
        assert response.flags == dns.flags.QR | dns.flags.RD | dns.flags.RA


def test_ttls_fall_while_an_answer_is_kept(server, unbound):
    first = ask(server, "www.test", "AAAA").answer[0].ttl
    eventually(lambda: ask(server, "www.test", "AAAA").answer[0].ttl < first, 5)


def test_a_denial_comes_with_its_soa(server):
    response = ask(server, "gone.test")
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert [(str(rrset.name), rrset.ttl <= 60) for rrset in response.authority] == [("test.", True)]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("name", "rcode", "answer"),
    [
        ("out", "NOERROR", ["5 alias.test.", "5 www.test.", "1 192.0.2.1"]),
        ("any.wild", "NOERROR", ["5 www.test.", "1 192.0.2.1"]),
        ("gone", "NXDOMAIN", ["5 gone.test."]),
        ("across", "NOERROR", ["5 here.zwei.", "1 10.0.0.2"]),
    ],
)
def test_an_alias_that_leaves_its_zone_is_followed(server, name, rcode, answer, tcp):
    for _ in range(2):
        response = ask(server, f"{name}.k8s.local", tcp=tcp)
        assert [line.partition(" ")[2] for line in texts(response.answer)] == answer
        assert dns.rcode.to_text(response.rcode()) == rcode
        flags = dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA
        assert response.flags & 0xFFF0 == flags


@pytest.mark.parametrize(
    ("name", "rcode", "answer", "authority"),
    [
        ("inward.test", "NOERROR", ["5 here.k8s.local.", "1 10.0.0.1"], []),
        ("gone-inward.test", "NXDOMAIN", ["5 nowhere.k8s.local."], ["k8s.local."]),
        ("round.test", "NOERROR", ["5 round.k8s.local.", "5 round.test."], []),
        ("round.k8s.local", "NOERROR", ["5 round.test.", "5 round.k8s.local."], []),
    ],
)
def test_an_alias_of_others_that_leads_to_a_name_of_ours_gets_what_we_know(
    server, name, rcode, answer, authority
):
    for _ in range(2):
        response = ask(server, name)
        assert [line.partition(" ")[2] for line in texts(response.answer)] == answer
        assert dns.rcode.to_text(response.rcode()) == rcode
        assert [str(rrset.name) for rrset in response.authority] == authority
        assert bool(response.flags & dns.flags.AA) == name.endswith("local")


def test_a_name_of_ours_is_answered_as_without_a_forwarder(server, directory):
    with DnsServer(directory, zones=ZONES) as alone:
        for name, kind in (("here.k8s.local", "A"), ("nowhere.k8s.local", "A"), ("out.k8s.local", "CNAME")):
            query = {"id": 7}
            assert ask(server, name, kind, **query).to_wire() == ask(alone, name, kind, **query).to_wire()


@pytest.mark.parametrize("name", ["www.test", "out.k8s.local", "across.k8s.local", "any.wild.k8s.local"])
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("who", ["a stranger", "who does not desire recursion"])
def test_who_may_not_is_answered_as_without_a_forwarder(server, directory, alone, name, tcp, who):
    def change(query):
        if who != "a stranger":
            query.flags &= ~dns.flags.RD

    options = {"tcp": tcp, "source": STRANGER if who == "a stranger" else ALLOWED, "change": change, "id": 7}
    ask(server, name)
    assert ask(server, name, **options).to_wire() == ask(alone, name, **options).to_wire()


@pytest.fixture(scope="module")
def alone(directory):
    """A server that does not forward."""
    with DnsServer(directory, zones=ZONES) as running:
        yield running


def update() -> dns.message.Message:
    message = dns.update.UpdateMessage("test.")
    message.add("www", 300, "A", "192.0.2.66")
    return message


def with_opcode(opcode: int) -> dns.message.Message:
    message = dns.message.make_query("new.test", "SOA")
    message.set_opcode(opcode)
    return message


@pytest.mark.parametrize(
    ("query", "rcode"),
    [
        (update(), dns.rcode.NOTIMP),
        (with_opcode(dns.opcode.NOTIFY), dns.rcode.NOTIMP),
        (with_opcode(dns.opcode.STATUS), dns.rcode.NOTIMP),
        (dns.message.make_query("test", "AXFR"), dns.rcode.REFUSED),
        (dns.message.make_query("test", "IXFR"), dns.rcode.REFUSED),
        (dns.message.make_query("new.test", "TYPE249"), dns.rcode.REFUSED),
        (dns.message.make_query("new.test", "TYPE41"), dns.rcode.REFUSED),
        (dns.message.make_query("new.test", "A", rdclass="CH"), dns.rcode.REFUSED),
        (dns.message.make_query("new.test", "A", use_edns=1), dns.rcode.BADVERS),
    ],
    ids=["UPDATE", "NOTIFY", "STATUS", "AXFR", "IXFR", "TKEY", "OPT", "class CH", "EDNS version 1"],
)
@pytest.mark.parametrize("send", [dns.query.udp, dns.query.tcp], ids=["udp", "tcp"])
def test_what_is_no_question_for_data_is_not_forwarded(server, query, rcode, send):
    before = server.metric("coredns_forward_requests_total")
    reply = send(query, "127.0.0.1", port=server.port, timeout=5, ignore_trailing=True)
    assert reply.rcode() == rcode
    assert server.metric("coredns_forward_requests_total") == before


def test_a_response_too_big_for_the_client_is_cut_and_whole_over_tcp(server):
    cut = ask(server, "big.test", "TXT", use_edns=False)
    assert (cut.flags & dns.flags.TC, cut.answer, len(cut.to_wire())) == (dns.flags.TC, [], 26)
    whole = ask(server, "big.test", "TXT", tcp=True)
    assert len(whole.answer[0][0].strings) == 10


def test_who_asks_for_dnssec_gets_signatures_and_others_do_not(server):
    kinds = [
        {rrset.rdtype for rrset in ask(server, "www.test", want_dnssec=do).answer} for do in (True, False)
    ]
    assert kinds == [{dns.rdatatype.A, dns.rdatatype.RRSIG}, {dns.rdatatype.A}]


def test_cd_comes_back_and_ad_does_not(server):
    def change(query):
        query.flags |= dns.flags.CD | dns.flags.AD

    response = ask(server, "www.test", change=change)
    assert response.flags & (dns.flags.CD | dns.flags.AD) == dns.flags.CD


def test_what_is_counted(server):
    ask(server, "never.test")
    before = {kind: server.metric(f"coredns_cache_{kind}_total") for kind in ("hits", "misses", "requests")}
    sent = server.metric("coredns_forward_requests_total")
    ask(server, "never.test")
    ask(server, "www.test")
    ask(server, "www.test")
    after = {kind: server.metric(f"coredns_cache_{kind}_total") for kind in before}
    assert after["requests"] - before["requests"] == 3
    assert after["hits"] - before["hits"] >= 1
    assert after["hits"] + after["misses"] == after["requests"]
    assert server.metric("coredns_forward_requests_total") - sent == after["misses"] - before["misses"]
    text = server.page("/metrics")[1]
    labels = r'le="\+Inf",rcode="NOERROR",to="127.0.0.1:\d+"'
    assert re.search(rf"coredns_forward_request_duration_seconds_bucket\{{{labels}\}} \d", text)
    assert re.search(r'coredns_forward_responses_total\{rcode="NOERROR",to="127.0.0.1:\d+"\} \d', text)
    assert server.metric("coredns_cache_entries") >= 1
    assert server.metric("coredns_cache_octets") > 500


def test_several_workers_forward_each_with_a_cache_of_its_own(directory, unbound):
    zones = forwarding(f'"127.0.0.1:{unbound.port}"')
    with DnsServer(directory, zones=zones, settings="workers: 2\n") as server:

        def entries() -> float:
            assert texts(ask(server, "www.test").answer) == ["www.test. 1 192.0.2.1"]
            return server.metric("coredns_cache_entries")

        eventually(lambda: entries() == 2, 20)
        assert server.metric("coredns_forward_healthy") == 1


def test_over_tls_the_certificate_decides(directory):
    ours = certificate(directory, "DNS:dns.test")
    with Unbound(directory, (ours.file, ours.key)) as unbound:
        upstream = f'address: "tls://127.0.0.1:{unbound.tls_port}", ca_file: {ours.file}'
        for name, found in (("dns.test", "NOERROR"), ("other.test", "SERVFAIL")):
            with DnsServer(directory, zones=forwarding(f"{{{upstream}, server_name: {name}}}")) as server:
                assert server.rcode("www.test") == found


def test_while_the_resolver_is_away_what_is_kept_is_answered_and_the_rest_fails_in_time(directory):
    with Unbound(directory) as unbound:
        more = "  timeout: 0.5\n  deadline: 1\n  cache: {failure_ttl: 1}\n"
        with DnsServer(directory, zones=forwarding(f'"127.0.0.1:{unbound.port}"', more)) as server:
            assert server.rcode("www.test") == "NOERROR"
            unbound.stop()
            began = time.monotonic()
            assert server.rcode("alias.test") == "SERVFAIL"
            assert time.monotonic() - began < 2
            assert server.rcode("www.test") == "NOERROR"
            assert server.rcode("out.k8s.local") == "SERVFAIL"
            assert server.rcode("here.k8s.local") == "NOERROR"
            server.wait_for("is left out")
            unbound.start()
            server.wait_for("is well again")
            eventually(lambda: server.rcode("alias.test") == "NOERROR", 5)


def test_servers_that_forward_to_each_other_notice_it_and_answer_in_time(directory):
    port = free_port()
    with (
        DnsServer(directory, zones=forwarding(f'"127.0.0.1:{port}"')) as one,
        DnsServer(directory, zones=forwarding(f'"127.0.0.1:{one.port}"'), port=port) as two,
    ):
        began = time.monotonic()
        assert two.rcode("www.test") == "SERVFAIL"
        assert time.monotonic() - began < 6
        two.wait_for("a loop")
        for server in (one, two):
            began = time.monotonic()
            assert server.rcode("alias.test") == "SERVFAIL"
            assert time.monotonic() - began < 2
            assert server.metric("coredns_forward_requests_total") < 6


@pytest.mark.parametrize(
    ("what", "tcp"),
    [
        ("a reload", True),
        ("a reload without the address", False),
        ("an end", False),
        ("an end", True),
    ],
)
async def test_a_query_that_waits_for_an_upstream_is_not_lost_by(what, tcp, tmp_path):
    async with upstream(silent) as slow:
        zones = forwarding(f'"{slow.address}"', "  timeout: 30\n  deadline: 40\n")
        server = await asyncio.to_thread(DnsServer, tmp_path, zones=zones)
        with server:
            waiting = asyncio.create_task(asyncio.to_thread(ask, server, "www.test", tcp=tcp))
            await until(lambda: any(b"www" in seen.query.lower() for seen in slow.seen))
            if what == "an end":
                server.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(server.wait_for, "stopping")
            else:
                server.configure(zones=zones.replace("timeout: 30", "timeout: 29"))
                if what != "a reload":
                    text = server.config.read_text().replace(f":{server.port}'", f":{free_port()}'", 1)
                    server.config.write_text(text)
                server.process.send_signal(signal.SIGHUP)
                await until(lambda: any(b"www" not in seen.query.lower() for seen in slow.seen[2:]))
            for seen in slow.seen:
                slow.answer(seen)
            assert texts((await waiting).answer) == ["www.test. 1 192.0.2.1"]


def test_dig_gets_an_answer_and_no_warning(server):
    command = [need_tool("dig"), "@127.0.0.1", "-p", str(server.port), "www.test"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    assert "192.0.2.1" in text
    assert "WARNING" not in text
