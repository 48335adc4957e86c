"""What `/metrics` shows of a serving process, read at scrape from who counts."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from dnsserver.answer.tally import KINDS, Tally
from dnsserver.ops.metrics import build_version
from dnsserver.source.reflector import Reflector
from dnsserver.transport.samples import Histogram
from dnsserver.transport.sockets import Address
from dnsserver.transport.tcp import TcpListener
from dnsserver.transport.udp import UdpListener
from dnsserver.wire import const, name
from dnsserver.zone.table import ZoneTable

DROPPED: Final = "dropped"
"""CoreDNS's word for the zone of what is in none."""


def build_info(prefix: str) -> Metric:
    family = GaugeMetricFamily(f"{prefix}_build_info", "The version that runs.", labels=["version"])
    family.add_metric([build_version()], 1)
    return family


def of_answers(prefix: str, tally: Tally, plugin_of: Callable[[str], str]) -> Iterable[Metric]:
    """Yield what was answered; `plugin_of` names CoreDNS's plugin that would have answered for a zone."""
    requests = CounterMetricFamily(
        f"{prefix}_dns_requests",
        "Queries that were answered, by the type asked for.",
        labels=["server", "zone", "view", "proto", "family", "type"],
    )
    responses = CounterMetricFamily(
        f"{prefix}_dns_responses",
        "Responses sent; those in no zone are of the zone dropped.",
        labels=["server", "zone", "view", "rcode", "plugin"],
    )
    by_type: Counter[tuple[str, ...]] = Counter()
    by_rcode: Counter[tuple[str, ...]] = Counter()
    for listener, counts in tally.responses.items():
        server = f"dns://{listener.server}"
        for slot, place in tally.slots.items():
            if counts[place]:
                zone = slot.zone or DROPPED
                kind = KINDS[slot.kind]
                by_type[server, zone, "", listener.transport, listener.family, kind] += counts[place]
                by_rcode[server, zone, "", const.RCODES[slot.rcode], plugin_of(slot.zone)] += counts[place]
    for labels, count in by_type.items():
        requests.add_metric(labels, count)
    for labels, count in by_rcode.items():
        responses.add_metric(labels, count)
    yield from (requests, responses)
    yield CounterMetricFamily(f"{prefix}_panics", "Faults here; see faults.", value=tally.faults)
    yield _counter("truncated_responses", "Responses cut to fit (TC).", tally.truncated)
    yield _counter("dropped_messages", "Messages that get no response.", tally.dropped)
    yield _counter("faults", "Queries answered with SERVFAIL because of a fault here.", tally.faults)


def of_listeners(udp: Sequence[UdpListener], tcp: Sequence[TcpListener]) -> Iterable[Metric]:
    yield _counter("udp_send_errors", "Responses the kernel did not take.", _sum(udp, "send_errors"))
    drops = _sum(udp, "kernel_drops")
    yield _counter(
        "udp_kernel_drops", "Datagrams denied, over a limit, or without room in the receive buffer.", drops
    )
    thinned = set[object]().union(*(listener.thinned for listener in udp))
    yield _gauge("thinned_networks", "Networks over query_limit now.", len(thinned))
    yield _counter("tcp_connections_accepted", "TCP connections.", _sum(tcp, "accepted"))
    yield _counter("tcp_connections_refused", "TCP connections over a limit.", _sum(tcp, "refused"))
    yield _counter("tcp_connections_timed_out", "Idle or stuck, closed.", _sum(tcp, "timed_out"))
    open_now = sum(len(listener.connections) for listener in tcp)
    yield _gauge("tcp_connections", "Open TCP connections.", open_now)


def of_samples(prefix: str, udp: Mapping[Address, Sequence[UdpListener]]) -> Iterable[Metric]:
    """Yield durations and sizes, which are sampled and of UDP alone."""
    labels = ["server", "zone", "view"]
    seconds = HistogramMetricFamily(
        f"{prefix}_dns_request_duration_seconds",
        "A query's part of the time its turn took; sampled, over UDP.",
        labels=labels,
    )
    sizes = {
        what: HistogramMetricFamily(
            f"{prefix}_dns_{what}_size_bytes",
            f"Size of a {what}; sampled, over UDP.",
            labels=[*labels, "proto"],
        )
        for what in ("request", "response")
    }
    for address, listeners in udp.items():
        samples = [listener.samples for listener in listeners if listener.samples]
        of = [f"dns://{address}", "", ""]
        for family, found in (
            (seconds, [sampler.seconds for sampler in samples]),
            (sizes["request"], [sampler.query_octets for sampler in samples]),
            (sizes["response"], [sampler.response_octets for sampler in samples]),
        ):
            if found:
                own = of if family is seconds else [*of, "udp"]
                family.add_metric(own, _buckets(found), sum(histogram.sum for histogram in found))
    yield from (seconds, *sizes.values())


def _buckets(histograms: Sequence[Histogram]) -> list[tuple[str, float]]:
    """Return the bucket counts of all together, each with those of the smaller buckets."""
    sums = accumulate(map(sum, zip(*(histogram.counts for histogram in histograms), strict=True)))
    bounds = ["+Inf" if bound == math.inf else repr(float(bound)) for bound in histograms[0].bounds]
    return list(zip(bounds, sums, strict=True))


def of_table(table: ZoneTable) -> Iterable[Metric]:
    yield _gauge("names", "Names that exist, empty non-terminals included.", len(table.nodes))
    for attribute, text in (
        ("serial", "Serial of the SOA."),
        ("names", "Names that exist, empty non-terminals included."),
        ("records", "Records of etcd."),
    ):
        family = GaugeMetricFamily(f"dnsserver_zone_{attribute}", text, labels=["zone"])
        for apex, zone in table.zones.items():
            family.add_metric([name.to_text(apex)], getattr(zone, attribute))
        yield family


def of_searches(refused: int) -> Metric:
    return _counter("searches_refused", "Questions with `*` or `any` for which there was no time.", refused)


def of_etcd(reflector: Reflector) -> Iterable[Metric]:
    yield _gauge("etcd_connected", "1 while the watch is well.", int(reflector.connected))
    yield _gauge("etcd_revision", "Revision up to which the table is right.", reflector.revision)
    if reflector.age is not None:
        yield _gauge("etcd_age_seconds", "Since etcd last showed the table to be current.", reflector.age)
    if reflector.changed_at:
        yield _gauge(
            "etcd_last_change_timestamp_seconds", "When a change was last seen.", reflector.changed_at
        )
    yield _counter("etcd_lists", "Snapshots taken.", reflector.lists)
    yield _counter("etcd_watches", "Watches begun.", reflector.watches)
    stale = "1 while the table is of before a restart or reload, as etcd has not answered since."
    yield _gauge("etcd_stale", stale, int(reflector.is_stale))
    yield _gauge("held_names", "Names served although the doubted etcd lacks them.", reflector.held)
    yield _gauge("clashing_names", "Names with a host name beside other data.", len(reflector.clashing))
    rejected = GaugeMetricFamily(
        "dnsserver_rejected_keys", "Keys in etcd that are no records.", labels=["reason"]
    )
    for reason, count in reflector.rejected_by_reason().items():
        rejected.add_metric([reason], count)
    yield rejected


def _sum(listeners: Iterable[object], attribute: str) -> int:
    return sum(getattr(listener, attribute) for listener in listeners)


def _counter(suffix: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"dnsserver_{suffix}", text, value=value)


def _gauge(suffix: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"dnsserver_{suffix}", text, value=value)
