"""The objects of one kind, projected to what is needed of them, with their readiness."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Key = tuple[str, str]


class Informer(Generic[T]):
    """A cache that a reflector fills.

    Attributes:
        has_synced: a whole list was seen; it stays true.
        is_absent: says whether the server does not have this kind of object.
    """

    def __init__(self, project: Callable[[object], T], changed: Callable[[], None]) -> None:
        self._project, self._changed = project, changed
        self._objects: dict[Key, T] = {}
        self._changes: dict[Key, T | None] = {}
        self.has_synced = False
        self.is_absent: Callable[[], bool] = lambda: False

    @property
    def is_awaited(self) -> bool:
        """Whether objects are still to come; a server that does not have the kind has none."""
        return not self.has_synced and not self.is_absent()

    def items(self) -> Iterable[tuple[Key, T]]:
        return self._objects.items()

    def drain(self) -> Sequence[tuple[Key, T | None]]:
        changes, self._changes = self._changes, {}
        return list(changes.items())

    def read(self, item: object) -> tuple[Key, T]:
        """Return what is kept of a raw object."""
        return _key(item), self._project(item)

    def replace(self, kept: list[tuple[Key, T]]) -> None:
        """Take all objects there are; those that are not among them go."""
        objects = dict(kept)
        changed = {key: obj for key, obj in objects.items() if self._objects.get(key) != obj}
        gone = dict.fromkeys(self._objects.keys() - objects.keys())
        is_first = not self.has_synced
        self._objects, self.has_synced = objects, True
        if changed or gone or is_first:
            self._changes |= changed | gone
            self._changed()

    def apply(self, item: object) -> None:
        """Take an object that was added or modified."""
        key, projected = self.read(item)
        # Nodes and many controllers write often what no record depends on.
        if self._objects.get(key) != projected:
            self._objects[key] = self._changes[key] = projected
            self._changed()

    def remove(self, item: object) -> None:
        """Forget an object that was deleted."""
        key = _key(item)
        if self._objects.pop(key, None) is not None:
            self._changes[key] = None
            self._changed()


class OnDemand(Generic[T]):
    """An informer that begins when somebody asks whether it is ready: what nobody needs is not watched."""

    def __init__(self, informer: Informer[T], start: Callable[[], None]) -> None:
        self._informer, self._start, self._is_wanted = informer, start, False

    @property
    def has_synced(self) -> bool:
        if not self._is_wanted:
            self._is_wanted = True
            self._start()
        return self._informer.has_synced

    @property
    def is_awaited(self) -> bool:
        return self._is_wanted and self._informer.is_awaited

    def items(self) -> Iterable[tuple[Key, T]]:
        return self._informer.items()

    def drain(self) -> Sequence[tuple[Key, T | None]]:
        return self._informer.drain()


class _Part(Protocol[T_co]):
    @property
    def has_synced(self) -> bool: ...
    @property
    def is_awaited(self) -> bool: ...
    def items(self) -> Iterable[tuple[Key, T_co]]: ...
    def drain(self) -> Sequence[tuple[Key, T_co | None]]: ...


class Union(Generic[T]):
    """The objects of one kind from several namespaces."""

    def __init__(self, parts: Sequence[_Part[T]]) -> None:
        self._parts = parts

    @property
    def has_synced(self) -> bool:
        # Each is asked, because asking begins the one on demand.
        return all([part.has_synced for part in self._parts])

    @property
    def is_awaited(self) -> bool:
        return any(part.is_awaited for part in self._parts)

    def items(self) -> Iterable[tuple[Key, T]]:
        return [item for part in self._parts for item in part.items()]

    def drain(self) -> Sequence[tuple[Key, T | None]]:
        return [change for part in self._parts for change in part.drain()]


def _key(item: object) -> Key:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    fields = metadata if isinstance(metadata, dict) else {}
    return str(fields.get("namespace", "")), str(fields.get("name", ""))
