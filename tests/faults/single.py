"""Faults of an etcd with one member, which the server reaches through a proxy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from tests.faults.scene import NAMES, Scene, stable
from tests.load import either, has, is_denied
from tests.programs import eventually
from tests.proxy import Proxy
from tools.embedded_etcd import EmbeddedEtcd


class Single(Scene):
    def __init__(self, directory: Path, etcd: EmbeddedEtcd, proxy: Proxy) -> None:
        self.etcd, self.proxy = etcd, proxy
        super().__init__(
            directory,
            EtcdAddress(endpoints=(etcd.endpoint,)),
            endpoints=[f"http://127.0.0.1:{proxy.port}"],
        )

    def is_connected(self) -> bool:
        return self.server.metric("dnsserver_etcd_connected") == 1

    def gap(self) -> None:
        """End the server's watch, and let it reach etcd no more."""
        self.proxy.cut()
        self.proxy.drop()
        eventually(lambda: not self.is_connected(), 5)


@contextmanager
def single(directory: Path) -> Iterator[Single]:
    with (
        EmbeddedEtcd("embedded", "--unsafe-no-fsync") as etcd,
        Proxy(etcd.port) as proxy,
        Single(directory, etcd, proxy) as scene,
    ):
        yield scene


def killed_and_restarted(scene: Single, *, long: bool) -> None:
    scene.etcd.kill()
    eventually(lambda: not scene.is_connected(), 5)
    scene.lasting(60 if long else 3)
    assert scene.server.page("/ready")[0] == 200
    scene.etcd.start()


def stopped_and_continued(scene: Single, *, long: bool) -> None:
    scene.etcd.pause()
    scene.lasting(60 if long else 2)
    scene.etcd.resume()


def partitioned(scene: Single, *, long: bool) -> None:
    scene.proxy.cut()
    scene.lasting(60 if long else 6)
    scene.proxy.mend()


def slow(scene: Single, *, long: bool) -> None:
    scene.proxy.delay = 0.2
    for _ in range(20 if long else 2):
        scene.freshness(within=2)
    scene.proxy.delay = 0


def compacted_past_our_revision(scene: Single, *, long: bool) -> None:
    """What was deleted in the gap is in no event any more."""
    scene.put({"brief": "192.0.2.200"})
    eventually(lambda: scene.server.data("brief.k8s.local"), 5)
    lists = scene.server.metric("dnsserver_etcd_lists_total")
    scene.gap()
    scene.put({"brief": None})
    scene.update()
    scene.etcd.ctl("compact", str(scene.store.head(Key(b"/")).revision))
    scene.proxy.mend()
    eventually(lambda: scene.server.rcode("brief.k8s.local") == "NXDOMAIN", 10)
    assert scene.server.metric("dnsserver_etcd_lists_total") == lists + 1


def backlog(scene: Single, *, long: bool) -> None:
    """Events of a gap, which arrive in few and large responses."""
    count = 100_000 if long else 10_000
    scene.gap()
    names = {f"n{number}": "192.0.2.201" for number in range(count // 2)}
    scene.put(names)
    scene.put(dict.fromkeys(list(names)[:-1]))
    scene.proxy.mend()
    last = f"{list(names)[-1]}.k8s.local"
    eventually(lambda: scene.server.data(last), 60)
    eventually(lambda: scene.server.rcode("n0.k8s.local") == "NXDOMAIN", 60)


def restored_from_a_backup(scene: Single, *, long: bool) -> None:
    """A backup that has more than half of the names is believed: what came after it goes."""
    scene.etcd.stop()
    scene.etcd.backup()
    written = scene.live.written
    scene.etcd.start()
    scene.put({"young": "192.0.2.202"})
    scene.freshness()
    with scene.checked({"young": either(has("192.0.2.202"), is_denied)}):
        eventually(lambda: scene.server.data("young.k8s.local"), 5)
        serial = _serial(scene)
        scene.etcd.kill()
        scene.etcd.restore()
        scene.live.may_go_back(written)
        scene.etcd.start()
        eventually(lambda: scene.server.rcode("young.k8s.local") == "NXDOMAIN", 10)
        assert _serial(scene) > serial


def wiped(scene: Single, *, long: bool) -> None:
    """An empty etcd takes no name away; with half of the names it is believed, and the others go."""
    scene.etcd.kill()
    scene.etcd.wipe()
    scene.etcd.start()
    eventually(lambda: scene.server.metric("dnsserver_held_names") >= NAMES, 10)
    scene.freshness()
    names = stable()
    may_go = {name: either(has(host), is_denied) for name, host in names.items()}
    with scene.checked(may_go):
        shown = dict(list(names.items())[: NAMES // 2 + 5])
        scene.put(shown)
        eventually(lambda: scene.server.rcode(f"s{NAMES - 1}.k8s.local") == "NXDOMAIN", 10)
        assert scene.server.metric("dnsserver_held_names") == 0
        scene.put(names)
        eventually(lambda: scene.server.data(f"s{NAMES - 1}.k8s.local"), 10)


def emptied_in_a_gap(scene: Single, *, long: bool) -> None:
    """No event tells of it any more. The names go when the operator says so."""
    scene.gap()
    scene.etcd.ctl("del", "--prefix", "/skydns/")
    scene.etcd.ctl("compact", str(scene.store.head(Key(b"/")).revision))
    scene.proxy.mend()
    eventually(lambda: scene.server.metric("dnsserver_held_names") >= NAMES, 10)
    assert scene.server.data("live.k8s.local")
    names = stable()
    may_go = {name: either(has(host), is_denied) for name, host in names.items()}
    with scene.checked(may_go | {"live": either(scene.live, is_denied)}):
        scene.server.reload()
        eventually(lambda: scene.server.rcode("live.k8s.local") == "NXDOMAIN", 10)
        assert scene.server.metric("dnsserver_held_names") == 0
        scene.put(names)
        scene.freshness()
        eventually(lambda: scene.server.data(f"s{NAMES - 1}.k8s.local"), 10)


def _serial(scene: Single) -> int:
    (soa,) = scene.server.ask("k8s.local", "SOA").answer[0]
    return int(soa.serial)


FAULTS = {
    "etcd killed, started again": killed_and_restarted,
    "etcd stopped (SIGSTOP), continued": stopped_and_continued,
    "partition": partitioned,
    "slow etcd (0.2 s each way)": slow,
    "compaction past our revision": compacted_past_our_revision,
    "backlog of events": backlog,
    "backup restored": restored_from_a_backup,
    "cluster wiped": wiped,
    "emptied in a gap, accepted by SIGHUP": emptied_in_a_gap,
}
"""What happens → how. Each is done when etcd can be written to again."""
