"""Everything that the sources know at one moment → what is desired. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from syncer.endpoint import Endpoint, Rejection
from syncer.source.around import Around
from syncer.source.crd import DnsEndpoint, endpoints_of_dns_endpoints
from syncer.source.derived import Derived
from syncer.source.filters import Options
from syncer.source.gateway import Gateway, Route
from syncer.source.ingress import endpoints_of_ingresses
from syncer.source.node import endpoints_of_nodes
from syncer.source.objects import Ingress, Node, Pod, Service, Slice
from syncer.source.reader import Object
from syncer.source.routes import endpoints_of_routes
from syncer.source.service import endpoints_of_services
from syncer.source.shaping import Shape, shaped

ROUTES: Final[Mapping[str, str]] = {
    "httproute": "HTTPRoute",
    "grpcroute": "GRPCRoute",
    "tlsroute": "TLSRoute",
}
"""Kinds of routes, as resources and as Kubernetes calls them."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Cache(Protocol[T_co]):
    """The objects of one kind, as far as they are known."""

    @property
    def has_synced(self) -> bool:
        """Whether all objects were seen once; it stays true."""
        ...

    @property
    def is_awaited(self) -> bool:
        """Whether somebody needs the objects and they are still to come."""
        ...

    def objects(self) -> Sequence[T_co]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One place that objects come from, an API server or a directory. None: not asked for."""

    ingresses: Cache[Ingress | Rejection] | None = None
    services: Cache[Service | Rejection] | None = None
    nodes: Cache[Node | Rejection] | None = None
    publishes_nodes: bool = False
    slices: Cache[Slice | Rejection] | None = None
    pods: Cache[Pod | Rejection] | None = None
    dns_endpoints: Cache[DnsEndpoint | Rejection] | None = None
    routes: Mapping[str, Cache[Route | Rejection]] = field(default_factory=dict)
    """By kind of resource."""
    gateways: Cache[Gateway | Rejection] | None = None
    namespaces: Cache[Object | Rejection] | None = None
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
    unsettled_resources: frozenset[str] = frozenset()
    """Objects whose names cannot all be told yet."""

    def settled(self, resource: str) -> bool:
        """Say whether it is known for certain what asks for a resource's records.

        A resource of a kind that nothing asks for is settled when everything else is.
        """
        if resource in self.unsettled_resources:
            return False
        kind = resource.partition("/")[0]
        return kind not in self.unsettled if kind in self.kinds else not self.unsettled


def observe(worlds: Sequence[World], options: Options, shape: Shape | None = None) -> Observation:
    """Return what all objects that are known now ask for."""
    found: list[Derived] = [Derived(rejections=tuple(world.faults())) for world in worlds]
    unsettled: set[str] = set()
    kinds: set[str] = set()
    for world in worlds:
        for kind, cache, derive in _sources(world, options):
            kinds.add(kind)
            # Readiness before the objects: what becomes ready between the two must not look like a deletion.
            if not cache.has_synced:
                unsettled.add(kind)
            found.append(derive(cache.objects()))
    return Observation(
        shaped((endpoint for part in found for endpoint in part.endpoints), shape or Shape()),
        tuple(rejection for part in found for rejection in part.rejections),
        frozenset(name for part in found for name in part.pending),
        frozenset(unsettled),
        frozenset(kinds),
        frozenset(claim for part in found for claim in part.waiting),
        frozenset(resource for part in found for resource in part.unsettled),
    )


Derive = Callable[[Sequence[Any]], Derived]


def _sources(world: World, options: Options) -> Iterator[tuple[str, Cache[Any], Derive]]:
    """Yield what a world publishes: the kind of resource, its objects, and what becomes of them."""
    around = Around(
        read_nodes=lambda: _known(world.nodes),
        read_slices=lambda: _known(world.slices),
        read_pods=lambda: _known(world.pods),
    )
    if world.ingresses is not None:
        yield "ingress", world.ingresses, lambda objects: endpoints_of_ingresses(objects, options)
    if world.services is not None:
        yield "service", world.services, lambda objects: endpoints_of_services(objects, around, options)
    if world.nodes is not None and world.publishes_nodes:
        yield "node", world.nodes, lambda objects: endpoints_of_nodes(objects, options)
    if world.dns_endpoints is not None:
        yield "crd", world.dns_endpoints, lambda objects: endpoints_of_dns_endpoints(objects, options)
    for kind, cache in world.routes.items():
        yield (
            kind,
            cache,
            lambda objects: endpoints_of_routes(
                objects, _known(world.gateways), lambda: _known(world.namespaces), options
            ),
        )


def _known(cache: Cache[T] | None) -> Sequence[T] | None:
    return cache.objects() if cache is not None and cache.has_synced else None


def unseen(worlds: Iterable[World]) -> list[str]:
    """Return the kinds of objects that are not all known yet and that something waits for."""
    caches: list[tuple[str, Cache[object] | None]] = []
    for world in worlds:
        caches += [
            ("ingress", world.ingresses),
            ("service", world.services),
            ("node", world.nodes),
            ("endpointslice", world.slices),
            ("pod", world.pods),
            ("crd", world.dns_endpoints),
            ("gateway", world.gateways),
            ("namespace", world.namespaces),
            *world.routes.items(),
        ]
    return sorted({kind for kind, cache in caches if cache is not None and cache.is_awaited})
