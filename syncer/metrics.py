"""What `/metrics` shows of the syncer, under ExternalDNS's names where it has the metric."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

_Types = tuple[frozenset[str], frozenset[str]]

_NO_TYPES: Final[_Types] = (frozenset(), frozenset())

LAGS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, math.inf)
"""Seconds."""


@dataclass(slots=True)
class Statistics:
    """Plain numbers, kept by the controller and read at scrape."""

    last_reconcile: float = 0.0
    """Unix time of the last attempt."""
    last_sync: float = 0.0
    """Unix time of the last success."""
    no_op_runs: int = 0
    source_records: Mapping[str, int] = field(default_factory=dict)
    """By type: what the sources ask for."""
    registry_records: Mapping[str, int] = field(default_factory=dict)
    """By type: what etcd holds of ours."""
    verified_records: Mapping[str, int] = field(default_factory=dict)
    """By type: what is in both."""
    changes: Counter[str] = field(default_factory=Counter)
    """By operation: create, update, delete."""
    store_errors: int = 0
    conflicts: int = 0
    is_store_up: bool = False
    consecutive_errors: int = 0
    fenced: int = 0
    """Writes that etcd refused because this one was no leader any more."""
    lag_sum: float = 0.0
    lags: Counter[float] = field(default_factory=Counter)
    """Changes from noticed to written, by the least of LAGS that they did not exceed."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """By reason: what is not published now."""
    resync_differences: int = 0
    """What a full resync found although no event had told of it."""
    names_in_grace: int = 0
    grace_entered: int = 0
    names_refused: int = 0
    delete_refusals: int = 0
    synced: Mapping[str, bool] = field(default_factory=dict)
    """By kind of resource."""

    def count_lag(self, seconds: float) -> None:
        """Take how long a change has waited from being noticed to being written."""
        self.lag_sum += seconds
        self.lags[next(bound for bound in LAGS if seconds <= bound)] += 1


class Census:
    """How many records of each type are asked for, held, and both; kept up to date name by name."""

    def __init__(self) -> None:
        self._types: dict[str, _Types] = {}
        self._pairs: dict[_Types, _Types] = {}
        self.wanted: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.verified: Counter[str] = Counter()
        self.names_held = 0
        """Names that anything of ours is held for."""

    def put(self, name: str, wanted: frozenset[str], held: frozenset[str]) -> None:
        """Take the types that are asked for and held for a name."""
        self._count(name, -1)
        # There are thousands of names and a few such pairs.
        self._types[name] = self._pairs.setdefault((wanted, held), (wanted, held))
        self._count(name, 1)
        if not wanted and not held:
            del self._types[name]

    def holds(self, name: str) -> bool:
        """Say whether anything of ours was held for a name when it was put."""
        return bool(self._types.get(name, _NO_TYPES)[1])

    def _count(self, name: str, number: int) -> None:
        wanted, held = self._types.get(name, _NO_TYPES)
        for counter, types in ((self.wanted, wanted), (self.held, held), (self.verified, wanted & held)):
            for type_ in types:
                counter[type_] += number
        self.names_held += number * bool(held)


def collect(statistics: Statistics, is_store_up: bool, election_errors: int = 0) -> Iterator[Metric]:
    """Yield all metrics but those of an election."""
    s, prefix = statistics, "external_dns"
    yield _gauge(f"{prefix}_controller_last_sync_timestamp_seconds", "Last success.", s.last_sync)
    yield _gauge(f"{prefix}_controller_last_reconcile_timestamp_seconds", "Last attempt.", s.last_reconcile)
    yield _counter(f"{prefix}_controller_no_op_runs", "Reconciles that changed nothing.", s.no_op_runs)
    yield _gauges(f"{prefix}_controller_verified_records", "In the sources and in etcd.", s.verified_records)
    yield _gauge(f"{prefix}_source_endpoints_total", "Asked for.", sum(s.source_records.values()))
    yield _gauges(f"{prefix}_source_records", "Asked for.", s.source_records)
    yield _gauge(f"{prefix}_registry_endpoints_total", "In etcd, ours.", sum(s.registry_records.values()))
    yield _gauges(f"{prefix}_registry_records", "In etcd, ours.", s.registry_records)
    yield _counter(f"{prefix}_registry_errors", "Failed calls of etcd.", s.store_errors + election_errors)
    errors = s.consecutive_errors
    yield _gauge(f"{prefix}_controller_consecutive_soft_errors", "Failed attempts in a row.", errors)
    yield _counter("syncer_fenced_writes", "Writes refused because another one leads.", s.fenced)
    yield _lag(s)
    yield _gauge("syncer_etcd_up", "Whether the last call of etcd succeeded.", is_store_up)
    yield _counter("syncer_conflicts", "Transactions refused because another writer was first.", s.conflicts)
    yield _counter("syncer_resync_differences", "Found by a full resync alone.", s.resync_differences)
    yield _gauge("syncer_grace_names", "Names that stay although they lost all targets.", s.names_in_grace)
    yield _counter("syncer_grace_entered", "Names that lost all targets and stayed.", s.grace_entered)
    yield _gauge("syncer_refused_deletions", "Names that a mass deletion would remove.", s.names_refused)
    yield _counter("syncer_mass_deletions_refused", "Mass deletions refused.", s.delete_refusals)
    changes = CounterMetricFamily("syncer_changes", "Names and types changed.", labels=["operation"])
    for operation in ("create", "update", "delete"):
        changes.add_metric([operation], s.changes[operation])
    yield changes
    yield _gauges("syncer_rejected", "What is not published now.", s.rejected, "reason")
    yield _gauges("syncer_source_synced", "Whether all objects were seen.", s.synced, "kind")


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _lag(s: Statistics) -> Metric:
    reached, buckets = 0, []
    for bound in LAGS:
        reached += s.lags[bound]
        buckets.append(("+Inf" if math.isinf(bound) else str(bound), reached))
    text = "Seconds from noticing a change to having written it."
    return HistogramMetricFamily("syncer_lag_seconds", text, buckets=buckets, sum_value=s.lag_sum)


def collect_events(dropped: int) -> Iterator[Metric]:
    """Yield the metrics of Events."""
    yield _counter("syncer_events_dropped", "Kubernetes Events that were not written.", dropped)


def collect_leadership(is_leader: bool, terms: int) -> Iterator[Metric]:
    """Yield the metrics of an election."""
    yield _gauge("syncer_leader", "Whether this one writes.", is_leader)
    yield _counter("syncer_leader_terms", "How often this one became leader.", terms)


def _gauges(name: str, text: str, values: Mapping[str, float], label: str = "record_type") -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key.lower() if label == "record_type" else key], value)
    return family
