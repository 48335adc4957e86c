"""Floods at several times what the server can answer: others, memory, and what is after it.

The receive buffer of the socket is shared by all who send, so under a flood of datagrams others lose as large
a part of theirs as the flood does of its own. How long who is answered has waited is how long it takes to
answer what the buffer holds.
"""

import subprocess
import sys
import time
from contextlib import closing, contextmanager
from math import exp, lgamma, log, log1p
from typing import Final, NamedTuple

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store
from dnsserver.transport.tcp import OUTPUT
from dnsserver.wire.const import TCP_MAXIMUM
from tests.overload.flood import CONNECTIONS, DATAGRAMS, STREAMS
from tests.overload.others import Service, quantile, watching
from tests.programs import DnsServer, eventually

pytestmark = pytest.mark.alone

TEXT = " ".join(['"' + "t" * 250 + '"'] * 40)
ZONE = f"""\
zones:
  - name: k8s.local
    records:
      - {{name: ns.dns, type: A, data: 127.0.0.1}}
      - {{name: www, type: A, data: 192.0.2.1}}
      - {{name: large, type: TXT, data: '{TEXT}'}}
"""
TIMES: Final = 3
"""What a flood of datagrams is of what is answered, at least: a CPU sends several times what one answers."""

FLOODER: Final = "127.0.9.9"

READ: Final = 256_000
"""Octets that one read of uvloop's brings at most."""

MEMORY: Final = CONNECTIONS * (READ + OUTPUT + TCP_MAXIMUM)
"""Octets that a flood may add: of each stuck connection one read, responses up to the bound, one more."""

WAIT: Final = 0.02
"""Seconds of the server's CPU that 99 of 100 who are answered have waited, at most; or, where the machine or
what is asked makes answers so slow, twice as long as it takes to answer HELD."""

HELD: Final = 1024
"""Small queries that wait in the receive buffer, at most."""

CHANCE: Final = 0.001
"""How rare a number of responses must be to be no chance: a second has few queries of others."""

SECONDS = pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=pytest.mark.slow)])


class Outcome(NamedTuple):
    sent: float
    """A second."""
    answered: float
    """A second, to all; some of these may have been withheld."""
    others: int
    """Responses to others than the flood, also before and after it."""
    udp: Service
    tcp: Service
    """What others got of what they asked during the flood."""
    waits: list[float]
    """Seconds until each response over UDP, less those in which the server had no CPU."""
    began: float
    """When the flood did, in seconds since 1970."""
    memory: int
    """Octets more than before."""

    @property
    def spares_others(self) -> bool:
        """Whether others got half as large a part of theirs as the flood, at least; less may be CHANCE."""
        got, lost = len(self.udp.answered), len(self.udp.lost)
        return at_most(got, got + lost, self.answered / self.sent / 2) >= CHANCE

    def __str__(self) -> str:
        p50, p99 = (quantile(self.udp.waits, share) * 1e3 for share in (0.5, 0.99))
        times = self.sent / self.answered
        own, tcp = quantile(self.waits, 0.99) * 1e3, quantile(self.tcp.waits, 0.99) * 1e3
        return (
            f"{self.sent:,.0f} sent/s, {self.answered:,.0f} answered/s ({times:.1f} times); "
            f"others: loss {self.udp.loss:.1%}, p50 {p50:.1f} ms, p99 {p99:.1f} ms ({own:.1f} ms of CPU), "
            f"TCP p99 {tcp:.1f} ms; {self.memory / 2**20:+.1f} MiB"
        )


def at_most(most: int, tries: int, share: float) -> float:
    """Return how likely it is that of so many tries no more succeed, where so large a share of all does."""
    ways = [lgamma(tries + 1) - lgamma(k + 1) - lgamma(tries - k + 1) for k in range(most + 1)]
    return sum(exp(way + k * log(share) + (tries - k) * log1p(-share)) for k, way in enumerate(ways))


