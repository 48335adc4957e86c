"""Policies by client, on a running dnsserver: clients are addresses of loopback."""

import asyncio
import signal
import socket
import subprocess
from contextlib import suppress
from functools import partial

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver import policies
from dnsserver.config import ConfigError, load
from dnsserver.handle import nothing
from dnsserver.limits.access import Access, action_of
from tests.dnsserver.answer.test_respond import TABLE, check
from tests.dnsserver.support import responder
from tests.dnsserver.worlds import queries, tables
from tests.integration.tools import need_tool
from tests.programs import ZONE, DnsServer, eventually

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


def asked(server, client: str, *, tcp: bool, kind: str = "A", name: str = "ns.dns.k8s.local."):
    """Return the response to a client, None if it gets none."""
    query = dns.message.make_query(name, kind, use_edns=0)
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
    counters = "dnsserver_udp_kernel_drops_total", "dnsserver_tcp_connections_refused_total", DENIED
    before = [server.metric(name) for name in counters]
    assert asked(server, "127.0.2.2", tcp=False) is None
    assert asked(server, "127.0.2.2", tcp=True) is None
    after = [server.metric(name) for name in counters]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 0]


def test_a_network_is_thinned_from_one_reload_to_another(tmp_path):
    limit = "query_limit: {queries_per_second: 5, exempt: [127.0.4.0/24]}\n"
    with DnsServer(tmp_path) as server:

        def thinned() -> float:
            for client in ("127.0.4.1", "127.0.5.1"):
                asked(server, client, tcp=False)
            return server.metric("dnsserver_thinned_networks")

        server.configure(zones=ZONE + limit)
        server.reload()
        eventually(lambda: thinned() == 1, 20)
        assert all(asked(server, "127.0.4.1", tcp=False) for _ in range(10))
        server.configure()
        server.reload()
        assert thinned() == 0


LIMITED = """\
rrl: {responses_per_second: 1, window: 3600, slip: 3, exempt: [127.0.4.0/24]}
cookies: {secret_file: SECRET}
"""
SECRET = "000102030405060708090a0b0c0d0e0f"


@pytest.fixture(scope="module")
def limiting(tmp_path_factory):
    directory = tmp_path_factory.mktemp("limits")
    (directory / "SECRET").write_text(SECRET + "\n")
    with DnsServer(directory, zones=ZONE + LIMITED) as running:
        yield running


def flood(server, client: str, cookie: bytes = b"", count: int = 50) -> list[dns.message.Message]:
    """Return the responses to as many queries from a client."""
    options = [dns.edns.GenericOption(10, cookie)] if cookie else []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last,
    ):
        for one, address in ((sock, client), (last, "127.0.4.255")):
            one.bind((address, 0))
            one.connect(("127.0.0.1", server.port))
            one.settimeout(5)
        for ident in range(count):
            query = dns.message.make_query("ns.dns.k8s.local.", "A", use_edns=0, options=options, id=ident)
            sock.send(query.to_wire())
        last.send(bytes(12))  # from an exempt network, so when that is answered all is
        last.recv(4096)
        sock.setblocking(False)
        replies = []
        with suppress(BlockingIOError):
            while True:
                replies.append(dns.message.from_wire(sock.recv(4096)))
        return replies


def test_a_flood_is_limited_and_its_network_may_come_by_tcp(limiting):
    replies = flood(limiting, "127.0.5.1")
    cut = [reply for reply in replies if reply.flags & dns.flags.TC]
    assert (len(replies) - len(cut), len(cut)) == (1, 16)
    assert asked(limiting, "127.0.5.2", tcp=True).answer
    assert asked(limiting, "127.0.6.1", tcp=False).answer
    assert limiting.metric("dnsserver_rrl_limited_total") == 49


def test_the_exempt_and_who_has_a_good_cookie_are_not_limited(limiting):
    assert len([reply for reply in flood(limiting, "127.0.4.1") if reply.answer]) == 50
    first = flood(limiting, "127.0.7.1", bytes(8), 1)[0]
    cookie = first.options[0].to_wire()
    assert len([reply for reply in flood(limiting, "127.0.7.1", cookie) if reply.answer]) == 50
    assert len([reply for reply in flood(limiting, "127.0.7.2", cookie) if reply.answer]) < 2
    assert limiting.metric("dnsserver_cookies_total") == 101


