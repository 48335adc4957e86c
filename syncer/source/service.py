"""Services → endpoints. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from syncer.endpoint import Endpoint, Rejection, Target, address, host_name
from syncer.source.annotations import Wishes, read_wishes
from syncer.source.around import Around
from syncer.source.derived import Derived, derived, endpoints_for, names_of, usable_targets
from syncer.source.filters import Options, exclusion
from syncer.source.headless import Member, members_of
from syncer.source.node_port import addresses_of, nodes_of
from syncer.source.objects import Service

TYPES: Final = frozenset({"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"})


def endpoints_of_services(
    services: Iterable[Service | Rejection], around: Around, options: Options
) -> Derived:
    """Return what Services ask for.

    Addresses of one name are united over all Services; the first Service gives the TTL. While objects
    that a Service's addresses depend on are not known, its names are pending and it is unsettled.
    """
    source = _Services(around, options)
    parts = [part for service in services for part in source.endpoints_of(service)]
    return derived(parts, across_ttls=True, pending=source.pending, unsettled=source.unsettled)


def exclusion_of_service(service: Service, options: Options) -> str:
    """Return which filter leaves a Service out; empty: none."""
    if why := exclusion(service, options):
        return why
    if options.service_types and service.type not in options.service_types:
        return f"its type {service.type} is none of --service-type-filter"
    return ""


class _Services:
    def __init__(self, around: Around, options: Options) -> None:
        self._around, self._options = around, options
        self.pending: set[str] = set()
        self.unsettled: set[str] = set()

    def endpoints_of(self, service: Service | Rejection) -> Iterator[Endpoint | Rejection]:
        if isinstance(service, Rejection):
            yield service
            return
        options = self._options
        if exclusion_of_service(service, options):
            return
        wishes = read_wishes(service.annotations, service.ref, options.annotation_prefixes)
        annotated = () if options.ignore_hostname_annotation else wishes.hostnames
        hostnames = names_of(service, (*annotated, *wishes.internal_hostnames), annotated, options)
        if wishes.is_ignored:
            return
        is_wanted = bool(hostnames or wishes.internal_hostnames or wishes.faults)
        # Most Services ask for nothing, and what is odd about them is no news.
        yield from (fault for fault in service.faults if is_wanted or fault.reason == "template")
        yield from wishes.faults
        for names, is_internal in ((hostnames, False), (wishes.internal_hostnames, True)):
            if names:
                yield from self._endpoints(names, is_internal, service, wishes)

    def _endpoints(
        self, names: Sequence[str], is_internal: bool, service: Service, wishes: Wishes
    ) -> Iterator[Endpoint | Rejection]:
        if wishes.targets is not None:
            yield from endpoints_for(names, wishes.targets, wishes, service.ref)
        elif service.type == "NodePort":
            yield from self._node_port(names, service, wishes)
        elif service.is_headless:
            yield from self._headless(names, service, wishes)
        else:
            found = self._looked_up(self._addresses(service, is_internal), service)
            if found is None:
                self.pending.update(names)
                return
            targets, faults = usable_targets(found, service.ref, "address")
            yield from faults
            yield from endpoints_for(names, targets, wishes, service.ref)

    def _looked_up(self, texts: Iterable[str], service: Service) -> list[str] | None:
        """Return addresses in place of a LoadBalancer's host names, where asked for; None: not known yet."""
        if service.type != "LoadBalancer" or not self._options.resolve_service_load_balancer_hostname:
            return list(texts)
        # All are asked for before the first that is missing ends it.
        found = [(text,) if address(text) else self._around.addresses_of(text) for text in texts]
        known = [addresses for addresses in found if addresses is not None]
        return [text for addresses in known for text in addresses] if len(known) == len(found) else None

    def _addresses(self, service: Service, is_internal: bool) -> Iterable[str]:
        cluster_ip = (service.cluster_ip,) if service.cluster_ip else ()
        match service.type:
            case "LoadBalancer":
                return cluster_ip if is_internal else service.external_ips or service.addresses
            case "ClusterIP":
                return cluster_ip if is_internal or self._options.publish_internal_services else ()
            case "ExternalName":
                return service.external_ips or filter(None, (service.external_name,))
            case _:
                return ()

    def _node_port(
        self, names: Sequence[str], service: Service, wishes: Wishes
    ) -> Iterator[Endpoint | Rejection]:
        nodes = nodes_of(service, self._around, self._options)
        if nodes is None:
            self.pending.update(names)
            protocols = {protocol for protocol, _ in service.node_ports}
            self.pending.update(_srv_name(service, each, name) for each in protocols for name in names)
            return
        targets: Sequence[Target]
        targets, faults = usable_targets(
            addresses_of(nodes, wishes.access, self._options), service.ref, "address"
        )
        yield from faults
        yield from endpoints_for(names, targets, wishes, service.ref)
        by_protocol: dict[str, list[int]] = {}
        for protocol, number in service.node_ports:
            by_protocol.setdefault(protocol, []).append(number)
        for name in names if targets else ():
            for protocol, numbers in by_protocol.items():
                yield self._srv(name, protocol, numbers, service, wishes)

    def _srv(
        self, name: str, protocol: str, numbers: Iterable[int], service: Service, wishes: Wishes
    ) -> Endpoint | Rejection:
        try:
            owner = host_name(_srv_name(service, protocol, name))
        except ValueError as error:
            return Rejection(str(service.ref), "hostname", f"SRV: {error}")
        return Endpoint(
            name=owner,
            type="SRV",
            targets=tuple(sorted({f"0 50 {number} {name}" for number in numbers})),
            ttl=wishes.ttl,
            group=wishes.group,
            resource=service.ref,
        )

    def _headless(
        self, names: Sequence[str], service: Service, wishes: Wishes
    ) -> Iterator[Endpoint | Rejection]:
        members = members_of(service, wishes, self._around, self._options)
        if members is None:
            self.pending.update(names)
            # The names of its Pods cannot be told.
            self.unsettled.add(str(service.ref))
            return
        for name in names:
            yield from self._of_members(name, members, service, wishes)

    def _of_members(
        self, name: str, members: Sequence[Member], service: Service, wishes: Wishes
    ) -> Iterator[Endpoint | Rejection]:
        by_name: dict[str, list[str]] = {name: []}
        for member in members:
            by_name[name] += member.addresses
            if member.hostname:
                by_name.setdefault(f"{member.hostname}.{name}", []).extend(member.addresses)
        for text, addresses in by_name.items():
            targets, faults = usable_targets(addresses, service.ref, "address")
            yield from faults
            try:
                owner = host_name(text)
            except ValueError as error:
                yield Rejection(str(service.ref), "hostname", f"Pod's hostname: {error}")
            else:
                yield from endpoints_for((owner,), targets, wishes, service.ref)


def _srv_name(service: Service, protocol: str, name: str) -> str:
    return f"_{service.ref.name}._{protocol}.{name}"
