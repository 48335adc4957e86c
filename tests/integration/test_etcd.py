"""The server and a real etcd: what it answers while etcd comes, goes, forgets and lies."""

import json
import signal

from dnsserver.skydns.key import Key
from tests.programs import DnsServer, eventually
from tools.embedded_etcd import free_port


def put(store, prefix, **records):
    """Write `name=host`, below k8s.local; None deletes."""
    keys = {Key(f"{prefix}/local/k8s/{name}/x1".encode()): host for name, host in records.items()}
    store.commit(
        puts={
            key: json.dumps({"host": host, "targetstrip": 1}).encode() for key, host in keys.items() if host
        },
        deletes=[key for key, host in keys.items() if not host],
        expected={},
    )


def test_a_change_in_etcd_is_answered_within_a_second_over_udp_and_tcp(etcd, store, prefix, tmp_path):
    with DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix) as server:
        server.wait_ready()
        assert server.rcode("stilton.k8s.local") == "NXDOMAIN"
        put(store, prefix, stilton="172.22.132.10")
        eventually(lambda: server.data("stilton.k8s.local") == {"172.22.132.10"}, 1)
        assert server.data("stilton.k8s.local", tcp=True) == {"172.22.132.10"}
        put(store, prefix, stilton="172.22.132.11")
        eventually(lambda: server.data("stilton.k8s.local") == {"172.22.132.11"}, 1)
        put(store, prefix, stilton=None)
        eventually(lambda: server.rcode("stilton.k8s.local") == "NXDOMAIN", 1)


def test_the_serial_is_the_revision_of_the_last_change_in_the_zone(etcd, store, prefix, tmp_path):
    with DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix) as server:
        server.wait_ready()
        put(store, prefix, stilton="172.22.132.10")
        eventually(lambda: server.data("stilton.k8s.local"), 1)
        revision = store.head(Key(b"/")).revision
        (soa,) = server.ask("k8s.local", "SOA").answer[0]
        assert soa.serial == revision
        put(store, f"{prefix}-elsewhere", stilton="172.22.132.10")
        (soa,) = server.ask("k8s.local", "SOA").answer[0]
        assert soa.serial == revision


def test_many_names_of_several_pages_are_all_served(etcd, store, prefix, tmp_path):
    for start in range(0, 4500, 100):
        put(store, prefix, **{f"n{i}": f"10.0.{i // 256}.{i % 256}" for i in range(start, start + 100)})
    with DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix) as server:
        server.wait_ready()
        for i in (0, 1, 1999, 2000, 2001, 4499):
            assert server.data(f"n{i}.k8s.local") == {f"10.0.{i // 256}.{i % 256}"}
        assert server.metric("dnsserver_etcd_lists_total") == 1


def test_without_etcd_static_names_are_answered_and_no_other_name_is_denied(tmp_path):
    port = free_port()
    with DnsServer(tmp_path, etcd=f"http://127.0.0.1:{port}") as server:
        assert server.data("ns.dns.k8s.local") == {"127.0.0.1"}
        for name, rdtype in (("x.k8s.local", "A"), ("ns.dns.k8s.local", "AAAA"), ("dns.k8s.local", "A")):
            response = server.ask(name, rdtype)
            assert response.rcode() == 2
            assert [option.code for option in response.options] == [14]
        assert server.page("/ready")[0] == 503
        assert server.page("/health")[0] == 200
        assert server.log().count("etcd lost") == 1
        assert "Traceback" not in server.log()


