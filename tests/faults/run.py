"""Faults, one after the other, and what came of each."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults import cluster, secure, single
from tests.faults.scene import Scene
from tests.programs import eventually

FRESH = 2.0
"""Seconds after a fault within which news must be served."""

CPU = 0.02
"""Share of a core that the threads which follow etcd may use while it is away."""


class Group(NamedTuple):
    """Faults that happen to one scene."""

    name: str
    scene: Callable[[Path], AbstractContextManager[Any]]
    faults: Mapping[str, Callable[..., None]]


GROUPS = (
    Group("one member", single.single, single.FAULTS),
    Group("three members", cluster.cluster, cluster.FAULTS),
    Group("password", secure.with_password, secure.PASSWORD_FAULTS),
    Group("certificates", secure.with_certificates, secure.CERTIFICATE_FAULTS),
)


class Outcome(NamedTuple):
    fault: str
    queries: int
    """Sent from the fault's begin until the server was fresh."""
    lost: int
    wrong: list[str]
    slowest: float
    """Seconds of the slowest response."""
    fresh: float
    """Seconds from recovery until what was written then was served."""
    cpu: float | None
    """Share of a core that the server's etcd threads used while the fault lasted; None: too short to tell."""

    def failures(self) -> list[str]:
        """Return what is not as it must be."""
        found = list(self.wrong)
        if self.lost:
            found.append(f"{self.lost} of {self.queries} queries lost")
        if self.fresh > FRESH:
            found.append(f"fresh only after {self.fresh:.1f} s")
        if self.cpu is not None and self.cpu > CPU:
            found.append(f"{self.cpu:.1%} of a core while etcd was away")
        return found

    def row(self) -> str:
        cpu = "" if self.cpu is None else f"{self.cpu:.1%}"
        return (
            f"{self.fault:<45}{self.queries:>8}{self.lost:>6}{len(self.wrong):>7}"
            f"{self.slowest * 1000:>9.0f}{self.fresh:>9.2f}{cpu:>8}"
        )


HEADING = (
    f"{'fault':<45}{'queries':>8}{'lost':>6}{'wrong':>7}{'slowest':>9}{'fresh':>9}{'CPU':>8}\n"
    f"{'':<45}{'':>8}{'':>6}{'':>7}{'ms':>9}{'after s':>9}{'':>8}"
)


def happen(fault: str, inject: Callable[..., None], scene: Scene, *, long: bool = False) -> Outcome:
    """Let a fault happen to a scene, and wait until the server is fresh again."""
    load = scene.load
    load.reset()
    scene.cpu.clear()
    inject(scene, long=long)
    fresh = scene.freshness()
    eventually(lambda: load.queries > 100, 10)
    cpu = max(scene.cpu) if scene.cpu else None
    return Outcome(fault, load.queries, load.lost, load.wrong, load.slowest, fresh, cpu)


def outcomes(*, long: bool) -> Iterator[Outcome]:
    """Let all faults happen."""
    for group in GROUPS:
        with tempfile.TemporaryDirectory() as directory, group.scene(Path(directory)) as scene:
            for fault, inject in group.faults.items():
                yield happen(fault, inject, scene, long=long)
