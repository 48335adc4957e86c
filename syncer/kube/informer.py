"""The objects of one kind, projected to what is needed of them, with their readiness."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

Key = tuple[str, str]


class Informer(Generic[T]):
    """A cache that a reflector fills.

    Attributes:
        has_synced: a whole list was seen; it stays true.
    """

    def __init__(self, project: Callable[[object], T], changed: Callable[[], None]) -> None:
        self._project, self._changed = project, changed
        self._objects: dict[Key, T] = {}
        self.has_synced = False

    def objects(self) -> Sequence[T]:
        return list(self._objects.values())

    def read(self, item: object) -> tuple[Key, T]:
        """Return what is kept of a raw object."""
        return _key(item), self._project(item)

    def replace(self, kept: list[tuple[Key, T]]) -> None:
        """Take all objects there are; those that are not among them go."""
        objects = dict(kept)
        is_news = not self.has_synced or objects != self._objects
        self._objects, self.has_synced = objects, True
        if is_news:
            self._changed()

    def apply(self, item: object) -> None:
        """Take an object that was added or modified."""
        key, projected = self.read(item)
        # Nodes and many controllers write often what no record depends on.
        if self._objects.get(key) != projected:
            self._objects[key] = projected
            self._changed()

    def remove(self, item: object) -> None:
        """Forget an object that was deleted."""
        if self._objects.pop(_key(item), None) is not None:
            self._changed()


def _key(item: object) -> Key:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    fields = metadata if isinstance(metadata, dict) else {}
    return str(fields.get("namespace", "")), str(fields.get("name", ""))
