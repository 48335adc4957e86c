"""The parts of Kubernetes objects that records are made of, read out of raw JSON. Pure and total.

Only these parts are kept, so that a cache of ten thousand objects stays small.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from syncer.endpoint import ObjectRef, Rejection
from syncer.source.reader import Names, Object, Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress(Object):
    class_name: str = ""
    rule_hosts: tuple[str, ...] = ()
    tls_hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Of status.loadBalancer: addresses and host names as they stand there."""


class NodePort(NamedTuple):
    protocol: str
    """Lower case."""
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Object):
    type: str = "ClusterIP"
    cluster_ip: str = ""
    """Empty for a headless Service."""
    is_headless: bool = False
    external_name: str = ""
    external_ips: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Of status.loadBalancer: addresses and host names as they stand there."""
    is_local: bool = False
    """externalTrafficPolicy: Local."""
    selector: Mapping[str, str] = field(default_factory=dict)
    node_ports: tuple[NodePort, ...] = ()
    publishes_not_ready: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Object):
    external: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    is_cordoned: bool = False


class Resolved(NamedTuple):
    """A host name, looked up."""

    host: str
    addresses: tuple[str, ...]
    """None: it has none, or nobody knows."""


class SliceEndpoint(NamedTuple):
    address: str
    is_ready: bool
    pod: tuple[str, str]
    """Namespace and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """An EndpointSlice."""

    ref: ObjectRef
    service: str
    """The Service's name, in the slice's own namespace."""
    endpoints: tuple[SliceEndpoint, ...] = ()
    """Those with a Pod."""
    faults: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod(Object):
    hostname: str = ""
    node: str = ""
    host_ip: str = ""
    is_running: bool = False
    is_ready: bool = False
    is_terminating: bool = False


def read_ingress(raw: object, names: Names | None = None) -> Ingress | Rejection:
    """Return the Ingress of a raw object, or why it is none."""
    reader = Reader("ingress", raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    spec, status = reader.mapping(reader.raw, "spec"), reader.mapping(reader.raw, "status")
    rules = reader.items(spec, "rules", dict)
    tls = reader.items(spec, "tls", dict)
    return Ingress(
        class_name=reader.text(spec, "ingressClassName"),
        rule_hosts=tuple(host for rule in rules if (host := reader.text(rule, "host"))),
        tls_hosts=tuple(host for block in tls for host in reader.items(block, "hosts", str)),
        addresses=reader.load_balancer(status),
        **reader.common(names, "Ingress"),
    )


def read_service(raw: object, names: Names | None = None) -> Service | Rejection:
    """Return the Service of a raw object, or why it is none."""
    reader = Reader("service", raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    spec, status = reader.mapping(reader.raw, "spec"), reader.mapping(reader.raw, "status")
    cluster_ip = reader.text(spec, "clusterIP")
    type_ = reader.text(spec, "type") or "ClusterIP"
    return Service(
        type=type_,
        cluster_ip="" if cluster_ip == "None" else cluster_ip,
        is_headless=type_ == "ClusterIP" and cluster_ip == "None",
        external_name=reader.text(spec, "externalName"),
        external_ips=tuple(reader.items(spec, "externalIPs", str)),
        addresses=reader.load_balancer(status),
        is_local=reader.text(spec, "externalTrafficPolicy") == "Local",
        selector=reader.selector(spec, "selector"),
        node_ports=tuple(
            NodePort(reader.text(port, "protocol").lower() or "tcp", number)
            for port in (reader.items(spec, "ports", dict) if type_ == "NodePort" else ())
            if (number := reader.number(port, "nodePort"))
        ),
        publishes_not_ready=spec.get("publishNotReadyAddresses") is True,
        **reader.common(names, "Service"),
    )


def read_node(raw: object, names: Names | None = None) -> Node | Rejection:
    """Return the Node of a raw object, or why it is none."""
    reader = Reader("node", raw, namespaced=False)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    by_type: dict[str, list[str]] = {"ExternalIP": [], "InternalIP": []}
    for entry in reader.items(reader.mapping(reader.raw, "status"), "addresses", dict):
        by_type.get(reader.text(entry, "type"), []).append(reader.text(entry, "address"))
    return Node(
        external=tuple(by_type["ExternalIP"]),
        internal=tuple(by_type["InternalIP"]),
        is_cordoned=reader.mapping(reader.raw, "spec").get("unschedulable") is True,
        **reader.common(names, "Node"),
    )


def read_slice(raw: object) -> Slice | Rejection:
    """Return the EndpointSlice of a raw object, or why it is none."""
    reader = Reader("endpointslice", raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    labels = reader.mapping(reader.metadata, "labels")
    endpoints = []
    if reader.text(reader.raw, "addressType") in ("IPv4", "IPv6"):
        for item in reader.items(reader.raw, "endpoints", dict):
            target = reader.mapping(item, "targetRef")
            addresses = reader.items(item, "addresses", str)
            pod = reader.text(target, "namespace") or reader.ref.namespace, reader.text(target, "name")
            is_pod = target.get("kind") == "Pod" and not target.get("apiVersion")
            is_ready = reader.mapping(item, "conditions").get("ready") is not False
            if addresses and is_pod:
                endpoints.append(SliceEndpoint(addresses[0], is_ready, pod))
    return Slice(
        ref=reader.ref,
        service=reader.text(labels, "kubernetes.io/service-name"),
        endpoints=tuple(endpoints),
        faults=tuple(reader.faults),
    )


def read_pod(raw: object) -> Pod | Rejection:
    """Return the Pod of a raw object, or why it is none."""
    reader = Reader("pod", raw)
    if isinstance(reader.ref, Rejection):
        return reader.ref
    spec, status = reader.mapping(reader.raw, "spec"), reader.mapping(reader.raw, "status")
    ready = [c for c in reader.items(status, "conditions", dict) if c.get("type") == "Ready"]
    common = reader.common()
    # Pods are many: of their annotations only one counts.
    common["annotations"] = {k: v for k, v in common["annotations"].items() if k.endswith("/target")}
    return Pod(
        hostname=reader.text(spec, "hostname"),
        node=reader.text(spec, "nodeName"),
        host_ip=reader.text(status, "hostIP"),
        is_running=status.get("phase") == "Running",
        is_ready=any(condition.get("status") == "True" for condition in ready),
        is_terminating=reader.metadata.get("deletionTimestamp") is not None,
        **common,
    )
