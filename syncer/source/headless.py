"""Headless Services: the Pods behind them and the addresses they are published with. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from syncer.source.annotations import Wishes, read_wishes
from syncer.source.around import Around, Key
from syncer.source.filters import Options
from syncer.source.node_port import external_of
from syncer.source.objects import Node, Pod, Service, SliceEndpoint


class Member(NamedTuple):
    """A Pod behind a headless Service."""

    hostname: str
    addresses: tuple[str, ...]


def members_of(service: Service, wishes: Wishes, around: Around, options: Options) -> Sequence[Member] | None:
    """Return the Pods behind a Service; None while the objects that say so are not all known.

    Only an endpoint counts whose Pod exists in the Service's namespace and has the labels it selects: who
    may write slices and not Services cannot publish addresses of its own.
    """
    pods = around.selected_pods(service.ref.namespace, service.selector)
    slices = around.slices.find((service.ref.namespace, service.ref.name))
    nodes = around.nodes.find() if wishes.endpoints_type == "NodeExternalIP" else {}
    if pods is None or slices is None or nodes is None:
        return None
    takes_all = service.publishes_not_ready or options.always_publish_not_ready_addresses
    found = []
    for piece in slices.values():
        for endpoint in piece.endpoints:
            namespace, name = endpoint.pod
            pod = pods.get(name) if namespace == service.ref.namespace else None
            if pod is not None and (endpoint.is_ready or takes_all):
                found.append(Member(pod.hostname, _addresses(endpoint, pod, wishes, nodes, options)))
    return found


def _addresses(
    endpoint: SliceEndpoint, pod: Pod, wishes: Wishes, nodes: Mapping[Key, Node], options: Options
) -> tuple[str, ...]:
    own = read_wishes(pod.annotations, pod.ref, options.annotation_prefixes).targets
    if own is not None:
        return tuple(target.text for target in own)
    if wishes.endpoints_type == "NodeExternalIP":
        node = next((node for node in nodes.values() if node.ref.name == pod.node), None)
        return external_of(node, options) if node else ()
    if wishes.endpoints_type == "HostIP" or options.publish_host_ip:
        return (pod.host_ip,) if pod.host_ip else ()
    return (endpoint.address,)