def test_a_poison_value_costs_its_own_name_only_and_is_named_once(etcd, store, prefix, tmp_path):
    key = Key(f"{prefix}/local/k8s/poison/x1".encode())
    with DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix) as server:
        put(store, prefix, stilton="10.0.0.1", poison="10.0.0.2")
        eventually(lambda: server.data("poison.k8s.local"), 5)
        for value in (b"{", b"[]", b'{"ttl":"300"}', b'{"host":"10.0.0.2","ttl":-1}', b"\xff", b"[" * 60_000):
            store.commit(puts={key: value}, deletes=[], expected={})
        eventually(lambda: server.rcode("poison.k8s.local") == "NXDOMAIN", 1)
        assert server.data("stilton.k8s.local") == {"10.0.0.1"}
        eventually(lambda: server.log().count("poison/x1 is skipped") == 6, 1)
        assert server.log().count("poison/x1 is skipped: not UTF-8") == 1
        assert server.metric("dnsserver_rejected_keys") == 1
        put(store, prefix, poison="10.0.0.3")
        eventually(lambda: server.data("poison.k8s.local") == {"10.0.0.3"}, 1)
        assert server.metric("dnsserver_rejected_keys") == 0
        assert "Traceback" not in server.log()


def test_a_host_name_beside_an_address_is_counted_and_named_once(etcd, store, prefix, tmp_path):
    alias, address = (Key(f"{prefix}/local/k8s/both/{label}".encode()) for label in ("a", "b"))
    with DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix) as server:
        server.wait_ready()
        value = b'{"host":"lb.example.net","targetstrip":1}'
        store.commit(
            puts={alias: value, address: b'{"host":"10.0.0.1","targetstrip":1}'}, deletes=[], expected={}
        )
        eventually(lambda: server.data("both.k8s.local") == {"10.0.0.1"}, 1)
        eventually(lambda: server.metric("dnsserver_clashing_names") == 1, 1)
        assert server.log().count("both.k8s.local. has a host name beside other data") == 1
        store.commit(puts={}, deletes=[address], expected={})
        eventually(lambda: server.data("both.k8s.local", "CNAME") == {"lb.example.net."}, 1)
        assert server.metric("dnsserver_clashing_names") == 0


def test_a_lease_caps_the_ttl_and_its_end_removes_the_name(etcd, store, prefix, tmp_path):
    with DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix) as server:
        server.wait_ready()
        said = etcd.ctl("lease", "grant", "3")
        lease = said.split()[1]
        etcd.ctl("put", f"--lease={lease}", f"{prefix}/local/k8s/leased", '{"host":"10.0.0.1","ttl":60}')
        eventually(lambda: server.data("leased.k8s.local"), 1)
        assert server.ask("leased.k8s.local").answer[0].ttl == 3
        eventually(lambda: server.rcode("leased.k8s.local") == "NXDOMAIN", 8)


def test_a_listing_with_many_changes_is_one_change_of_the_serial(own_etcd, own_store, tmp_path):
    with DnsServer(tmp_path, etcd=own_etcd.endpoint) as server:
        put(own_store, "/skydns", stilton="10.0.0.1")
        server.wait_ready()
        eventually(lambda: server.data("stilton.k8s.local"), 1)
        server.process.send_signal(signal.SIGSTOP)
        for start in range(0, 1000, 100):
            put(own_store, "/skydns", **{f"n{i}": "10.0.0.2" for i in range(start, start + 100)})
        revision = own_store.head(Key(b"/")).revision
        own_etcd.ctl("compact", str(revision))
        own_etcd.kill()
        own_etcd.start()
        server.process.send_signal(signal.SIGCONT)
        eventually(lambda: server.data("n999.k8s.local"), 15)
        (soa,) = server.ask("k8s.local", "SOA").answer[0]
        assert soa.serial == revision


def test_an_etcd_that_was_emptied_is_believed_at_once_where_that_is_allowed(own_etcd, own_store, tmp_path):
    settings = f"etcd: {{endpoints: ['{own_etcd.endpoint}'], allow_empty: true}}\n"
    put(own_store, "/skydns", stilton="10.0.0.1")
    with DnsServer(tmp_path, settings=settings) as server:
        server.wait_ready()
        assert server.data("stilton.k8s.local") == {"10.0.0.1"}
        own_etcd.kill()
        own_etcd.wipe()
        own_etcd.start()
        eventually(lambda: server.rcode("stilton.k8s.local") == "NXDOMAIN", 15)
        assert server.metric("dnsserver_held_names") == 0