def test_who_shows_half_a_cookie_is_given_the_whole_one_instead_of_being_sent_to_tcp(limiting):
    replies = flood(limiting, "127.0.9.1", bytes(8))
    told = [reply for reply in replies if reply.rcode() == dns.rcode.BADCOOKIE]
    assert (len(replies) - len(told), len(told)) == (1, 16)
    cookie = told[0].options[0].to_wire()
    assert not any(reply.answer or reply.flags & (dns.flags.TC | dns.flags.AA) for reply in told)
    assert all(reply.answer for reply in flood(limiting, "127.0.9.1", cookie))
    wrong = flood(limiting, "127.0.9.1", bytes(24))
    assert {reply.rcode() for reply in wrong} == {dns.rcode.BADCOOKIE}


def test_dig_beyond_the_limit_comes_again_with_the_cookie_that_it_is_given(tmp_path):
    dig = need_tool("dig")
    (tmp_path / "SECRET").write_text(SECRET)
    with DnsServer(tmp_path, zones=ZONE + LIMITED.replace("slip: 3", "slip: 1")) as server:
        flood(server, "127.0.9.1")
        asked = [
            dig,
            "@127.0.0.1",
            f"-p{server.port}",
            "-b127.0.9.2",
            "ns.dns.k8s.local",
            "+ignore",
            "+tries=1",
        ]
        done = subprocess.run([*asked, "+cookie"], capture_output=True, text=True, timeout=20)
        assert ";; BADCOOKIE, retrying." in done.stdout
        assert "status: NOERROR" in done.stdout
        assert "127.0.0.1\n" in done.stdout


def test_a_cookie_over_tcp_is_good_over_udp(limiting):
    query = dns.message.make_query("ns.dns.k8s.local.", "A", options=[dns.edns.GenericOption(10, bytes(8))])
    response = dns.query.tcp(query, "127.0.0.1", 5, limiting.port, source="127.0.8.1")
    cookie = response.options[0].to_wire()
    assert len([reply for reply in flood(limiting, "127.0.8.1", cookie) if reply.answer]) == 50


