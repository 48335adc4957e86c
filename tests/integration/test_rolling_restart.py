"""Two replicas behind a balancer are restarted, one after the other, and clients do not notice."""

import signal
from contextlib import ExitStack

from tests.balancer import Balancer
from tests.integration.test_reload import put
from tests.load import Load, has, is_denied
from tests.programs import DnsServer, eventually

CHECKS = {
    "web.k8s.local.": has("192.0.2.1"),
    "x.k8s.local.": is_denied,
    "ns.dns.k8s.local.": has("127.0.0.1"),
}


def test_a_rolling_restart_loses_no_query(etcd, store, prefix, tmp_path):
    put(store, prefix, "local/k8s/web", "192.0.2.1")
    with ExitStack() as running, Balancer() as balancer:

        def replica() -> DnsServer:
            server = DnsServer(tmp_path, etcd=etcd.endpoint, prefix=prefix, settings="lameduck: 2\n")
            return running.enter_context(server)

        replicas = [replica(), replica()]
        balancer.replicas = tuple(replicas)
        eventually(lambda: len(balancer.ready) == 2, 45)
        with Load(balancer.port, CHECKS, rate=300) as load:
            for number, old in enumerate(replicas):
                old.process.send_signal(signal.SIGTERM)
                eventually(lambda old=old: old.process.poll() == 0, 10, old.log())
                replicas[number] = replica()
                balancer.replicas = tuple(replicas)
                eventually(lambda: len(balancer.ready) == 2, 45)
            answered = [replica.metric("coredns_dns_requests_total") for replica in replicas]
            eventually(
                lambda: all(
                    replica.metric("coredns_dns_requests_total") > before + 100
                    for replica, before in zip(replicas, answered, strict=True)
                ),
                20,
            )
        assert load.wrong == []
        assert load.lost == 0
