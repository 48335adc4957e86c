"""What flags make of all endpoints together: targets, TTLs and reverse records. Pure."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncer.endpoint import Endpoint, RecordType, Target, target_order
from syncer.source.derived import merge

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MANAGED: frozenset[str] = frozenset({"A", "AAAA", "CNAME"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The flags, each named as its flag is."""

    default_targets: tuple[Target, ...] = ()
    force_default_targets: bool = False
    nat64_networks: tuple[Network, ...] = ()
    """Each of IPv6 and 96 bits (RFC 6052 §2.2): an address within has an IPv4 address in its last 32."""
    target_net_filter: tuple[Network, ...] = ()
    exclude_target_net: tuple[Network, ...] = ()
    default_ttl: int = 0
    """Seconds, for what sets none; 0: the zone's."""
    create_ptr: bool = False
    managed_types: frozenset[str] = field(default=MANAGED)


def shaped(endpoints: Sequence[Endpoint], shape: Shape) -> tuple[Endpoint, ...]:
    """Return the endpoints of one name with the targets they are to have."""
    parts: Iterable[Endpoint] = endpoints
    if shape.force_default_targets and shape.default_targets:
        parts = merge(_with_defaults(parts, shape.default_targets), across_ttls=True)
    if shape.nat64_networks:
        parts = tuple(parts)
        parts = merge((*parts, *_translated(parts, shape.nat64_networks)), across_ttls=True)
    if shape.target_net_filter or shape.exclude_target_net:
        parts = _within_nets(parts, shape)
    return tuple(parts)


def finished(endpoints: Iterable[Endpoint], shape: Shape) -> tuple[Endpoint, ...]:
    """Return those of shaped endpoints that are to be published, with their TTLs."""
    managed = (endpoint for endpoint in endpoints if endpoint.type in shape.managed_types)
    return tuple(replace(e, ttl=shape.default_ttl) if shape.default_ttl and not e.ttl else e for e in managed)


def addresses_to_reverse(endpoints: Iterable[Endpoint], shape: Shape) -> Mapping[str, Endpoint]:
    """Return the reverse names that the shaped endpoints of one name want a PTR at, and who wants it."""
    if "PTR" not in shape.managed_types:
        return {}
    return {
        ipaddress.ip_address(text).reverse_pointer: endpoint
        for endpoint in endpoints
        if endpoint.type in ("A", "AAAA") and not endpoint.name.startswith("*.")
        if shape.create_ptr or endpoint.wants_ptr
        for text in endpoint.targets
    }


def reverse(name: str, endpoints: Sequence[Endpoint]) -> Endpoint:
    """Return the PTR at a reverse name: to all names that share the address, with their lowest TTL."""
    return Endpoint(
        name=name,
        type="PTR",
        targets=tuple(sorted({endpoint.name for endpoint in endpoints})),
        ttl=min((endpoint.ttl for endpoint in endpoints if endpoint.ttl), default=0),
        resource=min((endpoint.resource for endpoint in endpoints), key=lambda ref: ref.seniority),
    )


def with_default_targets(endpoint: Endpoint, targets: Iterable[Target]) -> Iterator[Endpoint]:
    """Yield an endpoint with these targets in place of its own, one for each type."""
    by_type: dict[RecordType, list[str]] = {}
    for target in targets:
        by_type.setdefault(target.type, []).append(target.text)
    for type_, texts in by_type.items():
        for group in [(text,) for text in texts] if type_ == "CNAME" else [tuple(texts)]:
            yield replace(endpoint, type=type_, targets=tuple(sorted(group, key=target_order)))


def _with_defaults(endpoints: Iterable[Endpoint], targets: tuple[Target, ...]) -> Iterator[Endpoint]:
    for endpoint in endpoints:
        if endpoint.type in ("A", "AAAA", "CNAME"):
            yield from with_default_targets(endpoint, targets)
        else:
            yield endpoint


def _translated(endpoints: Iterable[Endpoint], networks: Sequence[Network]) -> Iterator[Endpoint]:
    """Yield the A records of what AAAA records reach through a translator."""
    for endpoint in endpoints:
        if endpoint.type != "AAAA":
            continue
        addresses = (ipaddress.IPv6Address(text) for text in endpoint.targets)
        within = (a for a in addresses if any(a in network for network in networks))
        if texts := sorted({str(ipaddress.IPv4Address(a.packed[-4:])) for a in within}, key=target_order):
            yield replace(endpoint, type="A", targets=tuple(texts))


def _within_nets(endpoints: Iterable[Endpoint], shape: Shape) -> Iterator[Endpoint]:
    for endpoint in endpoints:
        if targets := tuple(text for text in endpoint.targets if _is_within(text, shape)):
            yield replace(endpoint, targets=targets)


def _is_within(text: str, shape: Shape) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return not shape.target_net_filter
    return (
        not shape.target_net_filter or any(address in net for net in shape.target_net_filter)
    ) and not any(address in net for net in shape.exclude_target_net)
