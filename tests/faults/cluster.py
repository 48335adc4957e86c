"""Faults of a cluster of three members, which reach each other through proxies."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dnsserver.skydns.address import EtcdAddress
from tests.faults.scene import Scene
from tests.programs import eventually
from tests.proxy import Proxy
from tools.embedded_etcd import EmbeddedCluster, EmbeddedEtcd, EtcdNotStarted

LAG = 0.2
"""Seconds; members count each other as lost after one."""


class Cluster(Scene):
    def __init__(self, directory: Path, etcd: EmbeddedCluster, peers: dict[str, Proxy]) -> None:
        self.etcd, self._peers = etcd, peers
        super().__init__(directory, EtcdAddress(endpoints=etcd.endpoints))

    def followed(self) -> EmbeddedEtcd:
        """Return the member that the server follows."""
        return next(member for member in self.etcd.members if member.endpoint == self.follows())

    def age(self) -> float:
        """Return the seconds since the server knew that it is up to date."""
        return self.server.metric("dnsserver_etcd_age_seconds")

    def others(self, member: EmbeddedEtcd) -> list[EmbeddedEtcd]:
        return [other for other in self.etcd.members if other is not member]

    def cut_off(self, member: EmbeddedEtcd) -> None:
        """Cut a member off from its peers, not from its clients."""
        self._peers[member.name].cut()
        for other in self.others(member):
            self._peers[other.name].cut([member.pid])

    def hand_leadership_to(self, member: EmbeddedEtcd) -> None:
        def handed_over() -> bool:
            with suppress(EtcdNotStarted, subprocess.CalledProcessError):  # an election is going on
                leader = self.etcd.leader()
                if leader is not member:
                    leader.ctl("move-leader", member.identity())
            return member.leads()

        eventually(handed_over, 30)

    def slow_down(self, member: EmbeddedEtcd) -> None:
        """Let a member learn late what its peers have, and they what it has."""
        self._peers[member.name].delay = LAG
        for other in self.others(member):
            proxy = self._peers[other.name]
            proxy.delay, proxy.delayed = LAG, [member.pid]

    def mend(self) -> None:
        for proxy in self._peers.values():
            proxy.mend()
            proxy.delay, proxy.delayed = 0, ()


@contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        etcd = EmbeddedCluster(3, "--unsafe-no-fsync")
        peers = {}
        for member in etcd.members:
            peers[member.name] = stack.enter_context(Proxy(member.peer_port))
            member.peer = f"http://127.0.0.1:{peers[member.name].port}"
        stack.enter_context(etcd)
        yield stack.enter_context(Cluster(directory, etcd, peers))


def leader_killed(scene: Cluster, *, long: bool) -> None:
    leader = scene.etcd.leader()
    leader.kill()
    scene.update()
    eventually(scene.live.is_fresh, 10)
    leader.start()


def leader_moved(scene: Cluster, *, long: bool) -> None:
    """The old one and its connections stay."""
    for _ in range(20 if long else 1):
        first, second = scene.etcd.members[:2]
        scene.hand_leadership_to(second if first.leads() else first)
        scene.freshness()


def followed_member_killed(scene: Cluster, *, long: bool) -> None:
    member = scene.followed()
    member.kill()
    assert scene.freshness() < 5
    assert scene.followed() is not member
    member.start()


def followed_member_stopped(scene: Cluster, *, long: bool) -> None:
    """It keeps the connection and is silent."""
    member = scene.followed()
    member.pause()
    assert scene.freshness() < 10
    assert scene.followed() is not member
    member.resume()


def followed_member_cut_off(scene: Cluster, *, long: bool) -> None:
    """It answers, and knows nothing new any more."""
    member = scene.followed()
    scene.cut_off(member)
    assert scene.freshness() < 10
    assert scene.followed() is not member
    scene.lasting(60 if long else 1)
    scene.mend()
    eventually(member.serves, 30)


def followed_member_slow(scene: Cluster, *, long: bool) -> None:
    """It is behind the others, and is no reason to leave it."""
    member = scene.followed()
    scene.hand_leadership_to(scene.others(member)[0])
    scene.slow_down(member)
    for _ in range(20 if long else 1):
        scene.freshness(within=3)
    eventually(lambda: scene.age() > 1.5, 10, "no news")
    eventually(lambda: scene.age() < 1, 10, "the member is asked whether it has a leader")
    assert scene.followed() is member
    scene.mend()


def quorum_lost(scene: Cluster, *, long: bool) -> None:
    followed = scene.followed()
    for member in scene.others(followed):
        member.kill()
    eventually(lambda: scene.server.metric("dnsserver_etcd_connected") == 0, 10)
    scene.lasting(60 if long else 1)
    for member in scene.others(followed):
        member.launch()
    for member in scene.others(followed):
        member.wait()


FAULTS = {
    "leader killed (of 3 members)": leader_killed,
    "leader moved to another member": leader_moved,
    "the member we follow killed": followed_member_killed,
    "the member we follow stopped (SIGSTOP)": followed_member_stopped,
    "the member we follow cut off from its peers": followed_member_cut_off,
    "the member we follow slow (0.2 s from peers)": followed_member_slow,
    "quorum lost": quorum_lost,
}
