"""A server that starts while etcd is away, with what it knew on disk."""

import json
import signal

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store
from tests.programs import DnsServer, eventually


@pytest.fixture
def store(own_etcd):
    opened = Store(EtcdAddress(endpoints=(own_etcd.endpoint,)))
    yield opened
    opened.close()


def put(store: Store, name: str, host: str) -> None:
    value = json.dumps({"host": host, "targetstrip": 1}).encode()
    store.commit(puts={Key(f"/skydns/local/k8s/{name}/x".encode()): value}, deletes=[], expected={})


def test_a_restarted_server_answers_at_once_and_says_that_it_is_stale_until_etcd_is_back(
    own_etcd, store, tmp_path
):
    state = tmp_path / "state"
    state.mkdir()
    settings = f"state_dir: {state}\n"
    put(store, "stilton", "10.0.0.1")
    with DnsServer(tmp_path, etcd=own_etcd.endpoint, settings=settings) as server:
        server.wait_ready()
        eventually(lambda: (state / "table").exists(), 15)
        serial = server.ask("k8s.local", "SOA").answer[0][0].serial
        server.stop(signal.SIGKILL)
    own_etcd.kill()
    with DnsServer(tmp_path, etcd=own_etcd.endpoint, settings=settings) as server:
        server.wait_ready()
        assert server.data("stilton.k8s.local") == {"10.0.0.1"}
        assert server.rcode("x.k8s.local") == "NXDOMAIN"
        assert server.ask("k8s.local", "SOA").answer[0][0].serial == serial
        assert server.metric("dnsserver_etcd_stale") == 1
        own_etcd.start()
        put(store, "cheddar", "10.0.0.2")
        eventually(lambda: server.data("cheddar.k8s.local") == {"10.0.0.2"}, 10)
        assert server.metric("dnsserver_etcd_stale") == 0
        server.stop(signal.SIGKILL)
    own_etcd.kill()
    own_etcd.wipe()
    own_etcd.start()
    with DnsServer(tmp_path, etcd=own_etcd.endpoint, settings=settings) as server:
        server.wait_ready()
        eventually(lambda: server.metric("dnsserver_held_names") == 1, 10)
        assert server.data("stilton.k8s.local") == {"10.0.0.1"}
        server.stop(signal.SIGKILL)
    (state / "table").write_bytes(b"nonsense")
    own_etcd.kill()
    with DnsServer(tmp_path, etcd=own_etcd.endpoint, settings=settings) as server:
        eventually(lambda: "table is ignored: it is damaged" in server.log(), 5)
        assert server.page("/ready")[0] == 503
        assert "Traceback" not in server.log()
