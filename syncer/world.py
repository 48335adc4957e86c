"""The places that objects come from, and what a place has of each kind of object. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from syncer.endpoint import Rejection
from syncer.source.around import Key, Kind
from syncer.source.crd import DnsEndpoint
from syncer.source.gateway import Gateway, Route
from syncer.source.objects import Ingress, Node, Pod, Resolved, Service, Slice
from syncer.source.reader import Object

ROUTES: Final[Mapping[str, str]] = {
    "httproute": "HTTPRoute",
    "grpcroute": "GRPCRoute",
    "tlsroute": "TLSRoute",
}
"""Kinds of routes, as resources and as Kubernetes calls them."""

T_co = TypeVar("T_co", covariant=True)


class Cache(Protocol[T_co]):
    """The objects of one kind, as far as they are known."""

    @property
    def has_synced(self) -> bool:
        """Whether all objects were seen once; it stays true. Asking makes the objects wanted."""
        ...

    @property
    def is_awaited(self) -> bool:
        """Whether somebody needs the objects and they are still to come."""
        ...

    def drain(self) -> Sequence[tuple[Key, T_co | None]]:
        """Return the objects that have changed since the last call, None for those that are gone."""
        ...

    def items(self) -> Iterable[tuple[Key, T_co]]: ...


def _want_nothing(_: str) -> None:
    return None


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
    hosts: Cache[Resolved] | None = None
    want_host: Callable[[str], None] = _want_nothing
    """Has a host name looked up."""
    faults: Callable[[], Sequence[Rejection]] = tuple
    """What is wrong with the place itself, as a file that cannot be read."""

    def published(self) -> Iterator[tuple[str, Cache[Any]]]:
        """Yield the kinds of resource that are published, and their objects."""
        if self.ingresses is not None:
            yield "ingress", self.ingresses
        if self.services is not None:
            yield "service", self.services
        if self.nodes is not None and self.publishes_nodes:
            yield "node", self.nodes
        if self.dns_endpoints is not None:
            yield "crd", self.dns_endpoints
        yield from self.routes.items()

    def looked_up(self) -> Iterator[tuple[Kind, Cache[Any]]]:
        """Yield the kinds of object that others depend on."""
        kinds: tuple[tuple[Kind, Cache[Any] | None], ...] = (
            ("node", self.nodes),
            ("endpointslice", self.slices),
            ("pod", self.pods),
            ("gateway", self.gateways),
            ("namespace", self.namespaces),
            ("host", self.hosts),
        )
        yield from ((kind, cache) for kind, cache in kinds if cache is not None)
