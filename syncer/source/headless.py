"""Headless Services: the Pods behind them and the addresses they are published with. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from syncer.source.annotations import Wishes, read_wishes
from syncer.source.around import Around
from syncer.source.filters import Options
from syncer.source.node_port import external_of
from syncer.source.objects import Pod, Service, SliceEndpoint


class Member(NamedTuple):
    """A Pod behind a headless Service."""

    hostname: str
    addresses: tuple[str, ...]


def members_of(service: Service, wishes: Wishes, around: Around, options: Options) -> Sequence[Member] | None:
    """Return the Pods behind a Service; None while the objects that say so are not all known.

    Only an endpoint counts whose Pod exists in the Service's namespace and has the labels it selects: who
    may write slices and not Services cannot publish addresses of its own.
    """
    pods = around.selected_pods(service.ref.namespace, dict(service.selector))
    if around.slices_by_service is None or pods is None:
        return None
    needs_nodes = wishes.endpoints_type == "NodeExternalIP"
    if needs_nodes and around.node_by_name is None:
        return None
    takes_all = service.publishes_not_ready or options.always_publish_not_ready_addresses
    found = []
    for piece in around.slices_by_service.get((service.ref.namespace, service.ref.name), ()):
        for endpoint in piece.endpoints:
            namespace, name = endpoint.pod
            pod = pods.get(name) if namespace == service.ref.namespace else None
            if pod is not None and (endpoint.is_ready or takes_all):
                found.append(Member(pod.hostname, _addresses(endpoint, pod, wishes, around, options)))
    return found


def _addresses(
    endpoint: SliceEndpoint, pod: Pod, wishes: Wishes, around: Around, options: Options
) -> tuple[str, ...]:
    own = read_wishes(pod.annotations, pod.ref, options.annotation_prefixes).targets
    if own is not None:
        return tuple(target.text for target in own)
    if wishes.endpoints_type == "NodeExternalIP":
        node = (around.node_by_name or {}).get(pod.node)
        return external_of(node, options) if node else ()
    if wishes.endpoints_type == "HostIP" or options.publish_host_ip:
        return (pod.host_ip,) if pod.host_ip else ()
    return (endpoint.address,)
