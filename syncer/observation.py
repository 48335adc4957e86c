"""Everything that the sources know at one moment → what is desired. Pure.

What a look costs depends on what has changed since the last one: an object is derived again when it
changes, or when something does that it looked up.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from syncer.desired import Asked, Desired, ObjectKey
from syncer.endpoint import ObjectRef, Rejection
from syncer.source.around import UNKNOWN, Around, Dependency, Key, Kind
from syncer.source.crd import endpoints_of_dns_endpoints
from syncer.source.derived import Derived
from syncer.source.filters import Options
from syncer.source.ingress import endpoints_of_ingresses
from syncer.source.node import endpoints_of_nodes
from syncer.source.routes import endpoints_of_routes
from syncer.source.service import endpoints_of_services
from syncer.source.shaping import Shape
from syncer.source.tenants import Tenants
from syncer.world import ROUTES, Cache, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a look has found."""

    touched: frozenset[str] = frozenset()
    """The names for which something may have changed since the last look."""
    at: Callable[[str], Asked]
    """What is asked for under a name; until the next look."""
    names: Callable[[], Collection[str]] = tuple
    """Every name that is asked for."""
    rejections: Mapping[Hashable, Sequence[Rejection]] = field(default_factory=dict)
    """Of each object, or place, for which they may have changed since the last look."""
    unsettled: frozenset[str] = frozenset()
    """Kinds of resource whose objects are not all known yet."""
    kinds: frozenset[str] = frozenset()
    """Kinds of resource that are asked for."""
    unsettled_resources: frozenset[str] = frozenset()
    """Objects whose names cannot all be told yet."""

    def settled(self, resource: str) -> bool:
        """Say whether it is known for certain what asks for a resource's records.

        A resource of a kind that nothing asks for is settled when everything else is.
        """
        if resource in self.unsettled_resources:
            return False
        kind = resource.partition("/")[0]
        return kind not in self.unsettled if kind in self.kinds else not self.unsettled


_DERIVE: Final[Mapping[str, Callable[[Any, Around, Options], Derived]]] = {
    "ingress": lambda obj, _, options: endpoints_of_ingresses([obj], options),
    "service": lambda obj, around, options: endpoints_of_services([obj], around, options),
    "node": lambda obj, _, options: endpoints_of_nodes([obj], options),
    "crd": lambda obj, _, options: endpoints_of_dns_endpoints([obj], options),
    **dict.fromkeys(ROUTES, lambda obj, around, options: endpoints_of_routes([obj], around, options)),
}
"""By kind of resource: what one object asks for."""


@dataclass(slots=True)
class _Source:
    """The objects of one kind in one world."""

    world: int
    kind: str
    cache: Cache[Any]
    objects: dict[Key, Any] = field(default_factory=dict)


