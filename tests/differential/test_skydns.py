"""SkyDNS keys in etcd behind our server, and the zone file they amount to in Knot and NSD: the same answers.

Run with more seeds as `test_zone_files` says.
"""

from pathlib import Path

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store
from tests.differential import questions, skydns
from tests.differential.compare import compare
from tests.differential.exchange import ask
from tests.differential.peers import Knot, Nsd
from tests.differential.responses import read
from tests.differential.rules import Truth
from tests.differential.skydns import Entry, Lookup
from tests.differential.test_zone_files import MORE_QUESTIONS, MORE_SEEDS
from tests.differential.zone import Labels
from tests.programs import DnsServer, eventually
from tools.embedded_etcd import EmbeddedEtcd

APEXES: dict[Lookup, Labels] = {"exact": (b"exact", b"test"), "skydns": (b"k8s", b"local")}
QUESTIONS = 2500


def commit(store: Store, prefix: str, puts: list[Entry], deletes: list[Entry]) -> None:
    below = prefix.encode()
    for start in range(0, max(len(puts), len(deletes)), 50):
        store.commit(
            puts={Key(entry.key(below)): entry.json() for entry in puts[start : start + 50]},
            deletes=[Key(entry.key(below)) for entry in deletes[start : start + 50]],
            expected={},
        )


def soa_serial(server: DnsServer, apex: Labels) -> int:
    answer = server.ask(b".".join(apex).decode(), "SOA").answer
    return int(answer[0][0].serial)


def check_seed(seed: int, count: int, etcd: EmbeddedEtcd, prefix: str, directory: Path) -> None:
    """Let some keys be there at the start, others come and go while the server watches; then compare."""
    store = Store(EtcdAddress(endpoints=(etcd.endpoint,)))
    zones_yaml = "zones:\n" + "".join(
        f"  - name: {b'.'.join(apex).decode()}\n    lookup: {lookup}\n    ttl: {skydns.ZONE_TTL}\n"
        "    records: [{name: ns.dns, type: A, data: 127.0.0.1}]\n"
        for lookup, apex in APEXES.items()
    )
    entries = {lookup: skydns.generate(seed, apex, lookup) for lookup, apex in APEXES.items()}
    keys = {entry.key(b"").lower() for those in entries.values() for entry in those}
    passing = [
        entry
        for lookup, apex in APEXES.items()
        for entry in skydns.generate(seed + 1, apex, lookup)
        if entry.key(b"").lower() not in keys
    ]
    first = [entry for those in entries.values() for entry in those[::2]]
    later = [entry for those in entries.values() for entry in those[1::2]]
    commit(store, prefix, first + passing, [])
    with DnsServer(directory, zones=zones_yaml, etcd=etcd.endpoint, prefix=prefix) as ours:
        ours.wait_ready()
        commit(store, prefix, later, passing)
        # The last change of each zone is a key of its own, by which to see that all before has arrived.
        for lookup, apex in APEXES.items():
            last = Entry((b"last", *apex), {"host": "10.0.0.1"})
            commit(store, prefix, [last], [])
            entries[lookup].append(last)
        revision = store.head(Key(b"/")).revision
        eventually(lambda: soa_serial(ours, apex) == revision, 10, "the last change")
        zones = {
            lookup: skydns.zone_of(
                apex,
                sorted(entries[lookup], key=lambda entry: entry.key(b"")),
                lookup,
                soa_serial(ours, apex),
            )
            for lookup, apex in APEXES.items()
        }
        truth = Truth(zones.values())
        texts = {zone.domain: zone.text for zone in zones.values()}
        with Knot(directory, texts) as knot, Nsd(directory, texts) as nsd:
            ports = {"knot": knot.port, "nsd": nsd.port}
            for lookup, zone in zones.items():
                # ANY could be answered by a view that the zone file does not have.
                asked = questions.generate(seed, zone, count, any_type=False)
                replies = ask(knot.port, asked)
                asked = [
                    question
                    for question, reply in zip(asked, replies, strict=True)
                    if skydns.has_zone_file(question, [rr.type for rr in read(reply).answer], lookup)
                ]
                compare(ours.port, ports, asked, truth).check()
    store.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_keys_are_answered_as_the_peers_answer_their_zone_file(seed, etcd, prefix, tmp_path):
    check_seed(seed, QUESTIONS, etcd, prefix, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_many_keys_are_answered_as_the_peers_answer_their_zone_file(seed, etcd, prefix, tmp_path):
    check_seed(seed, MORE_QUESTIONS, etcd, prefix, tmp_path)
