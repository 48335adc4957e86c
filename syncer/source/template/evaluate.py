"""Nodes × an object → text. Pure; it ends, and raises nothing but TemplateError."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from syncer.source.template.functions import FUNCTIONS, Strings, is_true, shown
from syncer.source.template.nodes import (
    Action,
    Block,
    Call,
    Chain,
    Jump,
    Literal,
    Node,
    Operand,
    Path,
    Pipe,
    Text,
)
from syncer.source.template.parse import TemplateError

MAX_OUTPUT: Final = 65_536
"""Characters."""

MAX_STEPS: Final = 20_000
"""Nodes carried out: what bounds ranges within ranges."""


def execute(nodes: tuple[Node, ...], data: Mapping[str, Any]) -> str:
    """Return what the nodes make of the data.

    Raises:
        TemplateError: they cannot be carried out.
    """
    run = _Run(data)
    try:
        run.nodes(nodes, data)
    except RecursionError:
        raise TemplateError("nested too deep") from None
    return "".join(run.output)


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Run:
    def __init__(self, data: Mapping[str, Any]) -> None:
        self.output: list[str] = []
        self._length = self._steps = 0
        self._scopes: list[dict[str, Any]] = [{"$": data}]

    def nodes(self, nodes: tuple[Node, ...], dot: Any) -> None:
        for node in nodes:
            self._step()
            match node:
                case Text(text):
                    self._write(text)
                case Action(pipe):
                    value = self._pipe(pipe, dot)
                    if not pipe.variables:
                        self._write(shown(value))
                case Block():
                    self._block(node, dot)
                case Jump(kind):
                    raise _Break if kind == "break" else _Continue

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TemplateError(f"over {MAX_STEPS} steps")

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_OUTPUT:
            raise TemplateError(f"over {MAX_OUTPUT} characters")
        self.output.append(text)

    def _block(self, block: Block, dot: Any) -> None:
        depth = len(self._scopes)
        self._scopes.append({})
        try:
            if block.kind == "range":
                self._range(block, dot)
                return
            value = self._pipe(block.pipe, dot)
            if is_true(value):
                self.nodes(block.body, value if block.kind == "with" else dot)
            else:
                self.nodes(block.otherwise, dot)
        finally:
            del self._scopes[depth:]

    def _range(self, block: Block, dot: Any) -> None:
        value = self._pipe(Pipe(block.pipe.commands), dot)
        items = list(_items(value))
        if not items:
            self.nodes(block.otherwise, dot)
        for index, item in items:
            self._step()
            self._scopes.append({})
            depth = len(self._scopes)
            names = block.pipe.variables
            for name, part in zip(names, (index, item) if len(names) == 2 else (item,), strict=False):
                self._set(name, part, block.pipe.declares)
            try:
                self.nodes(block.body, item)
            except _Continue:
                pass
            except _Break:
                break
            finally:
                del self._scopes[depth - 1 :]

    def _set(self, name: str, value: Any, declares: bool) -> None:
        if not declares:
            for scope in reversed(self._scopes):
                if name in scope:
                    scope[name] = value
                    return
        self._scopes[-1][name] = value

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        self._step()
        value: Any = None
        for number, command in enumerate(pipe.commands):
            extra = (value,) if number else ()
            value = self._operand(command, dot, extra)
        for name in pipe.variables:
            self._set(name, value, pipe.declares)
        return value

    def _operand(self, operand: Operand, dot: Any, extra: tuple[Any, ...] = ()) -> Any:
        match operand:
            case Literal(value):
                return value
            case Path(variable, fields):
                return _fields(self._variable(variable) if variable else dot, fields)
            case Chain(pipe, fields):
                return _fields(self._pipe(pipe, dot), fields)
            case Call(function, arguments):
                return self._call(function, arguments, dot, extra)

    def _call(self, function: str, arguments: tuple[Operand, ...], dot: Any, extra: tuple[Any, ...]) -> Any:
        self._step()
        if function in ("and", "or") and arguments:
            # The first that settles it is the value, and those after it are not looked at.
            value: Any = None
            for argument in arguments:
                value = self._operand(argument, dot)
                if is_true(value) == (function == "or"):
                    return value
            return extra[0] if extra else value
        values = [*(self._operand(argument, dot) for argument in arguments), *extra]
        return FUNCTIONS[function](*values)

    def _variable(self, name: str) -> Any:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        raise TemplateError(f"{name} is not set")


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    match value:
        case None:
            return
        case dict():
            yield from sorted(value.items(), key=lambda item: str(item[0]))
        case list():
            yield from enumerate(value)
        case bool() | float() | str():
            raise TemplateError(f"range over {shown(value)[:40]!r}")
        case int():
            if value > MAX_STEPS:
                raise TemplateError(f"range over {value}")
            yield from ((number, number) for number in range(value))


def _fields(value: Any, fields: tuple[str, ...]) -> Any:
    for name in fields:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise TemplateError(f".{name} of {shown(value)[:40]!r}, which has no fields")
        value = _field(value, name)
    return value


def _field(value: Mapping[str, Any], name: str) -> Any:
    if name in value:
        return value[name]
    if isinstance(value, Strings):
        return ""
    # Go's names of fields differ from JSON's in case: ClusterIP is clusterIP.
    wanted = name.lower()
    return next((item for key, item in value.items() if isinstance(key, str) and key.lower() == wanted), None)
