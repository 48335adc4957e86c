"""Kubernetes objects from files: `*.yaml`, `*.yml` and `*.json` of one directory, read again on change.

Changes are seen by looking at the files' signatures every `POLL` seconds: notification of the kernel misses
the symbolic link that a mounted ConfigMap swaps. A file that cannot be read keeps its last good objects. A
change that takes objects away counts when two looks see it, because an editor may be half through saving.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import yaml

from syncer.endpoint import Rejection

POLL: Final = 0.25
"""Seconds between two looks at the files."""

SUFFIXES: Final = (".yaml", ".yml", ".json")

MAX_FILE: Final = 64 * 1024 * 1024
"""Octets of a file; a longer one is not read."""

MAX_NESTING: Final = 64
"""Levels of a document: PyYAML's C composer recurses, and ends the process when its stack does."""

MAX_OBJECTS: Final = 100_000
"""Objects of a file: with aliases each List in a List multiplies them."""

_MAX_DEPTH: Final = 2
"""How deep a List may hold Lists."""

T_co = TypeVar("T_co", covariant=True)

Read = Callable[[object], Any]
"""Projects a raw object to what is kept of it, or to a Rejection."""

Signature = tuple[int, ...]

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_GONE: Final[Mapping[tuple[str, str], str]] = {
    ("extensions/v1beta1", "Ingress"): "networking.k8s.io/v1",
    ("networking.k8s.io/v1beta1", "Ingress"): "networking.k8s.io/v1",
}
"""Versions that Kubernetes removed, and what stands in their place."""


class _Fault(Exception):
    """A file that cannot be read; the text says where and why."""


@dataclass(slots=True)
class _File:
    signature: Signature = ()
    """Of the content that was last read, well or not."""
    doubted: Signature = ()
    """Of a content that takes objects away and was seen once."""
    is_good: bool = False
    """Whether it could ever be read."""
    objects: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    """(kind, namespace, name) → the projected object."""
    rejections: list[Rejection] = field(default_factory=list)
    fault: Rejection | None = None


class ManifestCache(Generic[T_co]):
    """The objects of one kind in the files."""

    def __init__(self, manifests: "Manifests", kind: str) -> None:
        self._manifests, self._kind = manifests, kind
        self._drained: Mapping[tuple[str, str], T_co] = {}

    @property
    def has_synced(self) -> bool:
        return self._manifests.has_synced

    @property
    def is_awaited(self) -> bool:
        return not self.has_synced

    def items(self) -> Iterable[tuple[tuple[str, str], T_co]]:
        return self._objects.items()

    def drain(self) -> Sequence[tuple[tuple[str, str], T_co | None]]:
        before, self._drained = self._drained, self._objects
        changed = [(key, obj) for key, obj in self._drained.items() if before.get(key) != obj]
        return [*changed, *((key, None) for key in before.keys() - self._drained.keys())]

    @property
    def _objects(self) -> Mapping[tuple[str, str], T_co]:
        return self._manifests.by_kind.get(self._kind, {})


