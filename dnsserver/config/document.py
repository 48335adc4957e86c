"""YAML to plain data, with the place of each value and without YAML's surprises.

Scalars are those of YAML 1.2's core schema (`no` and `22:30` are strings, `010` is no number), duplicate
keys, aliases and tags are faults, and depth and size are bounded.
"""

import re
from typing import Any, Final, NamedTuple

import yaml

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_OCTETS: Final = 64 << 20
MAX_DEPTH: Final = 20

Path = tuple[str | int, ...]
"""Keys and list positions from the top, as `("zones", 0, "name")`."""


class Place(NamedTuple):
    line: int
    column: int
    """Both from 1."""


class Fault(NamedTuple):
    """One thing wrong, and where: by path, or by place where there is none."""

    path: Path
    reason: str
    place: Place | None = None
    file: str = ""
    """Where the place is, if not in the zone YAML itself."""


class Document(NamedTuple):
    data: Any
    keys: dict[Path, Place]
    """Where each mapping key stands."""
    values: dict[Path, Place]
    faults: list[Fault]

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Return where a value, or its key, stands; where it is missing, what should hold it."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Place(1, 1))


def read(text: str) -> Document:
    """Return the document. Faults of the YAML itself end the reading: then `data` is None."""
    document = Document(None, {}, {}, [])
    if len(text) > MAX_OCTETS:
        return document._replace(faults=[Fault((), f"over {MAX_OCTETS >> 20} MiB")])
    try:
        document.faults.extend(_forbidden(text))
        if document.faults:
            return document
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(mark) if mark else None
        return document._replace(faults=[Fault((), f"not YAML: {error.problem or error.context}", place)])
    except yaml.YAMLError as error:
        return document._replace(faults=[Fault((), f"not YAML: {str(error).splitlines()[0]}")])
    return document._replace(data=_value(node, (), document) if node else None)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _forbidden(text: str) -> list[Fault]:
    faults, depth = [], 0
    for event in yaml.parse(text, Loader=_Loader):
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            faults.append(Fault((), "an alias (*); write the value out", place))
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return [*faults, Fault((), f"nested deeper than {MAX_DEPTH}", place)]
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            faults.append(Fault((), f"a tag ({tag}); write plain values", place))
    return faults


def _value(node: yaml.Node, path: Path, document: Document) -> Any:
    document.values[path] = _place(node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), document) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _place(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            document.faults.append(Fault(path, "a key that is no plain word", place))
            continue
        key = key_node.value
        if key in data:
            first = document.keys[(*path, key)].line
            document.faults.append(Fault((*path, key), f"a second time; it stands on line {first}", place))
            continue
        document.keys[(*path, key)] = place
        data[key] = _value(value_node, (*path, key), document)
    return data


_CONSTANTS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")


def _scalar(node: Any) -> Any:
    text = node.value
    if node.style:  # quoted or a block; the C loader has "" for plain
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
