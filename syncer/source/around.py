"""The objects that others depend on: looked at only by what needs them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from syncer.endpoint import Rejection
from syncer.source.objects import Node, Pod, Slice

T = TypeVar("T")

Known = Callable[[], Sequence[T | Rejection] | None]
"""All objects of a kind, or None while not all of them are known. Asking makes them wanted."""


def _unknown() -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Around:
    """What Services depend on; each kind is asked for at most once."""

    read_nodes: Known[Node] = _unknown
    read_slices: Known[Slice] = _unknown
    read_pods: Known[Pod] = _unknown

    @cached_property
    def nodes(self) -> Sequence[Node] | None:
        found = self.read_nodes()
        return None if found is None else [item for item in found if isinstance(item, Node)]

    @cached_property
    def node_by_name(self) -> dict[str, Node] | None:
        return None if self.nodes is None else {node.ref.name: node for node in self.nodes}

    @cached_property
    def slices_by_service(self) -> dict[tuple[str, str], list[Slice]] | None:
        found = self.read_slices()
        if found is None:
            return None
        by_service: dict[tuple[str, str], list[Slice]] = {}
        for item in found:
            if isinstance(item, Slice):
                by_service.setdefault((item.ref.namespace, item.service), []).append(item)
        return by_service

    @cached_property
    def pods_by_namespace(self) -> dict[str, dict[str, Pod]] | None:
        found = self.read_pods()
        if found is None:
            return None
        by_namespace: dict[str, dict[str, Pod]] = {}
        for item in found:
            if isinstance(item, Pod):
                by_namespace.setdefault(item.ref.namespace, {})[item.ref.name] = item
        return by_namespace

    def selected_pods(self, namespace: str, selector: dict[str, str]) -> dict[str, Pod] | None:
        """Return a namespace's Pods with the selector's labels; none for an empty selector."""
        if self.pods_by_namespace is None:
            return None
        pods = self.pods_by_namespace.get(namespace, {})
        return {
            name: pod
            for name, pod in pods.items()
            if selector and selector.items() <= dict(pod.labels).items()
        }