@contextmanager
def flooding(server: DnsServer, kind: str, seconds: float):
    """Flood a server until the end of the block, and not longer than so many seconds."""
    command = [sys.executable, "-m", "tests.overload.flood", kind, FLOODER, str(server.port), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
        try:
            yield flood
        finally:
            flood.kill()


def flooded(server: DnsServer, kind: str, seconds: float) -> Outcome:
    """Flood a server, and see that it answers all again at once after it."""
    before = server.metric("coredns_dns_responses_total")
    with watching(server.port, server.process.pid) as watch:
        memory = watch.memory
        with flooding(server, kind, seconds) as flood:
            sent, _ = flood.communicate()
        ended = time.time()
    answered = server.metric("coredns_dns_responses_total") - before
    since = time.monotonic()
    eventually(lambda: all(server.rcode("www.k8s.local.") == "NOERROR" for _ in range(20)), 2)
    again = time.monotonic() - since
    udp, tcp = (service.between(ended - seconds, ended) for service in (watch.udp, watch.tcp))
    others = len(watch.udp.answered) + len(watch.tcp.answered)
    rates = int(sent) / seconds, answered / seconds
    outcome = Outcome(*rates, others, udp, tcp, watch.waits(udp), ended - seconds, watch.memory - memory)
    print(f"\n{kind}: {outcome}; after it 20 answers in {again * 1e3:.0f} ms")
    return outcome


PREFIX: Final = "/flood/skydns"
HOSTS: Final = {Key(f"{PREFIX}/local/k8s/host-{n}".encode()): b'{"host":"192.0.2.2"}' for n in range(100)}
"""What a search looks at."""


@pytest.fixture(scope="module")
def server(tmp_path_factory, etcd):
    with closing(Store(EtcdAddress(endpoints=(etcd.endpoint,)))) as store:
        store.commit(puts=HOSTS, deletes=(), expected={})
    directory = tmp_path_factory.mktemp("flood")
    with DnsServer(directory, zones=ZONE, etcd=etcd.endpoint, prefix=PREFIX) as running:
        eventually(lambda: running.rcode("host-0.k8s.local.") == "NOERROR")
        yield running


def test_how_likely_so_few_successes_are():
    assert at_most(0, 2, 0.5) == pytest.approx(0.25)
    assert at_most(1, 2, 0.5) == pytest.approx(0.75)
    assert at_most(6000, 6000, 0.04) == pytest.approx(1)
    assert at_most(0, 200, 0.039) < CHANCE < at_most(1, 200, 0.039)


@SECONDS
@pytest.mark.parametrize("kind", DATAGRAMS)
def test_others_lose_no_larger_part_than_a_flood_of_datagrams(server, kind, seconds):
    outcome = flooded(server, kind, seconds)
    assert outcome.sent >= TIMES * outcome.answered
    assert outcome.spares_others
    assert quantile(outcome.waits, 0.99) <= max(WAIT, 2 * HELD / outcome.answered)
    assert outcome.tcp.loss == 0
    assert outcome.memory <= MEMORY


@SECONDS
def test_others_lose_nothing_by_a_flood_from_a_network_that_is_dropped(tmp_path, seconds):
    acl = f"acl: [{{networks: [{FLOODER}/32], action: drop}}]\n"
    with DnsServer(tmp_path, zones=ZONE + acl) as server:
        outcome = flooded(server, "unique", seconds)
        assert outcome.udp.loss <= 0.01
        assert quantile(outcome.udp.waits, 0.99) <= 1
        assert server.metric("dnsserver_udp_kernel_drops_total") > outcome.sent * seconds * 0.99


LIMIT: Final = 1000
"""Queries a second of a network."""

SETTLED: Final = 2.0
"""Seconds that a limit takes to be in force, at most."""


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("unique", 4), *(pytest.param(kind, 30, marks=pytest.mark.slow) for kind in DATAGRAMS)],
)
def test_others_lose_nothing_by_a_flood_over_the_limit(tmp_path, kind, seconds):
    limit = f"query_limit: {{queries_per_second: {LIMIT}}}\n"
    with DnsServer(tmp_path, zones=ZONE + limit) as server:
        outcome = flooded(server, kind, seconds)
        until = max(outcome.udp.lost, default=outcome.began) - outcome.began
        print(f"the last query of others was lost {until:.1f} s after the begin")
        assert until <= SETTLED
        assert outcome.tcp.loss == 0


def test_a_network_over_the_limit_gets_about_what_it_is_allowed(tmp_path):
    limit = f"query_limit: {{queries_per_second: {LIMIT}}}\n"
    with DnsServer(tmp_path, zones=ZONE + limit) as server, flooding(server, "one", 60):
        eventually(lambda: server.metric("dnsserver_thinned_networks") == 1, 10)
        began, counts = time.monotonic(), []
        while not counts or counts[-1][0] - counts[0][0] < 2:
            at, count = time.monotonic(), server.metric("coredns_dns_responses_total")
            if at - began > SETTLED:
                counts.append((at, count))
        seconds, answered = (last - first for first, last in zip(counts[0], counts[-1], strict=True))
        assert LIMIT / 2 <= answered / seconds <= LIMIT * 2


@SECONDS
def test_a_flood_over_the_rate_gets_a_part_of_what_it_asks_for_and_others_theirs(tmp_path, seconds):
    exempt = "exempt: [127.0.3.0/24, 127.0.0.1]"
    rrl = f"rrl: {{responses_per_second: 10, window: 3600, slip: 0, {exempt}}}\n"
    with DnsServer(tmp_path, zones=ZONE + rrl) as server:
        outcome = flooded(server, "unique", seconds)
        assert outcome.spares_others
        to_flood = outcome.answered * seconds - outcome.others - server.metric("dnsserver_rrl_limited_total")
        assert to_flood <= 10 * (seconds + 5)


@SECONDS
@pytest.mark.parametrize("kind", STREAMS)
def test_others_lose_nothing_by_a_flood_over_tcp(server, kind, seconds):
    outcome = flooded(server, kind, seconds)
    assert outcome.udp.loss <= 0.01
    assert outcome.tcp.loss == 0
    assert quantile(outcome.udp.waits, 0.99) <= 1
    assert outcome.memory <= MEMORY
