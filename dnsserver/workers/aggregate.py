"""Metrics of several processes as those of one.

Counters and histograms are summed, and do not fall when a process ends: its last counts stay. Gauges are
summed, or the least or the greatest is taken, by what they say.
"""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Any, Final

from prometheus_client.core import Metric

SUMMED: Final = frozenset(
    {
        "coredns_cache_entries",
        "coredns_cache_octets",
        "dnsserver_tcp_connections",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
    }
)
LEAST: Final = frozenset(
    {
        "coredns_forward_healthy",
        "dnsserver_etcd_connected",
        "dnsserver_etcd_revision",
        "process_start_time_seconds",
    }
)
"""Of all other gauges the greatest counts: each process has the whole table."""

_COUNTED: Final = frozenset({"counter", "histogram", "summary"})

Sample = tuple[str, tuple[tuple[str, str], ...]]
"""Name and labels."""


def packed(families: Iterable[Metric]) -> bytes:
    """Return families as JSON."""
    return json.dumps(
        [
            [
                family.name,
                family.documentation,
                family.type,
                [[sample.name, sample.labels, sample.value] for sample in family.samples],
            ]
            for family in families
        ]
    ).encode()


class _Family:
    def __init__(self, name: str, documentation: str, kind: str) -> None:
        self.name, self.documentation, self.kind = name, documentation, kind
        self.last: dict[Hashable, dict[Sample, float]] = {}
        """By process."""
        self.ended: dict[Sample, float] = defaultdict(float)
        """Counts of processes, or of parts of them, that are no more."""

    def end(self, process: Hashable) -> None:
        last = self.last.pop(process, {})
        if self.kind in _COUNTED:
            for sample, value in last.items():
                self.ended[sample] += value

    def note(self, process: Hashable, samples: dict[Sample, float]) -> None:
        if self.kind in _COUNTED:
            for sample, value in self.last.get(process, {}).items():
                if samples.get(sample, 0) < value:
                    self.ended[sample] += value
        self.last[process] = samples

    def metric(self) -> Metric:
        values: dict[Sample, list[float]] = defaultdict(list)
        for samples in (self.ended, *self.last.values()):
            for sample, value in samples.items():
                values[sample].append(value)
        metric = Metric(self.name, self.documentation, self.kind)
        join: Any = max
        if self.kind in _COUNTED or self.name in SUMMED:
            join = sum
        elif self.name in LEAST:
            join = min
        for (name, labels), found in values.items():
            metric.add_sample(name, dict(labels), join(found))
        return metric


class Aggregate:
    """What processes have told of themselves, each by a key of its own."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}

    def note(self, process: Hashable, told: bytes) -> None:
        """Take over what a process tells now, `packed`."""
        silent = set(self._families)
        for name, documentation, kind, samples in json.loads(told):
            family = self._families.setdefault(name, _Family(name, documentation, kind))
            family.note(process, {(s, tuple(sorted(labels.items()))): value for s, labels, value in samples})
            silent.discard(name)
        for name in silent:
            self._families[name].end(process)

    def end(self, process: Hashable) -> None:
        """Keep the counts of a process that is no more."""
        for family in self._families.values():
            family.end(process)

    def metrics(self) -> Iterable[Metric]:
        return [family.metric() for family in self._families.values()]
