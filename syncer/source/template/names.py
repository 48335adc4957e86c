"""Templates × a raw object → host names. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from syncer.endpoint import host_name
from syncer.source.template.evaluate import execute
from syncer.source.template.functions import FUNCTIONS, Strings
from syncer.source.template.parse import TemplateError, parse


class NameTemplate:
    """One or more templates; each makes names with commas between them."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Parse them.

        Raises:
            TemplateError: one cannot be parsed, or uses what is not supported.
        """
        self._templates = [parse(text, FUNCTIONS) for text in texts]

    def __call__(self, raw: Mapping[str, Any], kind: str) -> tuple[str, ...]:
        """Return the names for a raw object, sorted.

        Raises:
            ValueError: the templates cannot be carried out for it, or make what is no name.
        """
        data = data_of(raw, kind)
        texts = [item for nodes in self._templates for item in execute(nodes, data).split(",")]
        return tuple(sorted({host_name(text.strip()) for text in texts if text.strip().removesuffix(".")}))


def data_of(raw: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return a raw object as a template sees it: with Go's names for what the object is called."""
    metadata = raw.get("metadata")
    meta: dict[str, Any] = dict(metadata) if isinstance(metadata, dict) else {}
    meta |= {key: _strings(meta.get(key)) for key in ("labels", "annotations")}
    return {
        **{key: value for key, value in raw.items() if isinstance(key, str)},
        "metadata": meta,
        "ObjectMeta": meta,
        "Name": meta.get("name"),
        "Namespace": meta.get("namespace") or "",
        "Labels": meta["labels"],
        "Annotations": meta["annotations"],
        "Kind": raw.get("kind") or kind,
        "APIVersion": raw.get("apiVersion") or "",
    }


def _strings(value: object) -> Strings:
    items = value.items() if isinstance(value, dict) else ()
    return Strings({k: v for k, v in items if isinstance(k, str) and isinstance(v, str)})


__all__ = ["NameTemplate", "TemplateError"]
