"""Two syncers on three members of etcd, under a stream of changes, while one after the other dies."""

import os
import signal
import threading
import time
from contextlib import ExitStack

import pytest

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.store import Store
from tests.programs import Syncer, eventually
from tests.syncer.stored import hosts
from tools.embedded_etcd import EmbeddedCluster

LIVE = [f"live{number}.test" for number in range(5)]


def ingress(name: str, address: str) -> str:
    return (
        f"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name.split('.')[0]}}}\n"
        f"spec: {{rules: [{{host: {name}}}]}}\n"
        f"status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}\n"
    )


class Changes(threading.Thread):
    """Gives every live name a new address, again and again, and makes and removes another name."""

    def __init__(self, directory) -> None:
        super().__init__(daemon=True)
        self._directory, self._stop_now = directory, threading.Event()
        self.round = 0
        self.write()

    def write(self) -> None:
        self.round += 1
        text = "---\n".join(ingress(name, f"192.0.2.{self.round % 250 + 1}") for name in LIVE)
        if self.round % 2:
            text += "---\n" + ingress("now-and-then.test", "192.0.2.1")
        # In one step: a half-written file is another story.
        (self._directory / ".new").write_text(text)
        os.replace(self._directory / ".new", self._directory / "all.yaml")

    def run(self) -> None:
        while not self._stop_now.wait(0.3):
            self.write()

    def finish(self) -> dict[str, set[str]]:
        """Stop; return the names that must be there in the end, with their targets."""
        self._stop_now.set()
        self.join()
        wanted = {name: {f"192.0.2.{self.round % 250 + 1}"} for name in LIVE}
        return wanted | ({"now-and-then.test": {"192.0.2.1"}} if self.round % 2 else {})


class Witness(threading.Thread):
    """Reads all records all the time; `missing` are the live names that it did not find once."""

    def __init__(self, store: Store, prefix: str) -> None:
        super().__init__(daemon=True)
        self._store, self._prefix, self._stop_now = store, prefix, threading.Event()
        self.missing: set[str] = set()
        self.reads = 0

    def run(self) -> None:
        while not self._stop_now.wait(0.02):
            try:
                there = hosts(self._store, self._prefix)
            except StoreUnavailable:
                continue
            self.reads += 1
            self.missing |= {name for name in LIVE if not there.get(name)}

    def finish(self) -> None:
        self._stop_now.set()
        self.join()


class Scene:
    def __init__(self, stack: ExitStack, prefix: str, directory) -> None:
        self.cluster = stack.enter_context(EmbeddedCluster(3))
        self.prefix = prefix
        self.store = Store(EtcdAddress(endpoints=self.cluster.endpoints))
        self.changes = Changes(directory)
        urls = ",".join(self.cluster.endpoints)
        arguments = ("--source=manifests", f"--manifests={directory}", "--interval=2s")
        self.syncers = [stack.enter_context(Syncer(urls, prefix, *arguments)) for _ in range(2)]
        eventually(lambda: all(syncer.page("/readyz")[0] == 200 for syncer in self.syncers), 30)
        eventually(lambda: set(LIVE) <= hosts(self.store, prefix).keys())
        self.witness = Witness(Store(EtcdAddress(endpoints=self.cluster.endpoints)), prefix)
        self.changes.start()
        self.witness.start()

    def leading(self) -> list[Syncer]:
        return [s for s in self.syncers if "leader: this one" in s.page("/readyz")[1]]

    def roles(self) -> tuple[Syncer, Syncer]:
        (leader,) = eventually(self.leading)
        return leader, next(s for s in self.syncers if s is not leader)

    def wait_for_news(self, seconds: float) -> float:
        """Wait until something that is asked for now is there; return the seconds that took."""
        started, round_ = time.monotonic(), self.changes.round

        def is_newer() -> bool:
            targets = {f"192.0.2.{number % 250 + 1}" for number in range(round_ + 1, self.changes.round + 1)}
            try:
                return bool(hosts(self.store, self.prefix).get(LIVE[0], set()) & targets)
            except StoreUnavailable:
                return False

        eventually(is_newer, seconds)
        return time.monotonic() - started

    def end(self) -> None:
        """Stop the changes; demand that etcd holds what was asked for, and always held the live names."""
        wanted = self.changes.finish()

        def found():
            try:
                there = hosts(self.store, self.prefix)
            except StoreUnavailable:
                return None
            return {name: targets for name, targets in there.items() if targets}

        eventually(lambda: found() == wanted, 15)
        time.sleep(1)
        assert found() == wanted
        self.witness.finish()
        assert self.witness.reads > 20
        assert self.witness.missing == set()


@pytest.fixture
def scene(prefix, tmp_path):
    with ExitStack() as stack:
        yield Scene(stack, prefix, tmp_path)


def test_no_name_is_lost_whoever_dies(scene):
    leader, standby = scene.roles()
    scene.wait_for_news(5)
    leader.process.send_signal(signal.SIGSTOP)
    assert scene.wait_for_news(15) < 6
    leader.process.send_signal(signal.SIGCONT)
    eventually(lambda: "this one stands by" in leader.page("/readyz")[1])
    assert scene.leading() == [standby]
    scene.cluster.leader().kill()
    scene.wait_for_news(20)
    leader, standby = scene.roles()
    leader.process.kill()
    assert scene.wait_for_news(15) < 6
    assert scene.leading() == [standby]
    scene.end()
