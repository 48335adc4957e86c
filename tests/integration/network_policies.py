"""What NetworkPolicies let through, by the rules of networking.k8s.io/v1: a model for tests."""

from typing import NamedTuple


class Peer(NamedTuple):
    """One end of a connection. What has no `labels` is no pod of the cluster: it has an address alone."""

    labels: dict[str, str] | None
    namespace: str = "dns"
    ports: dict[str, int] = {}  # noqa: RUF012 - a NamedTuple's default, never written to
    """Container ports by name."""


def selects(selector: dict, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    if not wanted.items() <= labels.items():
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", "the only one in use"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def may_connect(policies: list[dict], source: Peer, target: Peer, port: int, protocol: str) -> bool:
    """Say whether `source` may open a connection to a port of `target`: both ends must let it."""
    return _lets(policies, "Egress", source, target, port, protocol, target.ports) and _lets(
        policies, "Ingress", target, source, port, protocol, target.ports
    )


def _lets(
    policies: list[dict], way: str, own: Peer, other: Peer, port: int, protocol: str, names: dict[str, int]
) -> bool:
    if own.labels is None:
        return True
    applying = [
        p["spec"]
        for p in policies
        if p["metadata"]["namespace"] == own.namespace
        and way in p["spec"]["policyTypes"]
        and selects(p["spec"]["podSelector"], own.labels)
    ]
    rules = [rule for spec in applying for rule in spec.get(way.lower(), [])]
    end = "to" if way == "Egress" else "from"
    return not applying or any(
        _has_port(rule, port, protocol, names) and _has_peer(rule.get(end), own, other) for rule in rules
    )


def _has_port(rule: dict, port: int, protocol: str, names: dict[str, int]) -> bool:
    return "ports" not in rule or any(
        p.get("protocol", "TCP") == protocol and names.get(p["port"], p["port"]) == port
        for p in rule["ports"]
    )


def _has_peer(peers: list[dict] | None, own: Peer, other: Peer) -> bool:
    if not peers:
        return True
    if other.labels is None:
        return any("ipBlock" in peer for peer in peers)
    for peer in peers:
        if "ipBlock" in peer:
            continue
        namespace = peer.get("namespaceSelector")
        if namespace is None:
            is_there = other.namespace == own.namespace
        else:
            is_there = selects(namespace, {"kubernetes.io/metadata.name": other.namespace})
        if is_there and selects(peer.get("podSelector", {}), other.labels):
            return True
    return False
