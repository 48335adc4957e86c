"""Metrics read at scrape: whoever counts keeps plain integers, and a collector turns them into samples.

prometheus_client's own counters cost more than a query does, so nothing increments them.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from dnsserver.ops.http import Page

Collect = Callable[[], Iterable[Metric]]


class _Collector:
    def __init__(self, collect: Collect) -> None:
        self.collect = collect


def build_version() -> str:
    """Return the version of the installed distribution, `unknown` in a bare checkout."""
    try:
        return version("etcd-dns")
    except PackageNotFoundError:
        return "unknown"


class Metrics:
    """What `/metrics` shows: the process, the build, and what each `add`ed function yields at scrape."""

    def __init__(self, program: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self.add(lambda: [_build_info(program)])

    def add(self, collect: Collect) -> None:
        self._registry.register(_Collector(collect))

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()

    def page(self) -> Page:
        return page(self.collect())


class _Collected:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def page(families: Iterable[Metric]) -> Page:
    """Return families in the text format of Prometheus."""
    return Page(200, generate_latest(_Collected(families)), CONTENT_TYPE_LATEST)


def _build_info(program: str) -> Metric:
    family = GaugeMetricFamily(f"{program}_build_info", "The version that runs.", labels=["version"])
    family.add_metric([build_version()], 1)
    return family
