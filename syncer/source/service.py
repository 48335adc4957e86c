"""Services → endpoints. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from syncer.endpoint import Endpoint, Rejection, Target
from syncer.source.annotations import Access, Wishes, read_wishes
from syncer.source.derived import Derived, derived, endpoints_for, usable_targets
from syncer.source.filters import Options
from syncer.source.objects import Node, Service

TYPES: Final = frozenset({"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"})


def endpoints_of_services(
    services: Iterable[Service | Rejection], nodes: Sequence[Node | Rejection] | None, options: Options
) -> Derived:
    """Return what Services ask for by annotation.

    Addresses of one name are united over all Services; the first Service gives the TTL. While the nodes
    are not known (None), the names of NodePort Services are pending.
    """
    source = _Services(nodes, options)
    parts = [part for service in services for part in source.endpoints_of(service)]
    return derived(parts, across_ttls=True, pending=source.pending)


class _Services:
    def __init__(self, nodes: Sequence[Node | Rejection] | None, options: Options) -> None:
        self._options = options
        self._nodes = None if nodes is None else [n for n in nodes if isinstance(n, Node)]
        self.pending: set[str] = set()

    def endpoints_of(self, service: Service | Rejection) -> Iterator[Endpoint | Rejection]:
        if isinstance(service, Rejection):
            yield service
            return
        options = self._options
        if options.namespace and service.ref.namespace != options.namespace:
            return
        if options.service_types and service.type not in options.service_types:
            return
        wishes = read_wishes(service.annotations, service.ref, options.annotation_prefixes)
        hostnames = () if options.ignore_hostname_annotation else wishes.hostnames
        if wishes.is_ignored or not (wishes.faults or hostnames or wishes.internal_hostnames):
            return
        yield from service.faults
        yield from wishes.faults
        for names, is_internal in ((hostnames, False), (wishes.internal_hostnames, True)):
            if names:
                yield from self._endpoints(names, is_internal, service, wishes)

    def _endpoints(
        self, names: Sequence[str], is_internal: bool, service: Service, wishes: Wishes
    ) -> Iterator[Endpoint | Rejection]:
        targets: Sequence[Target]
        if wishes.targets is not None:
            targets = wishes.targets
        elif service.type == "NodePort" and self._nodes is None:
            self.pending.update(names)
            return
        elif service.type == "NodePort" and service.is_local:
            yield Rejection(
                str(service.ref),
                "unsupported",
                "externalTrafficPolicy: Local depends on Pods, which are not read; annotate the target",
            )
            return
        else:
            targets, faults = usable_targets(
                self._addresses(service, is_internal, wishes), service.ref, "address"
            )
            yield from faults
        yield from endpoints_for(names, targets, wishes, service.ref)

    def _addresses(self, service: Service, is_internal: bool, wishes: Wishes) -> Iterable[str]:
        cluster_ip = (service.cluster_ip,) if service.cluster_ip else ()
        match service.type:
            case "LoadBalancer":
                return cluster_ip if is_internal else service.external_ips or service.addresses
            case "ClusterIP":
                return cluster_ip if is_internal or self._options.publish_internal_services else ()
            case "NodePort":
                return self._node_addresses(wishes.access)
            case _:
                return ()

    def _node_addresses(self, access: Access) -> list[str]:
        nodes = [node for node in self._nodes or () if not node.is_cordoned]
        external = [text for node in nodes for text in node.external]
        internal = [text for node in nodes for text in node.internal]
        match access:
            case "public":
                return external
            case "private":
                return internal
            case _:
                return external or internal