class Manifests:
    """A directory of manifests.

    Attributes:
        has_synced: every file could be read at least once; it stays true.
        by_kind: the projected objects, by namespace and name.
        rejections: what is wrong with the files now.
    """

    def __init__(
        self, directory: Path, reads: Mapping[tuple[str, str], Read], changed: Callable[[], None]
    ) -> None:
        self._directory, self._reads, self._changed = directory, reads, changed
        self._files: dict[Path, _File] = {}
        self._is_published = False
        self.has_synced = False
        self.by_kind: Mapping[str, Mapping[tuple[str, str], Any]] = {}
        self.rejections: Sequence[Rejection] = ()

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(POLL)

    async def look(self) -> None:
        """Read what has changed since the last look."""
        if await asyncio.to_thread(self._look):
            self._changed()

    def _look(self) -> bool:
        try:
            found = _signatures(self._directory)
        except OSError as error:
            fault = Rejection(str(self._directory), "shape", f"{error.strerror}; its last good objects stay")
            is_new = self.rejections != (fault,)
            self.rejections, self._is_published = (fault,), False
            return is_new
        changed = [self._read_again(path, signature) for path, signature in found.items()]
        changed += [self._forget(path) for path in self._files.keys() - found.keys()]
        if not any(changed) and self._is_published:
            return False
        self._publish()
        return True

    def _read_again(self, path: Path, signature: Signature) -> bool:
        file = self._files.setdefault(path, _File())
        if signature == file.signature:
            return False
        try:
            objects, rejections = self._read(path)
        except _Fault as fault:
            kept = "; its last good objects stay" if file.is_good else ""
            file.fault = Rejection(str(path), "shape", f"{fault}{kept}")
            file.signature = signature
            return True
        if file.objects.keys() - objects.keys() and file.doubted != signature:
            file.doubted = signature
            return False
        self._files[path] = _File(signature, (), True, objects, rejections)
        return True

    def _forget(self, path: Path) -> bool:
        # An editor may move a file aside for a moment and write it anew.
        absent: Signature = (-1,)
        if self._files[path].doubted != absent:
            self._files[path].doubted = absent
            return False
        del self._files[path]
        return True

    def _publish(self) -> None:
        objects: dict[tuple[str, str, str], Any] = {}
        rejections: list[Rejection] = []
        for path, file in sorted(self._files.items()):
            rejections += file.rejections
            if file.fault:
                rejections.append(file.fault)
            for key, item in file.objects.items():
                if key in objects:
                    rejections.append(
                        Rejection(str(path), "duplicate", f"{' '.join(key)} stands in an earlier file too")
                    )
                objects.setdefault(key, item)
        by_kind: dict[str, dict[tuple[str, str], Any]] = {}
        for (kind, namespace, name), item in objects.items():
            by_kind.setdefault(kind, {})[namespace, name] = item
        self.by_kind, self.rejections = by_kind, tuple(rejections)
        self.has_synced = self.has_synced or all(file.is_good for file in self._files.values())
        self._is_published = True

    def _read(self, path: Path) -> tuple[dict[tuple[str, str, str], Any], list[Rejection]]:
        objects: dict[tuple[str, str, str], Any] = {}
        rejections: list[Rejection] = []
        seen = 0
        for raw in _documents(path):
            for item in _flattened(raw, "", "", _MAX_DEPTH):
                seen += 1
                if seen > MAX_OBJECTS:
                    raise _Fault(f"over {MAX_OBJECTS} objects")
                version, kind = str(item.get("apiVersion", "")), str(item.get("kind", ""))
                read, metadata = self._reads.get((version, kind)), _mapping(item.get("metadata"))
                namespace, name = str(metadata.get("namespace") or "default"), str(metadata.get("name"))
                if read is not None:
                    objects[kind, namespace, name] = read(item)
                elif instead := _GONE.get((version, kind)):
                    detail = f"{kind} {namespace}/{name} is {version}, which Kubernetes has removed"
                    rejections.append(Rejection(str(path), "api-version", f"{detail}: write {instead}"))
        return objects, rejections


def _signatures(directory: Path) -> dict[Path, Signature]:
    found: dict[Path, Signature] = {}
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if not entry.name.startswith(".") and entry.name.endswith(SUFFIXES):
            try:
                stat = os.stat(entry.path)  # through symbolic links: a ConfigMap's files are such
            except FileNotFoundError:
                continue
            found[Path(entry.path)] = (stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev)
    return found


def _documents(path: Path) -> list[object]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise _Fault(f"over {MAX_FILE} octets")
        octets = path.read_bytes()
        if path.suffix == ".json":
            return [json.loads(octets)] if octets.strip() else []
        _check_nesting(octets)
        return list(yaml.load_all(octets, _LOADER))
    except OSError as error:
        raise _Fault(error.strerror or type(error).__name__) from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise _Fault(f"{line}no YAML: {error.problem}") from None
    except json.JSONDecodeError as error:
        raise _Fault(f"line {error.lineno}: no JSON: {error.msg}") from None
    except RecursionError:
        raise _Fault("nested too deep") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _Fault(
            f"no YAML: {str(error).splitlines()[0][:120] if str(error) else 'nested too deep'}"
        ) from None


def _check_nesting(octets: bytes) -> None:
    depth = 0
    for event in yaml.parse(octets, _LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_NESTING:
                raise _Fault("nested too deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _flattened(raw: object, version: str, kind: str, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a document: itself, or the items of a List, which may leave out their kind."""
    item = _mapping(raw)
    own = str(item.get("kind", kind))
    if not own.endswith("List") or "items" not in item:
        if item:
            yield {"apiVersion": version, "kind": kind, **item}
        return
    items = item["items"]
    if depth and isinstance(items, list):
        version = str(item.get("apiVersion", version)) if own != "List" else ""
        for part in items:
            yield from _flattened(part, version, own.removesuffix("List"), depth - 1)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
