"""`python -m tools.dashboard > config/monitoring/dashboard.json`: the Grafana dashboard, from a table."""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

RESPONSES: Final = "coredns_dns_responses_total"
"""Responses of dnsserver, by zone and rcode."""


class Panel(NamedTuple):
    title: str
    unit: str
    """As Grafana has it: `reqps`, `s`, `bytes`, `short` and so on."""
    queries: dict[str, str]
    """Legend → expression; `SELECT` stands for the labels chosen at the top."""
    text: str = ""
    kind: str = "timeseries"


_RATE: Final = "[$__rate_interval]"

ROWS: Final[dict[str, list[Panel]]] = {
    "dnsserver": [
        Panel("Up", "short", {"{{instance}}": 'up{job="dnsserver"}'}, kind="stat"),
        Panel("Names", "short", {"{{instance}}": "dnsserver_names{SELECT}"}, kind="stat"),
        Panel(
            "etcd connected",
            "short",
            {"{{instance}}": "dnsserver_etcd_connected{SELECT}"},
            "0: the last table is served",
            "stat",
        ),
        Panel(
            "Responses by rcode",
            "reqps",
            {"{{rcode}}": f"sum by (rcode) (rate({RESPONSES}{{SELECT}}{_RATE}))"},
        ),
        Panel(
            "Responses by zone",
            "reqps",
            {"{{zone}}": f"sum by (zone) (rate({RESPONSES}{{SELECT}}{_RATE}))"},
            "Empty: none of ours",
        ),
        Panel(
            "CPU per response",
            "s",
            {
                "{{instance}}": f"rate(process_cpu_seconds_total{{SELECT}}{_RATE}) / on (instance) "
                f"sum by (instance) (rate({RESPONSES}{{SELECT}}{_RATE}))"
            },
        ),
        Panel(
            "Seconds since etcd showed the table to be current",
            "s",
            {"{{instance}}": "dnsserver_etcd_age_seconds{SELECT}"},
        ),
        Panel(
            "Revision of etcd",
            "short",
            {"{{instance}}": "dnsserver_etcd_revision{SELECT}"},
            "Replicas that stay behind lost their watch",
        ),
        Panel(
            "Keys and names with faults",
            "short",
            {
                "rejected: {{reason}}": "sum by (reason) (dnsserver_rejected_keys{SELECT})",
                "clashing": "max(dnsserver_clashing_names{SELECT})",
            },
            "No records, and names with a host name beside other data",
        ),
        Panel(
            "Faults, dropped and truncated",
            "reqps",
            {
                "faults": f"sum(rate(dnsserver_faults_total{{SELECT}}{_RATE}))",
                "dropped": f"sum(rate(dnsserver_dropped_messages_total{{SELECT}}{_RATE}))",
                "truncated": f"sum(rate(dnsserver_truncated_responses_total{{SELECT}}{_RATE}))",
                "not sent": f"sum(rate(dnsserver_udp_send_errors_total{{SELECT}}{_RATE}))",
            },
        ),
        Panel(
            "TCP connections",
            "short",
            {
                "open": "sum(dnsserver_tcp_connections{SELECT})",
                "accepted/s": f"sum(rate(dnsserver_tcp_connections_accepted_total{{SELECT}}{_RATE}))",
                "refused/s": f"sum(rate(dnsserver_tcp_connections_refused_total{{SELECT}}{_RATE}))",
            },
        ),
        Panel("Memory", "bytes", {"{{instance}}": "process_resident_memory_bytes{SELECT}"}),
    ],
    "syncer": [
        Panel(
            "Leaders",
            "short",
            {"leaders": 'sum(syncer_leader{job="syncer"})'},
            "One, always",
            "stat",
        ),
        Panel(
            "Since the last success",
            "s",
            {"{{instance}}": "time() - external_dns_controller_last_sync_timestamp_seconds > 0"},
            kind="stat",
        ),
        Panel("Names in their grace", "short", {"names": "sum(syncer_grace_names)"}, kind="stat"),
        Panel(
            "Changes",
            "short",
            {"{{operation}}": f"sum by (operation) (increase(syncer_changes_total{_RATE}))"},
        ),
        Panel(
            "Records",
            "short",
            {
                "asked for: {{record_type}}": "sum by (record_type) (external_dns_source_records)",
                "in etcd: {{record_type}}": "max by (record_type) (external_dns_registry_records)",
            },
        ),
        Panel(
            "Change to written",
            "s",
            {
                "median": f"histogram_quantile(0.5, sum by (le) (rate(syncer_lag_seconds_bucket{_RATE})))",
                "99 %": f"histogram_quantile(0.99, sum by (le) (rate(syncer_lag_seconds_bucket{_RATE})))",
            },
        ),
        Panel(
            "Errors",
            "short",
            {
                "etcd": f"sum(increase(external_dns_registry_errors_total{_RATE}))",
                "conflicts": f"sum(increase(syncer_conflicts_total{_RATE}))",
                "in a row": "max(external_dns_controller_consecutive_soft_errors)",
            },
        ),
        Panel(
            "Not published",
            "short",
            {
                "rejected: {{reason}}": "sum by (reason) (syncer_rejected)",
                "mass deletions": "max(syncer_refused_deletions)",
            },
        ),
        Panel("Sources seen", "short", {"{{kind}}": "min by (kind) (syncer_source_synced)"}),
    ],
}

_WIDTHS: Final = {"stat": 8, "timeseries": 8}
_HEIGHTS: Final = {"stat": 4, "timeseries": 8}
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def _panels() -> Iterator[dict[str, Any]]:
    x = y = 0
    for title, panels in ROWS.items():
        yield {
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
        }
        x, y = 0, y + 1
        for panel in panels:
            width, height = _WIDTHS[panel.kind], _HEIGHTS[panel.kind]
            yield _panel(panel, {"x": x, "y": y, "w": width, "h": height})
            x += width
            if x == 24:
                x, y = 0, y + height
        y += 8 if x else 0


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + at),
            "expr": expression.replace("SELECT", 'instance=~"$instance"'),
            "legendFormat": legend,
        }
        for at, (legend, expression) in enumerate(panel.queries.items())
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [{**target, "datasource": _SOURCE} for target in targets],
    }


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana 9 and later import it."""
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
        {
            "name": "instance",
            "type": "query",
            "label": "dnsserver",
            "datasource": _SOURCE,
            "query": 'label_values(up{job="dnsserver"}, instance)',
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "refresh": 2,
        },
    ]
    panels = [{"id": number, **panel} for number, panel in enumerate(_panels(), 1)]
    return {
        "title": "etcd-dns",
        "uid": "etcd-dns",
        "tags": ["dns"],
        "schemaVersion": 38,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "panels": panels,
    }


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
