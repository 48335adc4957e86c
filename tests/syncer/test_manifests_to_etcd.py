"""`python -m syncer --source=manifests` as a process, on a real etcd."""

import signal
import time

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.store import Store
from tests.programs import Syncer, eventually
from tests.syncer.stored import hosts

INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}}}
spec: {{rules: [{{host: {host}}}]}}
status: {{loadBalancer: {{ingress: [{{ip: {ip}}}]}}}}
"""


def ingress(host: str, ip: str = "192.0.2.1", name: str = "cheese") -> str:
    return INGRESS.format(host=host, ip=ip, name=name)


@pytest.fixture
def syncer(etcd, prefix, tmp_path):
    (tmp_path / "cheese.yaml").write_text(ingress("stilton.test"))
    with Syncer(etcd.endpoint, prefix, "--source=manifests", f"--manifests={tmp_path}") as running:
        yield running


def test_a_manifest_becomes_a_record_and_its_ownership(syncer, store, prefix):
    eventually(lambda: hosts(store, prefix) == {"stilton.test": {"192.0.2.1"}, "a-stilton.test": set()})


def test_an_edit_shows_within_a_second(syncer, store, prefix, tmp_path):
    eventually(lambda: "stilton.test" in hosts(store, prefix))
    took = []
    for number in (2, 3, 4):  # the best of three, because other tests run beside this one
        started = time.monotonic()
        (tmp_path / "cheese.yaml").write_text(ingress("stilton.test", f"192.0.2.{number}"))
        eventually(lambda ip=f"192.0.2.{number}": hosts(store, prefix)["stilton.test"] == {ip})
        took.append(time.monotonic() - started)
    assert min(took) < 1


def test_a_removed_file_takes_the_record_and_its_ownership_along(syncer, store, prefix, tmp_path):
    (tmp_path / "bread.yaml").write_text(ingress("rye.test", name="bread"))
    eventually(lambda: "rye.test" in hosts(store, prefix))
    (tmp_path / "cheese.yaml").unlink()
    eventually(lambda: hosts(store, prefix) == {"rye.test": {"192.0.2.1"}, "a-rye.test": set()})


def test_a_broken_file_keeps_its_records_and_is_named_with_its_line(syncer, store, prefix, tmp_path):
    eventually(lambda: "stilton.test" in hosts(store, prefix))
    (tmp_path / "cheese.yaml").write_text("kind: Ingress\nmetadata: {name: [\n")
    (tmp_path / "bread.yaml").write_text(ingress("rye.test", name="bread"))
    eventually(lambda: "rye.test" in hosts(store, prefix))
    time.sleep(0.6)
    assert hosts(store, prefix)["stilton.test"] == {"192.0.2.1"}
    assert syncer.stop() == 0
    assert syncer.log().count("cheese.yaml: line 3: no YAML") == 1


def test_a_file_that_was_broken_from_the_start_deletes_nothing(syncer, etcd, store, prefix, tmp_path):
    eventually(lambda: "stilton.test" in hosts(store, prefix))
    syncer.stop()
    (tmp_path / "cheese.yaml").write_text("{")
    (tmp_path / "bread.yaml").write_text(ingress("rye.test", name="bread"))
    with Syncer(etcd.endpoint, prefix, "--source=manifests", f"--manifests={tmp_path}") as again:
        eventually(lambda: "rye.test" in hosts(store, prefix))
        assert "stilton.test" in hosts(store, prefix)
        assert again.page("/readyz")[0] == 503
        (tmp_path / "cheese.yaml").unlink()
        eventually(lambda: "stilton.test" not in hosts(store, prefix))
        assert eventually(lambda: again.page("/readyz")[0]) == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(syncer, store, prefix, number):
    eventually(lambda: "stilton.test" in hosts(store, prefix))
    syncer.process.send_signal(number)
    assert syncer.wait() == 0


def test_health_and_metrics_are_served(syncer, store, prefix):
    _, page = eventually(lambda: (found := syncer.page("/readyz"))[0] == 200 and found)
    assert page.startswith("OK\nleader: this one, term ")
    assert syncer.page("/healthz") == (200, "OK\n")
    _, metrics = syncer.page("/metrics")
    assert 'external_dns_registry_records{record_type="a"}' in metrics
    assert "syncer_etcd_up 1.0" in metrics
    assert "syncer_leader 1.0" in metrics
    assert 'syncer_lag_seconds_bucket{le="+Inf"} 1.0' in metrics


def test_an_ingress_of_a_removed_version_is_named_and_the_others_go_on(syncer, store, prefix, tmp_path):
    old = ingress("old.test", name="old").replace("networking.k8s.io/v1", "extensions/v1beta1")
    (tmp_path / "old.yaml").write_text(old + "---\n" + ingress("rye.test", name="bread"))
    eventually(lambda: "rye.test" in hosts(store, prefix))
    assert "old.test" not in hosts(store, prefix)
    eventually(lambda: 'syncer_rejected{reason="api-version"} 1.0' in syncer.page("/metrics")[1])
    syncer.stop()
    assert syncer.log().count("write networking.k8s.io/v1") == 1


def test_once_writes_and_ends(etcd, store, prefix, tmp_path):
    (tmp_path / "cheese.yaml").write_text(ingress("stilton.test"))
    with Syncer(etcd.endpoint, prefix, "--source=manifests", f"--manifests={tmp_path}", "--once") as running:
        assert running.wait() == 0
    assert hosts(store, prefix)["stilton.test"] == {"192.0.2.1"}


def test_dry_run_prints_and_writes_nothing(etcd, store, prefix, tmp_path):
    (tmp_path / "cheese.yaml").write_text(ingress("stilton.test"))
    arguments = ("--source=manifests", f"--manifests={tmp_path}", "--once", "--dry-run")
    with Syncer(etcd.endpoint, prefix, *arguments) as running:
        assert (running.wait(), running.log()) == (0, "+ stilton.test A 192.0.2.1 (ingress/default/cheese)\n")
    assert hosts(store, prefix) == {}


def test_etcd_may_come_later(own_etcd, prefix, tmp_path):
    (tmp_path / "cheese.yaml").write_text(ingress("stilton.test"))
    own_etcd.kill()
    with Syncer(own_etcd.endpoint, prefix, "--source=manifests", f"--manifests={tmp_path}") as running:
        eventually(lambda: running.page("/readyz")[0] == 503)
        assert running.page("/healthz")[0] == 200
        eventually(lambda: "external_dns_registry_errors_total 0.0" not in running.page("/metrics")[1])
        own_etcd.start()
        store = Store(EtcdAddress(endpoints=(own_etcd.endpoint,)))
        eventually(lambda: "stilton.test" in hosts(store, prefix))
        eventually(lambda: running.page("/readyz")[0] == 200)
        store.close()
        running.stop()
        log = running.log()
    assert log.count("etcd is unavailable") == 1
    assert log.count("etcd is available again") == 1


def test_a_taken_port_is_one_line_and_status_1(syncer, etcd, prefix, tmp_path):
    eventually(lambda: syncer.page("/healthz")[0] == 200)
    taken = f"--metrics-address=127.0.0.1:{syncer.http_port}"
    with Syncer(etcd.endpoint, prefix, "--source=manifests", f"--manifests={tmp_path}", taken) as second:
        assert second.wait() == 1
        log = second.log()
    assert len(log.splitlines()) == 1
    assert "cannot be taken" in log
