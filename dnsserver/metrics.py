"""What `/metrics` shows of a serving process, read at scrape from who counts."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dnsserver.answer.tally import Tally
from dnsserver.source.reflector import Reflector
from dnsserver.transport.tcp import TcpListener
from dnsserver.transport.udp import UdpListener
from dnsserver.wire import const, name
from dnsserver.zone.table import ZoneTable


def of_answers(tally: Tally) -> Iterable[Metric]:
    responses = CounterMetricFamily(
        "dnsserver_responses",
        "Responses sent, by zone (empty: none of ours), rcode and transport.",
        labels=["zone", "rcode", "transport"],
    )
    for (zone, rcode), slot in tally.slots.items():
        for transport, counts in tally.responses.items():
            responses.add_metric([zone, const.RCODES[rcode], transport], counts[slot])
    yield responses
    yield _counter("truncated_responses", "Responses cut to fit (TC).", tally.truncated)
    yield _counter("dropped_messages", "Messages that get no response.", tally.dropped)
    yield _counter("faults", "Queries answered with SERVFAIL because of a fault here.", tally.faults)


def of_listeners(udp: Sequence[UdpListener], tcp: Sequence[TcpListener]) -> Iterable[Metric]:
    yield _counter("udp_send_errors", "Responses the kernel did not take.", _sum(udp, "send_errors"))
    drops = _sum(udp, "kernel_drops")
    yield _counter("udp_kernel_drops", "Datagrams denied, or without room in the receive buffer.", drops)
    yield _counter("tcp_connections_accepted", "TCP connections.", _sum(tcp, "accepted"))
    yield _counter("tcp_connections_refused", "TCP connections over a limit.", _sum(tcp, "refused"))
    yield _counter("tcp_connections_timed_out", "Idle or stuck, closed.", _sum(tcp, "timed_out"))
    open_now = sum(len(listener.connections) for listener in tcp)
    yield _gauge("tcp_connections", "Open TCP connections.", open_now)


def of_table(table: ZoneTable) -> Iterable[Metric]:
    yield _gauge("names", "Names that exist, empty non-terminals included.", len(table.nodes))
    serials = GaugeMetricFamily("dnsserver_zone_serial", "Serial of the SOA.", labels=["zone"])
    for apex, zone in table.zones.items():
        serials.add_metric([name.to_text(apex)], zone.serial)
    yield serials


def of_etcd(reflector: Reflector) -> Iterable[Metric]:
    yield _gauge("etcd_connected", "1 while the watch is well.", int(reflector.connected))
    yield _gauge("etcd_revision", "Revision up to which the table is right.", reflector.revision)
    if reflector.age is not None:
        yield _gauge("etcd_age_seconds", "Since etcd last showed the table to be current.", reflector.age)
    yield _counter("etcd_lists", "Snapshots taken.", reflector.lists)
    yield _counter("etcd_watches", "Watches begun.", reflector.watches)
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
