"""SIGHUP: another configuration takes the place of the present one, and no query notices the change."""

import json
import re
import signal
import socket
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.tsig

from dnsserver.skydns.key import Key
from tests.load import Load, either, has, is_denied
from tests.overload.others import resident
from tests.programs import DnsServer, Resolver, eventually
from tests.secondaries import KEY, SECRET
from tools.embedded_etcd import free_port


def zones(*lines: str) -> str:
    """Return zones of which each has an A record `a`: `name=address`."""
    parts = (line.split("=") for line in lines)
    return "zones:\n" + "".join(
        f"  - {{name: {name}, records: [{{name: a, type: A, data: {data}}}]}}\n" for name, data in parts
    )


def put(store, prefix, path, host):
    key = Key(f"{prefix}/{path}/x1".encode())
    value = json.dumps({"host": host, "targetstrip": 1}).encode()
    store.commit(puts={key: value} if host else {}, deletes=() if host else [key], expected={})


def udp_inode(port: int) -> str:
    """Return the inode of the socket that is bound to a port of 127.0.0.1."""
    lines = Path("/proc/net/udp").read_text().splitlines()
    (inode,) = [line.split()[9] for line in lines if f"0100007F:{port:04X}" in line.split()[1]]
    return inode


def test_under_load_no_answer_is_lost_or_wrong_and_the_socket_stays(tmp_path):
    old, new = "192.0.2.1", "192.0.2.2"
    with DnsServer(tmp_path, zones=zones(f"example={old}", f"gone={old}")) as server:
        inode = udp_inode(server.port)
        checks = {"a.example.": either(has(old), has(new)), "x.example.": is_denied}
        with Load(server.port, checks) as load:
            eventually(lambda: load.answered > 100, 10)
            for turn in range(3):
                server.configure(zones=zones(f"example={new}", f"new{turn}={new}"))
                server.reload()
                assert server.data("a.example") == {new}
                assert server.data(f"a.new{turn}", tcp=True) == {new}
                assert server.rcode("a.gone") == "REFUSED"
        assert load.wrong == []
        assert load.lost == 0
        assert udp_inode(server.port) == inode


def test_reloads_give_back_the_memory_of_what_they_replace(etcd, store, prefix, tmp_path):
    put(store, prefix, "local/k8s/web", "192.0.2.1")
    settings = {"etcd": etcd.endpoint, "prefix": prefix}

    def reload_often(times: int) -> int:
        for turn in range(times):
            server.configure(zones=zones("k8s.local=192.0.2.1", f"example=192.0.2.{turn}"), **settings)
            server.reload()
        return resident(server.process.pid)

    with DnsServer(tmp_path, zones=zones("k8s.local=192.0.2.1"), **settings) as server:
        server.wait_ready()
        before = reload_often(20)
        kept = (reload_often(60) - before) / 60
        assert server.data("web.k8s.local") == {"192.0.2.1"}
    assert kept < 30 << 10


def test_a_faulty_file_is_refused_whole_and_told_and_counted(tmp_path):
    with DnsServer(tmp_path, zones=zones("example=192.0.2.1")) as server:
        began = server.metric("dnsserver_reload_success_timestamp_seconds")
        good = server.config.read_text()
        server.configure(zones=zones("example=192.0.2.2") + "lissten: 1\n", settings="log: {level: loud}\n")
        server.reload()
        eventually(lambda: "expected 'debug'" in server.log(), 5)
        assert re.search(
            r"not reloaded: \S+yaml:\d+:\d+: lissten: unknown key; did you mean listen", server.log()
        )
        assert server.data("a.example") == {"192.0.2.1"}
        assert server.metric("dnsserver_reload_failed_total") == 1
        assert server.metric("dnsserver_reload_success_timestamp_seconds") == began
        server.config.write_text(good.replace("192.0.2.1", "192.0.2.3"))
        server.reload()
        assert server.data("a.example") == {"192.0.2.3"}
        assert server.metric("dnsserver_reload_failed_total") == 1
        assert server.metric("dnsserver_reload_success_timestamp_seconds") > began
        assert "Traceback" not in server.log()


def test_listeners_come_and_go_and_one_that_cannot_be_had_refuses_the_reload(tmp_path):
    with DnsServer(tmp_path) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        more = Resolver(free_port())
        server.configure(ports=[more.port])
        server.reload()
        for tcp in (False, True):
            assert more.data("ns.dns.k8s.local", tcp=tcp) == {"127.0.0.1"}
        idle = socket.create_connection(("127.0.0.1", more.port), 5)
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        server.configure(zones=zones("example=192.0.2.1"), ports=[number])
        server.reload()
        assert f"not reloaded: cannot listen on 127.0.0.1:{number} (udp): the port is taken" in server.log()
        assert more.data("ns.dns.k8s.local") == {"127.0.0.1"}
        server.configure()
        server.reload()
        assert idle.recv(1) == b""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", more.port))
        assert server.data("ns.dns.k8s.local") == {"127.0.0.1"}


