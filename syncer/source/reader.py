"""Fields of raw JSON objects, read one by one. Pure and total.

A field of the wrong type reads as absent and is a fault that names it; the object is read on.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from syncer.endpoint import ObjectRef, Rejection

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
"""RFC 1123 subdomain. It also keeps commas and quotes out of ownership texts, which carry the name."""

_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

_SHARED: Final = 8192
"""Texts that are kept once."""

_MAX_UID: Final = 64
"""Characters; a UUID has 36."""

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_EXPECTED: Final[Mapping[type, str]] = {dict: "an object", str: "a string", list: "a list"}

Names = Callable[[Mapping[str, Any], str], tuple[str, ...]]
"""A template: a raw object and its kind → names. ValueError where it cannot be carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """What is kept of any object."""

    ref: ObjectRef
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    templated: tuple[str, ...] = ()
    """What --fqdn-template makes of it."""
    faults: tuple[Rejection, ...] = ()


@lru_cache(_SHARED)
def shared(text: str) -> str:
    """Return a text, the same one for equal ones where they are many: what thousands of objects repeat."""
    return text


class Reader:
    """Reads one raw object of a kind; `ref` is a Rejection where it is none."""

    def __init__(self, kind: str, raw: object, *, namespaced: bool = True) -> None:
        self.raw: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
        self.faults: list[Rejection] = []
        metadata = self.raw.get("metadata")
        self.metadata: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
        self.ref = self._read_ref(kind, namespaced)

    def _read_ref(self, kind: str, namespaced: bool) -> ObjectRef | Rejection:
        name, namespace = self.metadata.get("name"), self.metadata.get("namespace") or ""
        if namespaced:
            namespace = namespace or "default"
        for text in (name, namespace or "default"):
            if not isinstance(text, str) or not _NAME.fullmatch(text):
                return Rejection(
                    kind, "shape", f"an object named {str(text)[:80]!r}, which is no object name"
                )
        created, uid = self.metadata.get("creationTimestamp"), self.metadata.get("uid")
        return ObjectRef(
            kind,
            shared(namespace),
            str(name),
            created if isinstance(created, str) and _TIMESTAMP.fullmatch(created) else "",
            uid if isinstance(uid, str) and len(uid) <= _MAX_UID else "",
        )

    def common(self, names: Names | None = None, title: str = "") -> dict[str, Any]:
        """Return the fields of `Object`; to be called last, when all faults are known."""
        annotations, labels = self.strings("annotations", "annotation"), self.strings("labels", "label")
        templated: tuple[str, ...] = ()
        if names is not None:
            try:
                templated = names(self.raw, title)
            except ValueError as error:
                self.faults.append(Rejection(str(self.ref), "template", f"--fqdn-template: {error}"))
        return {
            "ref": self.ref,
            "annotations": annotations,
            "labels": labels,
            "templated": templated,
            "faults": tuple(self.faults),
        }

    def fault(self, field: str, expected: str, found: object) -> None:
        detail = f"{field}: expected {expected}, got {type(found).__name__}"
        self.faults.append(Rejection(str(self.ref), "shape", detail))

    def mapping(self, parent: Mapping[str, Any], field: str) -> Mapping[str, Any]:
        value = parent.get(field)
        if value is not None and not isinstance(value, dict):
            self.fault(field, "an object", value)
        return value if isinstance(value, dict) else {}

    def text(self, parent: Mapping[str, Any], field: str) -> str:
        value = parent.get(field)
        if value is not None and not isinstance(value, str):
            self.fault(field, "a string", value)
        return value if isinstance(value, str) else ""

    def number(self, parent: Mapping[str, Any], field: str, highest: int = 65_535) -> int:
        """Return a whole number from 0 to `highest`; 0 where there is none."""
        value = parent.get(field)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= highest:
            self.faults.append(
                Rejection(str(self.ref), "shape", f"{field}: expected 0..{highest}, got {str(value)[:40]!r}")
            )
            return 0
        return value

    def items(self, parent: Mapping[str, Any], field: str, of: type) -> list[Any]:
        value = parent.get(field)
        if value is not None and not isinstance(value, list):
            self.fault(field, "a list", value)
            return []
        found = []
        for item in value or ():
            if isinstance(item, of):
                found.append(item)
            else:
                self.fault(f"{field}[]", _EXPECTED.get(of, of.__name__), item)
        return found

    def strings(self, field: str, item: str) -> Mapping[str, str]:
        """Return a mapping of the metadata from strings to strings."""
        found: dict[str, str] = {}
        for key, value in self.mapping(self.metadata, field).items():
            if not isinstance(key, str) or not isinstance(value, str):
                self.fault(f"{item} {key}", "a string (write it in quotes)", value)
            elif key != _LAST_APPLIED:  # the whole object once more
                found[shared(key)] = shared(value)
        return found

    def selector(self, parent: Mapping[str, Any], field: str) -> Mapping[str, str]:
        """Return a mapping from strings to strings; other items are faults."""
        found: dict[str, str] = {}
        for key, value in self.mapping(parent, field).items():
            if isinstance(key, str) and isinstance(value, str):
                found[key] = value
            else:
                self.fault(f"{field}.{key}", "a string", value)
        return found

    def load_balancer(self, status: Mapping[str, Any]) -> tuple[str, ...]:
        entries = self.items(self.mapping(status, "loadBalancer"), "ingress", dict)
        texts = (self.text(entry, field) for entry in entries for field in ("ip", "hostname"))
        return tuple(text for text in texts if text)
