"""The parts of Kubernetes objects that records are made of, read out of raw JSON. Pure and total.

Only these parts are kept, so that a cache of ten thousand objects stays small.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from syncer.endpoint import ObjectRef, Rejection

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
"""RFC 1123 subdomain. It also keeps commas and quotes out of ownership texts, which carry the name."""

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    ref: ObjectRef
    annotations: Mapping[str, str]
    class_name: str = ""
    rule_hosts: tuple[str, ...] = ()
    tls_hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Of status.loadBalancer: addresses and host names as they stand there."""
    faults: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    ref: ObjectRef
    annotations: Mapping[str, str]
    type: str = "ClusterIP"
    cluster_ip: str = ""
    """Empty for a headless Service."""
    external_ips: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Of status.loadBalancer: addresses and host names as they stand there."""
    is_local: bool = False
    """externalTrafficPolicy: Local."""
    faults: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    ref: ObjectRef
    external: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    is_cordoned: bool = False
    faults: tuple[Rejection, ...] = ()


def read_ingress(raw: object) -> Ingress | Rejection:
    """Return the Ingress of a raw object, or why it is none."""
    reader = _Reader("ingress", raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    spec, status = reader.mapping(reader.raw, "spec"), reader.mapping(reader.raw, "status")
    rules = reader.items(spec, "rules", dict)
    tls = reader.items(spec, "tls", dict)
    return Ingress(
        ref=reader.ref,
        annotations=reader.annotations(),
        class_name=reader.text(spec, "ingressClassName"),
        rule_hosts=tuple(host for rule in rules if (host := reader.text(rule, "host"))),
        tls_hosts=tuple(host for block in tls for host in reader.items(block, "hosts", str)),
        addresses=reader.load_balancer(status),
        faults=tuple(reader.faults),
    )


def read_service(raw: object) -> Service | Rejection:
    """Return the Service of a raw object, or why it is none."""
    reader = _Reader("service", raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    spec, status = reader.mapping(reader.raw, "spec"), reader.mapping(reader.raw, "status")
    cluster_ip = reader.text(spec, "clusterIP")
    return Service(
        ref=reader.ref,
        annotations=reader.annotations(),
        type=reader.text(spec, "type") or "ClusterIP",
        cluster_ip="" if cluster_ip == "None" else cluster_ip,
        external_ips=tuple(reader.items(spec, "externalIPs", str)),
        addresses=reader.load_balancer(status),
        is_local=reader.text(spec, "externalTrafficPolicy") == "Local",
        faults=tuple(reader.faults),
    )


def read_node(raw: object) -> Node | Rejection:
    """Return the Node of a raw object, or why it is none."""
    reader = _Reader("node", raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    by_type: dict[str, list[str]] = {"ExternalIP": [], "InternalIP": []}
    for entry in reader.items(reader.mapping(reader.raw, "status"), "addresses", dict):
        by_type.get(reader.text(entry, "type"), []).append(reader.text(entry, "address"))
    return Node(
        ref=reader.ref,
        external=tuple(by_type["ExternalIP"]),
        internal=tuple(by_type["InternalIP"]),
        is_cordoned=reader.mapping(reader.raw, "spec").get("unschedulable") is True,
        faults=tuple(reader.faults),
    )


class _Reader:
    """Reads fields of one raw object; a field of the wrong type reads as absent and is a fault."""

    def __init__(self, kind: str, raw: object) -> None:
        self.raw: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
        self.faults: list[Rejection] = []
        metadata = self.raw.get("metadata")
        self._metadata: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
        self.ref = self._read_ref(kind)

    def _read_ref(self, kind: str) -> ObjectRef | Rejection:
        name, namespace = self._metadata.get("name"), self._metadata.get("namespace") or ""
        if kind != "node":
            namespace = namespace or "default"
        for text in (name, namespace or "default"):
            if not isinstance(text, str) or not _NAME.fullmatch(text):
                return Rejection(
                    kind, "shape", f"an object named {str(text)[:80]!r}, which is no object name"
                )
        return ObjectRef(kind, namespace, str(name))

    def _fault(self, field: str, expected: str, found: object) -> None:
        detail = f"{field}: expected {expected}, got {type(found).__name__}"
        self.faults.append(Rejection(str(self.ref), "shape", detail))

    def mapping(self, parent: Mapping[str, Any], field: str) -> Mapping[str, Any]:
        value = parent.get(field)
        if value is not None and not isinstance(value, dict):
            self._fault(field, "an object", value)
        return value if isinstance(value, dict) else {}

    def text(self, parent: Mapping[str, Any], field: str) -> str:
        value = parent.get(field)
        if value is not None and not isinstance(value, str):
            self._fault(field, "a string", value)
        return value if isinstance(value, str) else ""

    def items(self, parent: Mapping[str, Any], field: str, of: type) -> list[Any]:
        value = parent.get(field)
        if value is not None and not isinstance(value, list):
            self._fault(field, "a list", value)
            return []
        found = []
        for item in value or ():
            if isinstance(item, of):
                found.append(item)
            else:
                self._fault(f"{field}[]", "an object" if of is dict else "a string", item)
        return found

    def annotations(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for key, value in self.mapping(self._metadata, "annotations").items():
            if not isinstance(key, str) or not isinstance(value, str):
                self._fault(f"annotation {key}", "a string (write it in quotes)", value)
            elif key != _LAST_APPLIED:  # the whole object once more
                found[key] = value
        return found

    def load_balancer(self, status: Mapping[str, Any]) -> tuple[str, ...]:
        entries = self.items(self.mapping(status, "loadBalancer"), "ingress", dict)
        texts = (self.text(entry, field) for entry in entries for field in ("ip", "hostname"))
        return tuple(text for text in texts if text)
