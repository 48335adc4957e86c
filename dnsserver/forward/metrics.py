"""What `/metrics` shows of forwarding: CoreDNS's names and labels, read at scrape from who counts."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from dnsserver.forward.resolver import Resolver
from dnsserver.forward.upstream import BUCKETS, Durations
from dnsserver.wire import const

_TYPES = {False: "success", True: "denial"}


def of_upstreams(prefix: str, resolver: Resolver) -> Iterable[Metric]:
    """Yield what was asked of each upstream."""
    requests = CounterMetricFamily(f"{prefix}_forward_requests", "Queries sent.", labels=["to"])
    responses = CounterMetricFamily(f"{prefix}_forward_responses", "Responses.", labels=["to", "rcode"])
    durations = HistogramMetricFamily(
        f"{prefix}_forward_request_duration_seconds", "Seconds until a response.", labels=["to", "rcode"]
    )
    failed = CounterMetricFamily(
        f"{prefix}_forward_healthcheck_failures", "Probes without a response.", labels=["to"]
    )
    healthy = GaugeMetricFamily(f"{prefix}_forward_healthy", "1 while it is asked.", labels=["to"])
    for upstream in resolver.upstreams:
        to = [upstream.label]
        requests.add_metric(to, upstream.requests)
        for rcode, found in upstream.durations.items():
            labels = [*to, const.RCODES.get(rcode, f"RCODE{rcode}")]
            responses.add_metric(labels, sum(found.counts))
            durations.add_metric(labels, _buckets(found), found.sum)
        failed.add_metric(to, upstream.health.failed_probes)
        healthy.add_metric(to, int(not upstream.health.is_down))
    yield from (requests, responses, durations, failed, healthy)
    yield CounterMetricFamily(
        f"{prefix}_forward_max_concurrent_rejects",
        "Queries that were not forwarded because too many were waiting.",
        value=resolver.rejected,
    )


def of_cache(prefix: str, resolver: Resolver) -> Iterable[Metric]:
    """Yield how often something was kept, and what is."""
    cache = resolver.cache
    hits = CounterMetricFamily(f"{prefix}_cache_hits", "Questions answered from memory.", labels=["type"])
    entries = GaugeMetricFamily(f"{prefix}_cache_entries", "Responses kept.", labels=["type"])
    for is_denial, kind in _TYPES.items():
        hits.add_metric([kind], resolver.hits[is_denial])
        entries.add_metric([kind], cache.denials if is_denial else len(cache) - cache.denials)
    yield from (hits, entries)
    yield CounterMetricFamily(f"{prefix}_cache_misses", "Questions that were not.", value=resolver.misses)
    yield CounterMetricFamily(
        f"{prefix}_cache_requests", "Both.", value=resolver.misses + sum(resolver.hits.values())
    )
    yield CounterMetricFamily(
        f"{prefix}_cache_evictions", "Responses that went before their time.", value=cache.evicted
    )
    yield GaugeMetricFamily(f"{prefix}_cache_octets", "Memory of what is kept, about.", value=cache.octets)


def _buckets(durations: Durations) -> Sequence[tuple[str, float]]:
    bounds = [*map(str, BUCKETS), "+Inf"]
    return list(zip(bounds, accumulate(durations.counts), strict=True))
