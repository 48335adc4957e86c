"""What `/metrics` shows: CoreDNS's names where it has the metric, our own for the rest."""

import socket

import dns.message
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.test_reload import put, zones
from tests.programs import DnsServer, eventually


def samples(server: DnsServer, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's samples by the values of their labels, in the order of the labels' names."""
    families = text_string_to_metric_families(server.page("/metrics")[1])
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_requests_and_responses_have_the_labels_of_coredns(tmp_path):
    with DnsServer(tmp_path, zones=zones("example=192.0.2.1")) as server:
        for _ in range(3):
            server.ask("a.example")
        server.ask("a.example", tcp=True)
        for question in ("a.example AAAA", "x.example MX", "y.example MX", "z.example TYPE300"):
            for _ in range(2):
                server.ask(*question.split())
        server.ask("elsewhere.test")
        at = f"dns://127.0.0.1:{server.port}"
        assert samples(server, "coredns_dns_requests_total") == {
            # family, proto, server, type, view, zone
            ("1", "udp", at, "A", "", "example."): 3,
            ("1", "tcp", at, "A", "", "example."): 1,
            ("1", "udp", at, "AAAA", "", "example."): 2,
            ("1", "udp", at, "MX", "", "example."): 4,
            ("1", "udp", at, "other", "", "example."): 2,
            ("1", "udp", at, "A", "", "dropped"): 1,
        }
        assert samples(server, "coredns_dns_responses_total") == {
            # plugin, rcode, server, view, zone
            ("file", "NOERROR", at, "", "example."): 6,
            ("file", "NXDOMAIN", at, "", "example."): 6,
            ("", "REFUSED", at, "", "dropped"): 1,
        }
        assert list(samples(server, "coredns_build_info").values()) == [1]
        assert samples(server, "coredns_panics_total") == {(): 0}


def test_durations_and_sizes_are_sampled_and_stand_for_all_queries(tmp_path):
    with DnsServer(tmp_path, zones=zones("example=192.0.2.1")) as server:
        query = dns.message.make_query("a.example", "A").to_wire()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect(("127.0.0.1", server.port))
            asked = 0

            def all_counted() -> bool:
                nonlocal asked
                client.send(query)
                assert len(client.recv(512)) == len(query) + 16
                asked += 1
                return asked > 50 and server.metric("coredns_dns_request_duration_seconds_count") == asked

            eventually(all_counted, 10)
        assert server.metric("coredns_dns_request_size_bytes_count") == asked
        assert server.metric("coredns_dns_request_size_bytes_sum") == asked * len(query)
        assert server.metric("coredns_dns_response_size_bytes_sum") == asked * (len(query) + 16)
        assert 0 < server.metric("coredns_dns_request_duration_seconds_sum") < asked * 0.1


def test_the_prefix_is_that_of_the_configuration(tmp_path):
    with DnsServer(tmp_path, zones=zones("example=192.0.2.1")) as server:
        text = server.config.read_text()
        server.config.write_text(text.replace("metrics: {", "metrics: {prefix: dns, "))
        server.reload()
        server.ask("a.example")
        page = server.page("/metrics")[1]
        assert "\ndns_dns_requests_total{" in page
        assert "\ncoredns_" not in page


def test_zones_of_etcd_show_names_records_and_the_last_change(etcd, store, prefix, tmp_path):
    with DnsServer(
        tmp_path, zones=zones("example=192.0.2.1", "test=192.0.2.1"), etcd=etcd.endpoint, prefix=prefix
    ) as server:
        server.wait_ready()
        assert samples(server, "dnsserver_etcd_last_change_timestamp_seconds") == {}
        put(store, prefix, "example/b/www", "10.0.0.1")
        eventually(lambda: server.data("www.b.example"), 2)
        assert samples(server, "dnsserver_zone_names") == {("example.",): 4, ("test.",): 2}
        assert samples(server, "dnsserver_zone_records") == {("example.",): 1, ("test.",): 0}
        assert server.metric("dnsserver_etcd_last_change_timestamp_seconds") > 1.7e9
        put(store, prefix, "example/b/www", None)
        eventually(lambda: server.rcode("www.b.example") == "NXDOMAIN", 2)
        assert samples(server, "dnsserver_zone_names") == {("example.",): 2, ("test.",): 2}
        assert samples(server, "dnsserver_zone_records") == {("example.",): 0, ("test.",): 0}
