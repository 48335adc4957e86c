"""NodePort Services: the nodes that take their traffic, and the nodes' addresses. Pure."""

from collections.abc import Iterable, Sequence

from syncer.endpoint import address
from syncer.source.annotations import Access
from syncer.source.around import Around
from syncer.source.filters import Options
from syncer.source.objects import Node, Pod, Service


def nodes_of(service: Service, around: Around, options: Options) -> Sequence[Node] | None:
    """Return the nodes that take a Service's traffic; None while the objects that say so are not all known.

    With externalTrafficPolicy Local these are the nodes of its Pods: of those that are ready, else of those
    that are ready and terminating, else of those that are not ready.
    """
    known = around.nodes.find()
    if known is None:
        return None
    nodes = [node for node in known.values() if not (node.is_cordoned and options.exclude_unschedulable)]
    if not service.is_local:
        return nodes
    pods = around.selected_pods(service.ref.namespace, service.selector)
    if pods is None:
        return None
    running = [pod for pod in pods.values() if pod.is_running and pod.node]
    best = min(map(_level, running), default=0)
    names = {pod.node for pod in running if _level(pod) == best}
    return [node for node in nodes if node.ref.name in names]


def _level(pod: Pod) -> int:
    if not pod.is_ready:
        return 2
    return 1 if pod.is_terminating else 0


def addresses_of(nodes: Iterable[Node], access: Access, options: Options) -> list[str]:
    """Return the addresses to publish: external ones if there are any, else internal ones."""
    nodes = list(nodes)
    external = [text for node in nodes for text in external_of(node, options)]
    internal = [text for node in nodes for text in node.internal]
    match access:
        case "public":
            return external
        case "private":
            return internal
        case _:
            return external if any(node.external for node in nodes) else internal


def external_of(node: Node, options: Options) -> tuple[str, ...]:
    """Return a node's external addresses, on request with its internal IPv6 ones."""
    if not options.expose_internal_ipv6:
        return node.external
    return node.external + tuple(
        text for text in node.internal if (found := address(text)) and found.type == "AAAA"
    )