class Observer:
    """Looks at worlds again and again."""

    def __init__(self, options: Options, shape: Shape | None = None, tenants: Tenants | None = None) -> None:
        self._options, self._tenants = options, tenants or Tenants()
        self._worlds: list[World] = []
        self._arounds: list[Around] = []
        self._sources: list[_Source] = []
        self._dependents: dict[tuple[int, Dependency], set[ObjectKey]] = {}
        self._dependencies: dict[ObjectKey, frozenset[Dependency]] = {}
        self._desired = Desired(
            lambda source: self._sources[source].kind != "ingress", shape or Shape(), self._tenants
        )
        self._rejections: dict[Hashable, Sequence[Rejection]] = {}

    def add(self, world: World) -> None:
        """Look at a world too from now on."""
        self._sources += [_Source(len(self._worlds), kind, cache) for kind, cache in world.published()]
        self._arounds.append(Around(partial(_is_known, dict(world.looked_up())), world.want_host))
        self._worlds.append(world)

    def look(self) -> Observation:
        """Return what all objects that are known now ask for."""
        # Readiness before the objects: what becomes ready between the two must not look like a deletion.
        unsettled = frozenset(source.kind for source in self._sources if not source.cache.has_synced)
        stale = self._take_changes()
        for key in stale:
            self._derive(key)
        for number, world in enumerate(self._worlds):
            self._rejections[number] = world.faults()
        rejections, self._rejections = self._rejections, {}
        return Observation(
            touched=self._desired.take_touched(),
            at=self._desired.at,
            names=lambda: self._desired.names,
            rejections=rejections,
            unsettled=unsettled,
            kinds=frozenset(source.kind for source in self._sources),
            unsettled_resources=self._desired.unsettled,
        )

    def find(self, resource: str) -> ObjectRef | None:
        """Return the object of a text as `ingress/default/cheese`; None where there is none."""
        obj = self.kept(resource)
        return None if obj is None or isinstance(obj, Rejection) else obj.ref

    def kept(self, resource: str) -> Any:
        """Return what is kept of an object, None where there is none."""
        key = self._key_of(resource)
        return None if key is None else self._sources[key.source].objects.get((key.namespace, key.name))

    def part(self, resource: str) -> Derived:
        """Return what an object asks for."""
        key = self._key_of(resource)
        return Derived() if key is None else self._desired.part(key)

    def _key_of(self, resource: str) -> ObjectKey | None:
        kind, _, rest = resource.partition("/")
        namespace, _, name = rest.partition("/")
        for number, source in enumerate(self._sources):
            # Nodes have no namespace, but in files.
            for within in (namespace, "default") if not namespace else (namespace,):
                if source.kind == kind and (within, name) in source.objects:
                    return ObjectKey(number, within, name)
        return None

    def unseen(self) -> list[str]:
        """Return the kinds of object that are needed and not all known yet, sorted."""
        caches = [item for world in self._worlds for item in (*world.published(), *world.looked_up())]
        return sorted({kind for kind, cache in caches if cache.is_awaited})

    def differences(self, step: int) -> Iterator[int]:
        """Derive everything again; yield after every `step` objects how many were not as they are known.

        To be begun right after a look, with no look before the end. The next look has what was found.
        """
        yield sum(self._overlooked(number) for number in range(len(self._sources)))
        keys = [
            ObjectKey(number, *key) for number, source in enumerate(self._sources) for key in source.objects
        ]
        for start in range(0, len(keys), step):
            # What could not be derived for want of others may have come to be known meanwhile.
            certain = (key for key in keys[start : start + step] if not self._lacks_others(key))
            yield sum(self._derive(key) for key in certain)

    def _overlooked(self, number: int) -> int:
        source = self._sources[number]
        there, known = dict(source.cache.items()), source.objects
        missed = [key for key in there.keys() | known.keys() if there.get(key) != known.get(key)]
        source.objects = there
        for key in missed:
            self._derive(ObjectKey(number, *key))
        return len(missed)

    def _lacks_others(self, key: ObjectKey) -> bool:
        return any(dependency.group is UNKNOWN for dependency in self._dependencies.get(key, ()))

    def _take_changes(self) -> set[ObjectKey]:
        """Take what has changed since the last time; return the objects that are to be derived again."""
        changes: dict[int, Sequence[tuple[Key, Any]]] = {}
        stale: set[ObjectKey] = set()
        for number, (world, around) in enumerate(zip(self._worlds, self._arounds, strict=True)):
            for kind, cache in world.looked_up():
                changes[id(cache)] = cache.drain()
                for key, obj in changes[id(cache)]:
                    for dependency in around.lookups()[kind].take(key, obj):
                        stale |= self._dependents.get((number, dependency), set())
                unknown = self._dependents.get((number, Dependency(kind, UNKNOWN)))
                if unknown and cache.has_synced:
                    stale |= unknown
        for number, source in enumerate(self._sources):
            # Nodes are looked up and published.
            drained = changes[id(source.cache)] if id(source.cache) in changes else source.cache.drain()
            for key, obj in drained:
                source.objects.pop(key, None)
                if obj is not None:
                    source.objects[key] = obj
                stale.add(ObjectKey(number, *key))
        return stale

    def _derive(self, key: ObjectKey) -> bool:
        source = self._sources[key.source]
        around, obj = self._arounds[source.world], source.objects.get((key.namespace, key.name))
        around.asked.clear()
        part = Derived()
        if obj is not None:
            part = _DERIVE[source.kind](obj, around, self._options)
            if not isinstance(obj, Rejection):
                part = self._tenants.allowed(obj.ref, part)
        self._depend(source.world, key, frozenset(around.asked))
        if not self._desired.take(key, part):
            return False
        self._rejections[key] = part.rejections
        return True

    def _depend(self, world: int, key: ObjectKey, now: frozenset[Dependency]) -> None:
        before = self._dependencies.pop(key, frozenset())
        for dependency in before - now:
            self._dependents[world, dependency].discard(key)
            if not self._dependents[world, dependency]:
                del self._dependents[world, dependency]
        for dependency in now - before:
            self._dependents.setdefault((world, dependency), set()).add(key)
        if now:
            self._dependencies[key] = now


def _is_known(caches: Mapping[Kind, Cache[Any]], kind: Kind) -> bool:
    cache = caches.get(kind)
    return cache is not None and cache.has_synced
