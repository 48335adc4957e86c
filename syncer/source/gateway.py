"""Gateways and their routes, read out of raw JSON. Pure and total."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from syncer.endpoint import Rejection
from syncer.source.reader import Names, Object, Reader

GROUP = "gateway.networking.k8s.io"

RouteKind = Literal["HTTPRoute", "GRPCRoute", "TLSRoute"]


class Parent(NamedTuple):
    """A reference of a route to what it is attached to."""

    group: str
    kind: str
    namespace: str
    name: str
    section: str
    """A listener's name; empty: all."""
    port: int
    """0: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Object):
    kind: RouteKind
    hostnames: tuple[str, ...] = ()
    parents: frozenset[Parent] = frozenset()
    """Those it asks for."""
    accepted: tuple[Parent, ...] = ()
    """Those that say in its status that they took it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    name: str
    port: int
    protocol: str
    hostname: str
    from_: str
    """Namespaces of the routes allowed: `Same`, `All` or `Selector`."""
    selector: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[tuple[str, str], ...] = ()
    """Group and kind of the routes allowed; none: those that fit the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway(Object):
    listeners: tuple[Listener, ...] = ()
    addresses: tuple[str, ...] = ()


def read_route(kind: RouteKind, raw: object, names: Names | None = None) -> Route | Rejection:
    """Return the route of a raw object, or why it is none."""
    reader = Reader(kind.lower(), raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    namespace = reader.ref.namespace
    spec, status = reader.mapping(reader.raw, "spec"), reader.mapping(reader.raw, "status")
    accepted = []
    for entry in reader.items(status, "parents", dict):
        conditions = reader.items(entry, "conditions", dict)
        if any(c.get("type") == "Accepted" and c.get("status") == "True" for c in conditions):
            accepted.append(_parent(reader, reader.mapping(entry, "parentRef"), namespace))
    return Route(
        kind=kind,
        hostnames=tuple(reader.items(spec, "hostnames", str)),
        parents=frozenset(_parent(reader, ref, namespace) for ref in reader.items(spec, "parentRefs", dict)),
        accepted=tuple(accepted),
        **reader.common(names, kind),
    )


def read_http_route(raw: object, names: Names | None = None) -> Route | Rejection:
    """Return the HTTPRoute of a raw object, or why it is none."""
    return read_route("HTTPRoute", raw, names)


def read_grpc_route(raw: object, names: Names | None = None) -> Route | Rejection:
    """Return the GRPCRoute of a raw object, or why it is none."""
    return read_route("GRPCRoute", raw, names)


def read_tls_route(raw: object, names: Names | None = None) -> Route | Rejection:
    """Return the TLSRoute of a raw object, or why it is none."""
    return read_route("TLSRoute", raw, names)


def _parent(reader: Reader, ref: Mapping[str, Any], namespace: str) -> Parent:
    group = ref.get("group")
    return Parent(
        GROUP if group is None else reader.text(ref, "group"),
        reader.text(ref, "kind") or "Gateway",
        reader.text(ref, "namespace") or namespace,
        reader.text(ref, "name"),
        reader.text(ref, "sectionName"),
        reader.number(ref, "port"),
    )


def read_gateway(raw: object) -> Gateway | Rejection:
    """Return the Gateway of a raw object, or why it is none."""
    reader = Reader("gateway", raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    spec, status = reader.mapping(reader.raw, "spec"), reader.mapping(reader.raw, "status")
    listeners = tuple(_listener(reader, item) for item in reader.items(spec, "listeners", dict))
    texts = [reader.text(entry, "value") for entry in reader.items(status, "addresses", dict)]
    return Gateway(listeners=listeners, addresses=tuple(text for text in texts if text), **reader.common())


def _listener(reader: Reader, item: Mapping[str, Any]) -> Listener:
    allowed = reader.mapping(item, "allowedRoutes")
    namespaces = reader.mapping(allowed, "namespaces")
    return Listener(
        name=reader.text(item, "name"),
        port=reader.number(item, "port"),
        protocol=reader.text(item, "protocol"),
        hostname=reader.text(item, "hostname"),
        from_=reader.text(namespaces, "from") or "Same",
        selector=reader.mapping(namespaces, "selector"),
        kinds=tuple(
            (GROUP if entry.get("group") is None else reader.text(entry, "group"), reader.text(entry, "kind"))
            for entry in reader.items(allowed, "kinds", dict)
        ),
    )


def read_namespace(raw: object) -> Object | Rejection:
    """Return what is needed of a Namespace: its labels."""
    reader = Reader("namespace", raw, namespaced=False)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    common = reader.common()
    common["annotations"] = {}
    return Object(**common)


def fits_selector(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether labels fit a label selector object; one that cannot be read fits nothing."""
    wanted, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not isinstance(wanted, dict) or not isinstance(expressions, list):
        return False
    return all(labels.get(str(key)) == value for key, value in wanted.items()) and all(
        _fits_expression(expression, labels) for expression in expressions
    )


def _fits_expression(expression: object, labels: Mapping[str, str]) -> bool:
    if not isinstance(expression, dict):
        return False
    key, values = str(expression.get("key")), expression.get("values") or []
    if not isinstance(values, list):
        return False
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
