"""The objects that others depend on: indexed by what they are looked up by, and who looked is known. Pure."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from syncer.endpoint import Rejection
from syncer.source.gateway import Gateway
from syncer.source.objects import Node, Pod, Resolved, Slice
from syncer.source.reader import Object

T = TypeVar("T")

Kind = Literal["node", "endpointslice", "pod", "gateway", "namespace", "host"]

Key = tuple[str, str]
"""Namespace and name."""


class Dependency(NamedTuple):
    """What was looked up: a group of objects of a kind."""

    kind: Kind
    group: Hashable
    """UNKNOWN: it could not be answered, because not all objects of the kind are known."""


UNKNOWN: Final = None
ALL: Final = ""
"""The group of kinds that are looked through as a whole."""

IsKnown = Callable[[Kind], bool]
"""Whether all objects of a kind are known. Asking makes them wanted."""


class Lookup(Generic[T]):
    """The objects of one kind, by the group that they are looked up in."""

    def __init__(
        self, kind: Kind, group_of: Callable[[T], Hashable], is_known: IsKnown, asked: set[Dependency]
    ) -> None:
        self._kind: Kind = kind
        self._group_of, self._is_known, self._asked = group_of, is_known, asked
        self._groups: dict[Hashable, dict[Key, T]] = {}
        self._group_at: dict[Key, Hashable] = {}

    def take(self, key: Key, item: T | Rejection | None) -> set[Dependency]:
        """Take an object as it is now, None where it is gone; return what has changed for those who asked."""
        changed: set[Hashable] = set()
        if key in self._group_at:
            group = self._group_at.pop(key)
            del self._groups[group][key]
            if not self._groups[group]:
                del self._groups[group]
            changed.add(group)
        if item is not None and not isinstance(item, Rejection):
            group = self._group_of(item)
            self._groups.setdefault(group, {})[key] = item
            self._group_at[key] = group
            changed.add(group)
        return {Dependency(self._kind, group) for group in changed}

    def find(self, group: Hashable = ALL) -> Mapping[Key, T] | None:
        """Return the objects of a group; None while not all objects of the kind are known."""
        self._asked.add(Dependency(self._kind, group))
        if not self._is_known(self._kind):
            self._asked.add(Dependency(self._kind, UNKNOWN))
            return None
        return self._groups.get(group, {})


def _none_known(_: Kind) -> bool:
    return False


def _want_nothing(_: str) -> None:
    return None


class Around:
    """What Services and routes of one world depend on.

    Attributes:
        asked: what was looked up since it was last cleared.
    """

    def __init__(
        self, is_known: IsKnown = _none_known, want_host: Callable[[str], None] = _want_nothing
    ) -> None:
        self._want_host = want_host
        self.asked: set[Dependency] = set()
        nodes: Lookup[Node] = Lookup("node", lambda _: ALL, is_known, self.asked)
        slices: Lookup[Slice] = Lookup(
            "endpointslice", lambda s: (s.ref.namespace, s.service), is_known, self.asked
        )
        pods: Lookup[Pod] = Lookup("pod", lambda pod: pod.ref.namespace, is_known, self.asked)
        gateways: Lookup[Gateway] = Lookup(
            "gateway", lambda g: (g.ref.namespace, g.ref.name), is_known, self.asked
        )
        namespaces: Lookup[Object] = Lookup("namespace", lambda n: n.ref.name, is_known, self.asked)
        self.hosts: Lookup[Resolved] = Lookup("host", lambda found: found.host, is_known, self.asked)
        self.nodes, self.slices, self.pods = nodes, slices, pods
        self.gateways, self.namespaces = gateways, namespaces

    def lookups(self) -> Mapping[Kind, Lookup[Any]]:
        return {
            "node": self.nodes,
            "endpointslice": self.slices,
            "pod": self.pods,
            "gateway": self.gateways,
            "namespace": self.namespaces,
            "host": self.hosts,
        }

    def addresses_of(self, host: str) -> tuple[str, ...] | None:
        """Return the addresses of a host name; None while it was not looked up, which this asks for."""
        found = self.hosts.find(host)
        if found:
            return next(iter(found.values())).addresses
        self._want_host(host)
        return None

    def selected_pods(self, namespace: str, selector: Mapping[str, str]) -> dict[str, Pod] | None:
        """Return a namespace's Pods with the selector's labels, by name; none for an empty selector."""
        pods = self.pods.find(namespace)
        if pods is None:
            return None
        return {
            pod.ref.name: pod
            for pod in pods.values()
            if selector and all(pod.labels.get(key) == value for key, value in selector.items())
        }
