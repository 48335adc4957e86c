"""Dashboard and alerts on a real scrape of both programs, by a real Prometheus on loopback."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.tools import need_tool
from tests.programs import DnsServer, Program, eventually
from tools import dashboard
from tools.embedded_etcd import EmbeddedEtcd, free_port

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "config" / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
ALERTS = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
QUERIES = {
    f"{panel.title}: {legend}": expression.replace("SELECT", 'instance=~".*"').replace(
        "$__rate_interval", "10s"
    )
    for panels in dashboard.ROWS.values()
    for panel in panels
    for legend, expression in panel.queries.items()
}
NAME = re.compile(r"\b(?:dnsserver|syncer|external_dns|process|coredns)_[a-z0-9_]+(?=[{\[\s)]|$)")

ZONE = """\
zones:
  - name: k8s.local
    records: [{name: ns.dns, type: A, data: 127.0.0.1}]
"""


class Prometheus:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an expression. Fails where Prometheus finds a fault in it."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self._url}/query?{query}", timeout=10) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def names(self) -> set[str]:
        with urllib.request.urlopen(f"{self._url}/label/__name__/values", timeout=10) as response:
            return set(json.load(response)["data"])


@pytest.fixture(scope="module")
def prometheus(etcd: EmbeddedEtcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Both programs, scraped each second, with every kind of traffic there has to be for the metrics."""
    directory = tmp_path_factory.mktemp("monitoring")
    port, syncer = free_port(), f"127.0.0.1:{free_port()}"
    program = need_tool("prometheus")
    from_files = (f"--manifests={ROOT}/config/examples", "--coredns-prefix=/t-monitoring/")
    arguments = ("--source=manifests", *from_files, f"--metrics-address={syncer}", "--interval=1s")
    environment = {"ETCD_URLS": etcd.endpoint}
    with (
        DnsServer(directory, zones=ZONE, etcd=etcd.endpoint, prefix="/t-monitoring") as server,
        Program("syncer", *arguments, environment=environment),
    ):
        document = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        document["rule_files"] = [str(MONITORING / "alerts.yaml")]
        targets = (f"127.0.0.1:{server.http_port}", syncer)
        for job, target in zip(document["scrape_configs"], targets, strict=True):
            job["static_configs"] = [{"targets": [target]}]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(document))
        command = [
            program,
            f"--config.file={directory}/prometheus.yml",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (directory / "log").open("wb") as log:
            scraper = subprocess.Popen(
                [*command, f"--storage.tsdb.path={directory}/data"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            api = Prometheus(port)
            eventually(lambda: _has_seen(api, server), 60, "both programs scraped several times")
            yield api
        finally:
            scraper.terminate()
            scraper.wait(10)


def _has_seen(api: Prometheus, server: DnsServer) -> bool:
    server.ask("stilton.k8s.local")
    server.ask("stilton.k8s.local", tcp=True)
    try:
        ups = api.query("count_over_time(up[1m]) > 5 and up == 1")
    except OSError:
        return False
    return len(ups) == 2 and bool(api.query("syncer_lag_seconds_count > 0"))


@pytest.mark.parametrize("panel", QUERIES)
def test_every_panel_of_the_dashboard_has_data(prometheus: Prometheus, panel: str):
    if panel.startswith(("Keys and names with faults: rejected", "Not published: rejected")):
        assert not prometheus.query(QUERIES[panel]), "nothing is rejected"
    else:
        assert prometheus.query(QUERIES[panel])


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_evaluated_and_none_fires_where_all_is_well(prometheus: Prometheus, alert: str):
    assert prometheus.query(ALERTS[alert]) == []


def test_every_metric_that_is_named_exists(prometheus: Prometheus):
    named = {name for text in (*QUERIES.values(), *ALERTS.values()) for name in NAME.findall(text)}
    assert len(named) > 30
    # Series of these exist only once something is rejected.
    assert named - prometheus.names() == {"dnsserver_rejected_keys", "syncer_rejected"}


def test_the_dashboard_is_what_its_table_says():
    assert (MONITORING / "dashboard.json").read_text() == dashboard.text()
    document = json.loads(dashboard.text())
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)


WELL = {
    'up{job="dnsserver"}': "1x60",
    'up{job="syncer"}': "1x60",
    "dnsserver_etcd_connected": "1x60",
    'dnsserver_etcd_revision{instance="a"}': "100+1x60",
    'dnsserver_etcd_revision{instance="b"}': "100+1x60",
    "dnsserver_etcd_age_seconds": "3x60",
    "dnsserver_faults_total": "0x60",
    f'{dashboard.RESPONSES}{{rcode="NOERROR"}}': "0+600x60",
    f'{dashboard.RESPONSES}{{rcode="SERVFAIL"}}': "0x60",
    'dnsserver_rejected_keys{reason="json"}': "0x60",
    "dnsserver_clashing_names": "0x60",
    "dnsserver_held_names": "0x60",
    "dnsserver_udp_send_errors_total": "0x60",
    "dnsserver_thinned_networks": "0x60",
    "dnsserver_reload_failed_total": "0x60",
    'syncer_leader{instance="a",job="syncer"}': "1x60",
    'syncer_leader{instance="b",job="syncer"}': "0x60",
    "syncer_etcd_up": "1x60",
    'external_dns_controller_last_sync_timestamp_seconds{instance="a"}': "0+60x60",
    'external_dns_controller_last_sync_timestamp_seconds{instance="b"}': "0x60",
    "syncer_source_synced": "1x60",
    "syncer_refused_deletions": "0x60",
    "syncer_grace_names": "0x60",
    'syncer_rejected{reason="target"}': "0x60",
    'syncer_lag_seconds_bucket{le="1.0"}': "0+10x60",
    'syncer_lag_seconds_bucket{le="10.0"}': "0+10x60",
    'syncer_lag_seconds_bucket{le="+Inf"}': "0+10x60",
}
"""Series → values, a minute apart, as promtool writes them."""

ILL = {
    "DnsserverDown": {'up{job="dnsserver"}': "0x60"},
    "DnsserverEtcdLost": {"dnsserver_etcd_connected": "0x60"},
    "DnsserverNotReady": {'dnsserver_etcd_revision{instance="a"}': "0x60"},
    "DnsserverStale": {"dnsserver_etcd_age_seconds": "0+60x60"},
    "DnsserverBehind": {'dnsserver_etcd_revision{instance="b"}': "100x60"},
    "DnsserverFaults": {"dnsserver_faults_total": "0x50 1x10"},
    "DnsserverServfail": {f'{dashboard.RESPONSES}{{rcode="SERVFAIL"}}': "0+60x60"},
    "DnsserverRejectedKeys": {'dnsserver_rejected_keys{reason="json"}': "1x60"},
    "DnsserverClashingNames": {"dnsserver_clashing_names": "2x60"},
    "DnsserverHoldsNames": {"dnsserver_held_names": "9x60"},
    "DnsserverNotSent": {"dnsserver_udp_send_errors_total": "0+120x60"},
    "DnsserverThins": {"dnsserver_thinned_networks": "1x60"},
    "DnsserverReloadFailed": {"dnsserver_reload_failed_total": "0x50 1x10"},
    "SyncerDown": {'up{job="syncer"}': "0x60"},
    "SyncerNoLeader": {'syncer_leader{instance="a",job="syncer"}': "0x60"},
    "SyncerSeveralLeaders": {
        'syncer_leader{instance="b",job="syncer"}': "1x60",
        'external_dns_controller_last_sync_timestamp_seconds{instance="b"}': "0+60x60",
    },
    "SyncerEtcdDown": {"syncer_etcd_up": "0x60"},
    "SyncerNotSyncing": {'external_dns_controller_last_sync_timestamp_seconds{instance="a"}': "0x60"},
    "SyncerSourceNotSeen": {"syncer_source_synced": "0x60"},
    "SyncerRefusesDeletions": {"syncer_refused_deletions": "40x60"},
    "SyncerNamesInGrace": {"syncer_grace_names": "1x60"},
    "SyncerRejects": {'syncer_rejected{reason="target"}': "1x60"},
    "SyncerSlow": {'syncer_lag_seconds_bucket{le="1.0"}': "0x60"},
}


def test_each_alert_fires_for_its_own_reason_and_for_no_other(tmp_path: Path):
    """promtool runs the rules for an hour: on what is well, and on each illness alone."""
    assert ILL.keys() == ALERTS.keys()
    firing = 'sort(count by (alertname) (ALERTS{alertstate="firing"}))'
    tests = []
    for alert, illness in {"": {}, **ILL}.items():
        samples = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else []
        tests.append(
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in {**WELL, **illness}.items()],
                "promql_expr_test": [{"expr": firing, "eval_time": "55m", "exp_samples": samples}],
            }
        )
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(MONITORING / "alerts.yaml")], "tests": tests}))
    done = subprocess.run(
        [need_tool("promtool"), "test", "rules", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_runbook_has_a_part_for_each_alert():
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == list(ALERTS)
