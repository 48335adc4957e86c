"""The places that objects come from: which kinds are read there, and who waits for whom."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from syncer.kube.client import Client
from syncer.kube.informer import Informer, OnDemand, Union
from syncer.kube.manifests import ManifestCache, Manifests
from syncer.kube.reflector import Reflector
from syncer.kube.resource import ApiResource
from syncer.resolver import Resolver
from syncer.source.crd import read_dns_endpoint
from syncer.source.filters import Options
from syncer.source.gateway import (
    read_gateway,
    read_grpc_route,
    read_http_route,
    read_namespace,
    read_tls_route,
)
from syncer.source.objects import read_ingress, read_node, read_pod, read_service, read_slice
from syncer.source.reader import Names
from syncer.world import ROUTES, Cache, World

_GATEWAY: Final = "gateway.networking.k8s.io"

_VERSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "httproutes": ("v1", "v1beta1"),
    "grpcroutes": ("v1", "v1alpha2"),
    "tlsroutes": ("v1", "v1alpha3", "v1alpha2"),
    "gateways": ("v1", "v1beta1"),
}
"""Newest first: the first that a server has is read."""

_ROUTE_READS: Final = {"httproute": read_http_route, "grpcroute": read_grpc_route, "tlsroute": read_tls_route}


def api_kinds(crd: tuple[str, str, str]) -> Mapping[str, tuple[str, str]]:
    """Return apiVersion and kind by kind of resource; `crd` is group, version and kind of DNSEndpoints."""
    return {
        "ingress": ("networking.k8s.io/v1", "Ingress"),
        "service": ("v1", "Service"),
        "node": ("v1", "Node"),
        "crd": (f"{crd[0]}/{crd[1]}", crd[2]),
        **{resource: (f"{_GATEWAY}/v1", title) for resource, title in ROUTES.items()},
    }


class Wanted(Protocol):
    """What of the configuration says what to read."""

    @property
    def sources(self) -> frozenset[str]: ...
    @property
    def manifest_sources(self) -> frozenset[str]: ...
    @property
    def options(self) -> Options: ...
    @property
    def names(self) -> Names | None: ...
    @property
    def crd(self) -> tuple[str, str, str]: ...


class Worlds:
    """All places; `watches` are to be run for as long as the process lives."""

    def __init__(self, wanted: Wanted, notify: Callable[[], None]) -> None:
        self._wanted, self._notify = wanted, notify
        self.all: list[World] = []
        self.watches: list[Callable[[], Awaitable[None]]] = []
        self.reflectors: list[Reflector] = []
        self._seen_until = 0.0

    def seen_time(self) -> float:
        """Return seconds of a clock that stands still while any kind of object cannot be watched."""
        outage = sum(reflector.outage for reflector in self.reflectors)
        self._seen_until = max(self._seen_until, time.monotonic() - outage)
        return self._seen_until

    def _hosts(self) -> dict[str, Any]:
        """Return the fields of a world about host names that are looked up."""
        if not self._wanted.options.resolve_service_load_balancer_hostname:
            return {}
        resolver = Resolver(self._notify)
        self.watches.append(resolver.run)
        return {"hosts": resolver, "want_host": resolver.want}

    def _reads(self) -> Mapping[tuple[str, str], Callable[[object], Any]]:
        """Return how each kind of object is read from manifests."""
        names, (group, version, kind) = self._wanted.names, self._wanted.crd
        reads: dict[tuple[str, str], Callable[[object], Any]] = {
            ("networking.k8s.io/v1", "Ingress"): partial(read_ingress, names=names),
            ("v1", "Service"): partial(read_service, names=names),
            ("v1", "Node"): partial(read_node, names=names),
            ("v1", "Pod"): read_pod,
            ("v1", "Namespace"): read_namespace,
            ("discovery.k8s.io/v1", "EndpointSlice"): read_slice,
            ("discovery.k8s.io/v1beta1", "EndpointSlice"): read_slice,
            (f"{group}/{version}", kind): read_dns_endpoint,
        }
        for each in _VERSIONS["gateways"]:
            reads[f"{_GATEWAY}/{each}", "Gateway"] = read_gateway
        for resource, title in ROUTES.items():
            for each in _VERSIONS[f"{resource}s"]:
                reads[f"{_GATEWAY}/{each}", title] = partial(_ROUTE_READS[resource], names=names)
        return reads

    async def open_manifests(self, directory: Path) -> None:
        """Read a directory, and watch it from then on."""
        wanted, crd_kind = self._wanted.manifest_sources, self._wanted.crd[2]
        manifests = Manifests(directory, self._reads(), self._notify)

        def cache(kind: str, source: str = "") -> ManifestCache[Any] | None:
            return ManifestCache(manifests, kind) if not source or source in wanted else None

        self.all.append(
            World(
                ingresses=cache("Ingress", "ingress"),
                services=cache("Service", "service"),
                nodes=cache("Node"),
                publishes_nodes="node" in wanted,
                slices=cache("EndpointSlice"),
                pods=cache("Pod"),
                dns_endpoints=cache(crd_kind, "crd"),
                routes={
                    kind: found
                    for kind, title in ROUTES.items()
                    if (found := cache(title, f"gateway-{kind}")) is not None
                },
                gateways=cache("Gateway"),
                namespaces=cache("Namespace"),
                faults=lambda: manifests.rejections,
                **self._hosts(),
            )
        )
        await manifests.look()
        self.watches.append(manifests.run)

    def open_api(self, client: Client) -> None:
        """Watch what the sources need of an API server; nothing is sent before the watches run."""
        sources, names = self._wanted.sources, self._wanted.names
        ingresses = services = slices = pods = dns_endpoints = gateways = namespaces = None
        if "ingress" in sources:
            ingresses = self._cache(client.ingresses, partial(read_ingress, names=names))
        if "service" in sources:
            services = self._cache(client.services, partial(read_service, names=names))
            slices = self._cache(client.slices, read_slice, on_demand=True)
            pods = self._cache(client.pods, read_pod, on_demand=True)
        routes = {
            kind: self._extension(client, _GATEWAY, f"{kind}s", partial(read, names=names))
            for kind, read in _ROUTE_READS.items()
            if f"gateway-{kind}" in sources
        }
        if routes:
            # All namespaces: a route may be attached to a Gateway in another one.
            api = client.extension("", _GATEWAY, "gateways", _VERSIONS["gateways"])
            gateways = self._cache_of_all(api, read_gateway, may_be_absent=True)
            namespaces = self._cache_of_all(client.namespaces(), read_namespace, on_demand=True)
        if "crd" in sources:
            group, version, kind = self._wanted.crd
            dns_endpoints = self._extension(client, group, f"{kind.lower()}s", read_dns_endpoint, (version,))
        self.all.append(
            World(
                ingresses=ingresses,
                services=services,
                nodes=self._nodes(client),
                publishes_nodes="node" in sources,
                slices=slices,
                pods=pods,
                dns_endpoints=dns_endpoints,
                routes=routes,
                gateways=gateways,
                namespaces=namespaces,
                **self._hosts(),
            )
        )

    def _nodes(self, client: Client) -> Cache[Any] | None:
        """Return a cache of nodes: for NodePort Services at once, for headless ones when one needs them."""
        sources, types = self._wanted.sources, self._wanted.options.service_types
        if not {"node", "service"} & sources:
            return None
        is_sure = "node" in sources or not types or "NodePort" in types
        read = partial(read_node, names=self._wanted.names)
        return self._cache_of_all(client.nodes(), read, on_demand=not is_sure)

    def _extension(
        self,
        client: Client,
        group: str,
        plural: str,
        read: Callable[[object], Any],
        versions: tuple[str, ...] = (),
    ) -> Cache[Any]:
        versions = versions or _VERSIONS[plural]
        return self._cache(
            lambda namespace: client.extension(namespace, group, plural, versions), read, may_be_absent=True
        )

    def _cache(
        self,
        api: Callable[[str], ApiResource],
        read: Callable[[object], Any],
        *,
        on_demand: bool = False,
        may_be_absent: bool = False,
    ) -> Cache[Any]:
        """Return a cache of the objects in the namespaces asked for."""
        namespaces = sorted(self._wanted.options.namespaces) or [""]
        parts = [
            self._cache_of_all(api(namespace), read, on_demand=on_demand, may_be_absent=may_be_absent)
            for namespace in namespaces
        ]
        return parts[0] if len(parts) == 1 else Union(parts)

    def _cache_of_all(
        self,
        api: ApiResource,
        read: Callable[[object], Any],
        *,
        on_demand: bool = False,
        may_be_absent: bool = False,
    ) -> Cache[Any]:
        informer: Informer[Any] = Informer(read, self._notify)
        reflector = Reflector(api, informer)
        self.reflectors.append(reflector)
        if may_be_absent:
            informer.is_absent = lambda: reflector.is_absent
        if not on_demand:
            self.watches.append(reflector.run)
            return informer
        wanted = asyncio.Event()
        self.watches.append(partial(_run_when, wanted, reflector))
        return OnDemand(informer, wanted.set)


async def _run_when(wanted: asyncio.Event, reflector: Reflector) -> None:
    await wanted.wait()
    await reflector.run()