def test_pages_move_and_the_log_changes_its_form(tmp_path):
    with DnsServer(tmp_path) as server:
        server.http_port = free_port()
        server.configure(settings="log: {level: info, format: json}\n")
        server.reload()
        assert server.page("/ready") == (200, "OK\n")
        assert json.loads(server.log().splitlines()[-1])["message"] == "reloaded"


def test_a_new_zone_has_its_records_of_etcd_from_its_first_answer_on(etcd, store, prefix, tmp_path):
    put(store, prefix, "example/www", "10.0.0.1")
    for start in range(0, 5000, 100):  # so many that a listing takes its time
        keys = [Key(f"{prefix}/test/n{number}".encode()) for number in range(start, start + 100)]
        store.commit(puts=dict.fromkeys(keys, b'{"host":"10.0.0.9"}'), deletes=(), expected={})
    put(store, prefix, "test/www", "10.0.0.2")
    at = {"etcd": etcd.endpoint, "prefix": prefix}
    with DnsServer(tmp_path, zones=zones("example=192.0.2.1"), **at) as server:
        server.wait_ready()
        before = server.ask("example", "SOA").answer[0][0].serial
        with Load(server.port, {"www.example.": has("10.0.0.1"), "x.example.": is_denied}) as load:
            server.configure(zones=zones("example=192.0.2.1", "test=192.0.2.1"), **at)
            server.reload()
            assert server.data("www.test") == {"10.0.0.2"}
        assert load.wrong == []
        assert load.lost == 0
        assert server.ask("example", "SOA").answer[0][0].serial > before
        put(store, prefix, "test/more", "10.0.0.3")
        eventually(lambda: server.data("more.test") == {"10.0.0.3"}, 2)
        assert server.metric("dnsserver_etcd_connected") == 1


def test_with_etcd_away_known_records_stay_and_new_zones_wait(own_etcd, own_store, tmp_path):
    put(own_store, "/skydns", "example/www", "10.0.0.1")
    put(own_store, "/skydns", "example/old", "10.0.0.1")
    put(own_store, "/skydns", "test/www", "10.0.0.2")
    at = {"etcd": own_etcd.endpoint}
    with DnsServer(tmp_path, zones=zones("example=192.0.2.1"), **at) as server:
        server.wait_ready()
        own_etcd.kill()
        checks = {"www.example.": has("10.0.0.1"), "x.example.": is_denied}
        with Load(server.port, checks, rate=50) as load:  # what comes while it is stopped, its sockets hold
            server.configure(
                zones=zones("example=192.0.2.9", "sub.example=192.0.2.9", "test=192.0.2.9"), **at
            )
            server.reload()
            assert server.data("a.example") == {"192.0.2.9"}
            assert server.rcode("www.test") == "SERVFAIL"
            assert server.rcode("x.sub.example") == "NXDOMAIN"
            assert "test." in server.page("/ready")[1]
            server.process.send_signal(signal.SIGSTOP)  # it sees etcd again when the deletion is history
            own_etcd.start()
            put(own_store, "/skydns", "example/old", None)
            server.process.send_signal(signal.SIGCONT)
            eventually(lambda: server.rcode("old.example") == "NXDOMAIN", 15)
            assert server.data("www.test") == {"10.0.0.2"}
        assert load.wrong == []
        assert load.lost == 0
        assert server.page("/ready")[0] == 200


def test_secondaries_are_told_of_what_a_reload_brought(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as secondary:
        secondary.bind(("127.0.0.1", 0))
        secondary.settimeout(5)
        host = f"127.0.0.1:{secondary.getsockname()[1]}"
        transfer = f"transfer: {{allow: [{{address: 127.0.0.1}}], notify: [{{address: '{host}'}}]}}"
        first = f"zones: [{{name: example, soa: {{serial: 1}}, {transfer}}}]\n"
        with DnsServer(tmp_path, zones=first) as server:
            assert notified(secondary) == 1
            server.configure(zones=first.replace("serial: 1", "serial: 2"))
            server.reload()
            eventually(lambda: notified(secondary) == 2, 5)


def notified(secondary: socket.socket) -> int:
    """Return the serial of the next NOTIFY."""
    return dns.message.from_wire(secondary.recv(4096)).answer[0][0].serial


def test_secrets_are_read_again(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    text = f"tsig: [{{name: {KEY}, secret_file: secret}}]\n" + zones("example=192.0.2.1")
    with DnsServer(tmp_path, zones=text) as server:
        other = "b3RoZXItb3RoZXItb3RoZXItb3RoZXItIQ=="
        assert signed(server, SECRET) == "NOERROR"
        secret.write_text(other)
        server.reload()
        assert signed(server, other) == "NOERROR"
        assert signed(server, SECRET) == "BADSIG"
        assert SECRET not in server.log()


def signed(server: DnsServer, secret: str) -> str:
    query = dns.message.make_query("a.example", "A")
    query.use_tsig(dns.tsig.Key(KEY, secret, "hmac-sha256"))
    try:
        reply = dns.query.udp(query, "127.0.0.1", port=server.port, timeout=2)
    except dns.tsig.PeerBadSignature:
        return "BADSIG"
    return dns.rcode.to_text(reply.rcode())
