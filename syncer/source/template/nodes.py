"""What a template is parsed into."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class Path:
    """Fields of a variable; the variable `""` is the dot."""

    variable: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of what stands in brackets."""

    pipe: "Pipe"
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple["Operand", ...] = ()


Operand = Literal | Path | Chain | Call


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands; the value of each is the last argument of the next."""

    commands: tuple[Operand, ...]
    variables: tuple[str, ...] = ()
    """What is set to the value: one, or for range an index and an item."""
    declares: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Block:
    kind: str
    """`if`, `with` or `range`."""
    pipe: Pipe
    body: tuple["Node", ...] = ()
    otherwise: tuple["Node", ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Jump:
    kind: str
    """`break` or `continue`."""


Node = Text | Action | Block | Jump
