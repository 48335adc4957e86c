"""The course of a soak."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dnsserver.skydns.address import EtcdAddress
from tests.faults.scene import Scene
from tests.load import either, has, is_denied
from tests.overload.others import resident
from tests.soak.verdict import Row
from tools.embedded_etcd import EmbeddedEtcd

TRIES = 3
"""How often a resolver asks, at least."""

ROUNDS = 5
"""The least number of rounds; a long soak has one a minute."""

WILD, GUEST = "192.0.2.210", "192.0.2.211"


class Soak(Scene):
    """A scene with wildcards, a name that comes and goes, and a zone that changes with each reload."""

    def __init__(self, directory: Path, etcd: EmbeddedEtcd) -> None:
        super().__init__(directory, EtcdAddress(endpoints=(etcd.endpoint,)), tries=TRIES)
        self.put({"wild/*": WILD})
        self.load.checks |= {"x{}.wild.k8s.local": has(WILD), "x{}.k8s.local": is_denied}
        self.updates, self.reloads = 0, 0
        self._etcd = etcd
        self._settings = self.server.config.read_text()

    def update(self) -> None:
        self.updates += 1
        self.load.checks["guest.k8s.local"] = either(has(GUEST), is_denied)
        self.put({"live": self.live.next(), "guest": self._guest})

    @property
    def _guest(self) -> str | None:
        return GUEST if self.updates % 2 else None

    def update_until(self, deadline: float) -> float:
        """Update again and again, once at least; return the seconds until the slowest one was served."""
        slowest = 0.0
        while True:
            slowest = max(slowest, self.freshness())
            self.load.checks["guest.k8s.local"] = has(GUEST) if self._guest else is_denied
            if time.monotonic() >= deadline:
                return slowest

    def reload(self) -> None:
        """Give a zone of the configuration another address."""
        old, new = (f"192.0.2.{100 + (self.reloads + i) % 100}" for i in range(2))
        self.reloads += 1
        zone = f"  - {{name: reloaded, records: [{{name: a, type: A, data: {new}}}]}}\n"
        self.server.config.write_text(self._settings + zone)
        if self.reloads > 1:
            self.load.checks["a.reloaded"] = either(has(old), has(new))
        self.server.reload()
        self.load.checks["a.reloaded"] = has(new)

    def crash(self, seconds: float) -> None:
        """Kill etcd, and start it again after some time."""
        self._etcd.kill()
        time.sleep(seconds)
        self._etcd.start()

    def descriptors(self) -> int:
        """Return how many files the server has open when no connection of a client is."""
        directory = Path(f"/proc/{self.server.process.pid}/fd")
        deadline, least = time.monotonic() + 1, len(list(directory.iterdir()))
        while time.monotonic() < deadline:
            time.sleep(0.01)
            least = min(least, len(list(directory.iterdir())))
        return least


def soak(minutes: float) -> Iterator[Row]:
    """Let it all happen, and tell of each round when it is over."""
    rounds = max(ROUNDS, round(minutes))
    seconds = 60 * minutes / rounds
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedEtcd("embedded", "--unsafe-no-fsync") as etcd,
        Soak(Path(directory), etcd) as scene,
    ):
        began = time.monotonic()
        for number in range(rounds):
            yield _round(scene, began, number * seconds, seconds)


def _round(scene: Soak, began: float, start: float, seconds: float) -> Row:
    load = scene.load
    load.slowest = 0.0
    before = load.queries, load.retried, load.lost, scene.updates
    now = began + start
    fresh = [scene.update_until(now + 0.3 * seconds)]
    scene.reload()
    fresh.append(scene.update_until(now + 0.6 * seconds))
    scene.crash(0.1 * seconds)
    fresh.append(scene.update_until(now + seconds - 1))
    open_files = scene.descriptors()
    after = load.queries, load.retried, load.lost, scene.updates
    queries, retried, lost, updates = (new - old for new, old in zip(after, before, strict=True))
    return Row(
        minute=(time.monotonic() - began) / 60,
        queries=queries,
        retried=retried,
        lost=lost,
        wrong=load.wrong,
        slowest=load.slowest,
        updates=updates,
        fresh=max(fresh),
        memory=resident(scene.server.process.pid),
        descriptors=open_files,
    )
