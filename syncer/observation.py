"""Everything that the sources know at one moment → what is desired. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from syncer.endpoint import Endpoint, Rejection
from syncer.source.derived import Derived
from syncer.source.filters import Options
from syncer.source.ingress import endpoints_of_ingresses
from syncer.source.objects import Ingress, Node, Service
from syncer.source.service import endpoints_of_services

T_co = TypeVar("T_co", covariant=True)


class Cache(Protocol[T_co]):
    """The objects of one kind, as far as they are known."""

    @property
    def has_synced(self) -> bool:
        """Whether all objects were seen once; it stays true."""
        ...

    def objects(self) -> Sequence[T_co]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One place that objects come from, an API server or a directory. None: not asked for."""

    ingresses: Cache[Ingress | Rejection] | None = None
    services: Cache[Service | Rejection] | None = None
    nodes: Cache[Node | Rejection] | None = None
    faults: Callable[[], Sequence[Rejection]] = tuple
    """What is wrong with the place itself, as a file that cannot be read."""


@dataclass(frozen=True, slots=True)
class Observation:
    endpoints: tuple[Endpoint, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    pending: frozenset[str] = frozenset()
    """Names whose targets are not known yet."""
    unsettled: frozenset[str] = frozenset()
    """Kinds of resource whose objects are not all known yet."""
    kinds: frozenset[str] = frozenset()
    """Kinds of resource that are asked for."""
    waiting: frozenset[tuple[str, str]] = frozenset()
    """Names without a target, each with the object that asks for it."""

    def settled(self, resource: str) -> bool:
        """Say whether it is known for certain what asks for a resource's records.

        A resource of a kind that nothing asks for is settled when everything else is.
        """
        kind = resource.partition("/")[0]
        return kind not in self.unsettled if kind in self.kinds else not self.unsettled


def observe(worlds: Sequence[World], options: Options) -> Observation:
    """Return what all objects that are known now ask for."""
    found: list[Derived] = [Derived(rejections=tuple(world.faults())) for world in worlds]
    unsettled: set[str] = set()
    kinds: set[str] = set()
    for world in worlds:
        # Readiness before the objects: what becomes ready between the two must not look like a deletion.
        if world.ingresses is not None:
            kinds.add("ingress")
            if not world.ingresses.has_synced:
                unsettled.add("ingress")
            found.append(endpoints_of_ingresses(world.ingresses.objects(), options))
        if world.services is not None:
            kinds.add("service")
            if not world.services.has_synced:
                unsettled.add("service")
            nodes = world.nodes.objects() if world.nodes is not None and world.nodes.has_synced else None
            found.append(endpoints_of_services(world.services.objects(), nodes, options))
    return Observation(
        tuple(endpoint for part in found for endpoint in part.endpoints),
        tuple(rejection for part in found for rejection in part.rejections),
        frozenset(name for part in found for name in part.pending),
        frozenset(unsettled),
        frozenset(kinds),
        frozenset(claim for part in found for claim in part.waiting),
    )


def unseen(worlds: Iterable[World]) -> list[str]:
    """Return the kinds of objects that are not all known yet."""
    caches: list[tuple[str, Cache[object] | None]] = []
    for world in worlds:
        caches += [("ingress", world.ingresses), ("service", world.services), ("node", world.nodes)]
    return sorted({kind for kind, cache in caches if cache is not None and not cache.has_synced})
