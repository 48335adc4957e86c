"""What flags make of all endpoints together: targets, TTLs and reverse records. Pure."""

import ipaddress
from collections.abc import Iterable, Iterator
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
    target_net_filter: tuple[Network, ...] = ()
    exclude_target_net: tuple[Network, ...] = ()
    default_ttl: int = 0
    """Seconds, for what sets none; 0: the zone's."""
    create_ptr: bool = False
    managed_types: frozenset[str] = field(default=MANAGED)


def shaped(endpoints: Iterable[Endpoint], shape: Shape) -> tuple[Endpoint, ...]:
    """Return the endpoints as they are to be published."""
    parts: Iterable[Endpoint] = endpoints
    if shape.force_default_targets and shape.default_targets:
        parts = merge(_with_defaults(parts, shape.default_targets), across_ttls=True)
    if shape.target_net_filter or shape.exclude_target_net:
        parts = _within_nets(parts, shape)
    parts = tuple(parts)
    if "PTR" in shape.managed_types:
        parts = (*parts, *_reverse(e for e in parts if shape.create_ptr or e.wants_ptr))
    if shape.default_ttl:
        parts = (replace(e, ttl=shape.default_ttl) if not e.ttl else e for e in parts)
    return tuple(endpoint for endpoint in parts if endpoint.type in shape.managed_types)


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


def _reverse(endpoints: Iterable[Endpoint]) -> Iterator[Endpoint]:
    """Yield a PTR for each address: all names that share it, with their lowest TTL."""
    by_address: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        if endpoint.type in ("A", "AAAA") and not endpoint.name.startswith("*."):
            for text in endpoint.targets:
                by_address.setdefault(text, []).append(endpoint)
    for text, found in by_address.items():
        yield Endpoint(
            name=ipaddress.ip_address(text).reverse_pointer,
            type="PTR",
            targets=tuple(sorted({endpoint.name for endpoint in found})),
            ttl=min((endpoint.ttl for endpoint in found if endpoint.ttl), default=0),
            resource=min(endpoint.resource for endpoint in found),
        )
