"""`python -m tools.reference`: the table of keys in docs/configuration.md, from the models.

What a key means is the docstring of its field; where the table links to, stands here.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dnsserver.config.models import Config
from dnsserver.transport.sockets import Address

FILE: Final = Path(__file__).parents[1] / "docs" / "configuration.md"
BEGIN: Final = "<!-- python -m tools.reference writes this table, from the models in dnsserver/config -->\n"
END: Final = "<!-- end of the table -->\n"

SEE: Final = {
    "workers": "[workers](#workers)",
    "state_dir": "[a restart without etcd](#a-restart-without-etcd)",
    "etcd.allow_empty": "[an etcd that was emptied](#an-etcd-that-was-emptied)",
    "zones[].lookup": "[why](decisions/0003-targetstrip.md)",
    "zones[].transfer": "[transfers](transfers.md)",
    "forward": "[forwarding](forwarding.md)",
    "query_limit": "[under a flood](overload.md)",
    "status": "[status page](status.md)",
}


class Row(NamedTuple):
    key: str
    default: str
    meaning: str


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Yield the keys of a model and, after each, those of the models in it."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner = list(_models(field.annotation))
        meaning = _meanings(model).get(name, "")
        if not meaning and inner:
            meaning = _first(inner[0])
        choices = [f"`{value}`" for value in _choices(field.annotation)]
        if len(choices) > 1:
            meaning = "; ".join([", ".join(choices), *([_sentence(meaning)] if meaning else [])])
        see = f" ({SEE[key]})" if key in SEE else ""
        yield Row(key, _default(field), _sentence(meaning) + see)
        many = "[]" if _is_list(field.annotation) else ""
        for each in inner:
            yield from rows(each, f"{key}{many}.")


def _sentence(text: str) -> str:
    text = " ".join(text.split()).removesuffix(".")
    word = re.match(r"[A-Z]([a-z]*)(?![A-Za-z/])", text)
    return text[:1].lower() + text[1:] if word else text


@cache
def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring under each field, the model's parents included."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        (tree,) = ast.parse(inspect.getsource(each)).body
        assert isinstance(tree, ast.ClassDef)
        for line, after in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                text = getattr(getattr(after, "value", None), "value", None)
                if isinstance(after, ast.Expr) and isinstance(text, str):
                    found[line.target.id] = text
    return found


def _first(model: type[BaseModel]) -> str:
    """Return what a model says of itself; pydantic's own docstring is none of it."""
    return "" if model.__doc__ in (None, BaseModel.__doc__) else str(model.__doc__).split("\n\n")[0]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _choices(annotation: Any) -> Iterator[object]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (Annotated, Union):
        for part in get_args(annotation):
            yield from _choices(part)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ("", [], {}) or isinstance(value, BaseModel):
        return ""
    return f"`{_yaml(value)}`"


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return f'"{value}"' if isinstance(value, Address) else str(value)


def table() -> str:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    lines += [f"| `{row.key}` | {row.default} | {row.meaning} |" for row in rows(Config)]
    return "\n".join(lines) + "\n"


def document(text: str) -> str:
    """Return the document with the table that the models give."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    FILE.write_text(document(FILE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