async def test_a_changed_file_of_secrets_is_read_again_and_a_faulty_one_changes_nothing(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(policies, "REREAD", 0.01)
    caplog.set_level("INFO", "dnsserver.policies")
    file, secrets = tmp_path / "SECRET", ["00" * 16, "11" * 16]
    file.write_text(secrets[0])
    (tmp_path / "zone.yaml").write_text(ZONE + "cookies: {secret_file: SECRET}\n")
    running = policies.Policies(load(tmp_path / "zone.yaml"))
    running.start()

    async def told(text: str) -> None:
        await asyncio.to_thread(eventually, lambda: text in caplog.text, 10)

    file.write_text("no secret")
    await told("expected one or two lines")
    assert running._cookies._secrets == (bytes(16),)
    assert "no secret" not in caplog.text
    file.write_text("\n".join(reversed(secrets)) + "\n")
    await told("has changed")
    assert running._cookies._secrets == (b"\x11" * 16, bytes(16))
    running.close()


@pytest.mark.parametrize(
    ("text", "octets", "fault"),
    [
        ("cookies: {secret_file: none}", b"", "none cannot be read: No such file or directory"),
        ("cookies: {secret_file: SECRET}", b"", "SECRET: expected one or two lines of 32 hexadecimal digits"),
        ("cookies: {secret_file: SECRET}", b"\xff", "expected one or two lines of 32 hexadecimal digits"),
        ("cookies: {secret_file: SECRET}", b"zz" * 16, "expected one or two lines of 32 hexadecimal digits"),
        ("cookies: {secret_file: SECRET}", b"00" * 15, "expected one or two lines of 32 hexadecimal digits"),
        ("cookies: {}", b"", "cookies: missing key secret_file"),
        ("rrl: {rate: 5}", b"", "rrl.rate: unknown key"),
        ("rrl: {responses_per_second: 0}", b"", "rrl.responses_per_second: expected at least 1, got 0"),
        ("acl: [{networks: [10.0.0.1/8], action: drop}]", b"", "10.0.0.1/8 has host bits set"),
        ("acl: [{networks: [], action: drop}]", b"", "acl[0].networks: expected at least one"),
        (
            "acl: [{networks: [10.0.0.1], action: deny}]",
            b"",
            "acl[0].action: expected 'allow', 'refuse' or 'drop'",
        ),
    ],
)
def test_a_faulty_policy_is_told_with_its_place(tmp_path, text, octets, fault):
    (tmp_path / "SECRET").write_bytes(octets)
    (tmp_path / "zone.yaml").write_text(ZONE + text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "zone.yaml")
    (told,) = caught.value.faults
    assert fault in told
    assert told.startswith(f"{tmp_path / 'zone.yaml'}:4:")


def test_queries_are_logged_on_standard_output_and_what_is_logged_stays_of_its_line(tmp_path):
    with DnsServer(tmp_path, zones=ZONE + "log: {queries: all}\n") as server:
        server.ask("ns.dns.k8s.local.")
        server.ask('evil"\\010[INFO].k8s.local.', tcp=True)
        server.stop()  # what waits is written
        lines = [line for line in server.log().splitlines() if line.startswith("[INFO]")]
    assert [line.split()[4:8] for line in lines] == [
        ['"A', "IN", "ns.dns.k8s.local.", "udp"],
        ['"A', "IN", 'evil\\"\\010[info].k8s.local.', "tcp"],
    ]


def test_a_metric_says_what_became_of_lines(tmp_path):
    with DnsServer(tmp_path, zones=ZONE + "log: {queries: success, query_rate: 1}\n") as server:
        flood(server, "127.0.0.1", count=50)
        eventually(lambda: server.metric("dnsserver_query_log_lines_total") == 50, 10)


def test_where_there_is_no_policy_a_transport_asks_the_responder_itself(tmp_path):
    (tmp_path / "zone.yaml").write_text(ZONE)
    served = responder(TABLE)
    running = policies.Policies(load(tmp_path / "zone.yaml"))
    assert running.around(served, nothing, "udp", TABLE) == (served, nothing)


ALL = f"""\
rrl: {{responses_per_second: 1, slip: 1}}
cookies: {{secret_file: SECRET}}
log: {{queries: all}}
acl: [{{networks: [192.0.2.0/24], action: refuse}}]
{ZONE}"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """All policies at once, around a responder of small worlds."""
    directory = tmp_path_factory.mktemp("all")
    (directory / "SECRET").write_text(SECRET)
    (directory / "zone.yaml").write_text(ALL)
    return policies.Policies(load(directory / "zone.yaml"))


def with_cookie(octets: bytes) -> bytes:
    message = dns.message.from_wire(octets)
    message.use_edns(0, 0, message.payload, options=[dns.edns.GenericOption(10, bytes(8))])
    return message.to_wire()


@given(
    tables,
    st.one_of(queries(), queries().map(with_cookie), st.binary(max_size=600)),
    st.sampled_from([bytes((192, 0, 2, 1)), bytes((127, 0, 0, 1)), bytes(16)]),
)
def test_through_all_policies_no_reply_over_udp_is_longer_than_1232_octets(chain, table, octets, address):
    _, handle = chain.around(responder(table), nothing, "udp", table)
    for _ in range(3):  # answered, then over the limit of rates
        check(octets, handle(octets, address, 53))


BY_ZONE = """\
zones:
  - name: k8s.local
    acl: [{networks: [127.0.1.0/24], action: refuse}]
    records:
      - {name: www, type: A, data: 192.0.2.1}
      - {name: inward, type: CNAME, data: www.inside.k8s.local.}
  - name: inside.k8s.local
    acl:
      - {networks: [127.0.1.0/24], action: allow}
      - {networks: [127.0.2.0/24], action: drop}
      - {networks: [0.0.0.0/0], action: refuse}
    transfer: {allow: [{address: 127.0.0.0/8}]}
    records: [{name: www, type: A, data: 192.0.2.2}]
  - name: example
    records: [{name: www, type: A, data: 192.0.2.3}]
"""
ALLOWED, REFUSED, DROPPED = dns.rcode.NOERROR, dns.rcode.REFUSED, None


@pytest.fixture(scope="module")
def by_zone(tmp_path_factory):
    with DnsServer(tmp_path_factory.mktemp("zones"), zones=BY_ZONE) as running:
        yield running


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(
    ("client", "name", "code"),
    [
        ("127.0.1.1", "www.k8s.local.", REFUSED),
        ("127.0.1.1", "WWW.Inside.k8s.local.", ALLOWED),
        ("127.0.1.1", "www.example.", ALLOWED),
        ("127.0.2.1", "www.k8s.local.", ALLOWED),
        ("127.0.2.1", "www.inside.k8s.local.", DROPPED),
        ("127.0.3.1", "inside.k8s.local.", REFUSED),
        ("127.0.3.1", "nothing.inside.k8s.local.", REFUSED),
        ("127.0.3.1", "insidek8s.local.", REFUSED),  # it is in no zone
        ("127.0.3.1", "xinside.k8s.local.", dns.rcode.NXDOMAIN),
    ],
)
def test_the_rules_of_the_most_specific_zone_count(client, name, code, tcp, by_zone):
    response = asked(by_zone, client, tcp=tcp, name=name)
    assert (response and response.rcode()) == code


def test_a_zone_is_transferred_to_nobody_whom_its_rules_refuse(by_zone):
    for client, code in (("127.0.1.1", ALLOWED), ("127.0.3.1", REFUSED)):
        query = dns.message.make_query("inside.k8s.local.", "AXFR")
        response = dns.query.tcp(query, "127.0.0.1", 5, by_zone.port, source=client, one_rr_per_rrset=True)
        assert response.rcode() == code


def test_an_alias_into_a_zone_that_refuses_gives_nothing_of_it_also_where_names_are_forwarded(tmp_path):
    forward = "forward: {upstreams: ['127.0.0.1:9']}\n"
    with DnsServer(tmp_path, zones=BY_ZONE, settings=forward) as server:
        found = {
            client: asked(server, client, tcp=False, name="inward.k8s.local.")
            for client in ("127.0.0.1", "127.0.2.1")
        }
        assert all("192.0.2.2" not in response.to_text() for response in found.values())
        assert {response.rcode() for response in found.values()} == {REFUSED}
        zones = BY_ZONE.replace("[0.0.0.0/0], action: refuse", "[127.0.0.1], action: allow")
        server.configure(zones=zones, settings=forward)
        server.reload()
        assert "192.0.2.2" in asked(server, "127.0.0.1", tcp=False, name="inward.k8s.local.").to_text()


@given(tables, st.one_of(queries(), st.binary(max_size=80)))
def test_no_octets_bring_data_of_a_zone_that_refuses(table, octets):
    served, access = responder(table), Access(action_of([]), dict.fromkeys(table.zones, lambda _: "refuse"))
    handle = access.around_zones(
        lambda message, *_: served.respond(message), partial(served.refuse, rcode=REFUSED), table
    )
    reply = handle(octets, bytes(4), 53)
    assert reply is None or reply[6:10] == bytes(4)


def test_a_reload_changes_who_is_answered(tmp_path):
    with DnsServer(tmp_path, zones=ZONE) as server:
        text = server.config.read_text()
        assert asked(server, "127.0.1.2", tcp=False).rcode() == dns.rcode.NOERROR
        for policy, code in ((ACL, dns.rcode.REFUSED), ("", dns.rcode.NOERROR)):
            server.config.write_text(text + policy)
            server.process.send_signal(signal.SIGHUP)
            for tcp in (False, True):
                eventually(lambda tcp=tcp, code=code: asked(server, "127.0.1.2", tcp=tcp).rcode() == code, 20)
            eventually(lambda code=code: (asked(server, "127.0.2.2", tcp=False) is None) == bool(code), 20)
