"""Template text → nodes. Pure."""

import json
import re
from collections.abc import Collection
from typing import Final, NamedTuple

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

MAX_DEPTH: Final = 30
"""Blocks and brackets within each other."""

MAX_LENGTH: Final = 16_384
"""Characters of a template."""

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<number>[+-]?(?:[0-9]+\.[0-9]+|[0-9]+)(?![\w.]))
    |(?P<variable>\$[A-Za-z0-9_]*)
    |(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
    |(?P<dot>\.(?![A-Za-z0-9_.]))
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>:=|[=|(),])""",
    re.VERBOSE,
)
_UNSUPPORTED: Final = frozenset({"define", "template", "block", "call", "js", "html", "urlquery"})


class TemplateError(ValueError):
    """A template that cannot be parsed or carried out. The text says where and why."""


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str, functions: Collection[str]) -> tuple[Node, ...]:
    """Return the nodes of a template.

    Raises:
        TemplateError: not a template, or one that uses what is not supported here.
    """
    if len(text) > MAX_LENGTH:
        raise TemplateError(f"{len(text)} characters; at most {MAX_LENGTH}")
    return _Parser(text, functions).template()


class _Parser:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self._text, self._functions = text, functions
        self._tokens: list[_Token] = []
        self._at = 0
        self._variables: list[set[str]] = [{"$"}]
        self._depth = self._ranges = 0

    def fail(self, at: int, why: str) -> TemplateError:
        line = self._text.count("\n", 0, at) + 1
        column = at - (self._text.rfind("\n", 0, at) + 1) + 1
        return TemplateError(f"{line}:{column}: {why}")

    def template(self) -> tuple[Node, ...]:
        nodes, end = self._nodes()
        if end.text:
            raise self.fail(end.at, f"unexpected {end.text}")
        return nodes

    # Text and actions

    def _nodes(self) -> tuple[tuple[Node, ...], _Token]:
        """Return the nodes up to an `else` or `end`, or the end of the text, and what ended them."""
        nodes: list[Node] = []
        while True:
            start = self._text.find("{{", self._at)
            literal = self._text[self._at : start if start >= 0 else len(self._text)]
            if start >= 0 and re.match(r"\{\{-[ \t\r\n]", self._text[start : start + 4]):
                literal = literal.rstrip(" \t\r\n")
            if literal:
                nodes.append(Text(literal))
            if start < 0:
                self._at = len(self._text)
                return tuple(nodes), _Token("word", "", self._at)
            self._scan(start)
            if not self._tokens:
                continue
            first = self._tokens[0]
            if first.kind == "word" and first.text in ("end", "else"):
                return tuple(nodes), first
            nodes.append(self._action(first))

    def _scan(self, start: int) -> None:
        """Take the tokens of the action at `start`, and move behind it."""
        at = start + 2
        self._tokens = []
        if re.match(r"-[ \t\r\n]", self._text[at : at + 2]):
            at += 1
        comment = re.compile(r"[ \t\r\n]*/\*.*?\*/[ \t\r\n]*", re.DOTALL).match(self._text, at)
        at = comment.end() if comment else at
        while True:
            if self._text.startswith("}}", at):
                self._at = at + 2
                return
            if self._text.startswith("-}}", at) and self._text[at - 1 : at] in (" ", "\t", "\r", "\n", "/"):
                self._at = at + 3
                self._at += len(self._text[self._at :]) - len(self._text[self._at :].lstrip(" \t\r\n"))
                return
            found = _TOKEN.match(self._text, at)
            if at >= len(self._text):
                raise self.fail(start, "an action without its }}")
            if found is None:
                raise self.fail(at, f"unexpected {self._text[at]!r}")
            if comment:
                raise self.fail(at, "a comment stands alone in its braces")
            if found.lastgroup != "space":
                self._tokens.append(_Token(found.lastgroup or "", found.group(), at))
            elif self._tokens:
                self._tokens.append(_Token("space", "", at))
            at = found.end()

    def _action(self, first: _Token) -> Node:
        if first.kind == "word" and first.text in ("if", "with", "range"):
            self._take()
            return self._block(first)
        if first.kind == "word" and first.text in ("break", "continue"):
            self._take()
            self._finish()
            if not self._ranges:
                raise self.fail(first.at, f"{first.text} outside of range")
            return Jump(first.text)
        pipe = self._pipe(is_range=False)
        self._finish()
        return Action(pipe)

    def _block(self, start: _Token) -> Block:
        self._enter(start)
        self._variables.append(set())
        pipe = self._pipe(is_range=start.text == "range")
        self._finish()
        self._ranges += start.text == "range"
        body, end = self._nodes()
        self._ranges -= start.text == "range"
        otherwise: tuple[Node, ...] = ()
        if end.text == "else":
            self._take()
            if (
                (word := self._peek()).kind == "word"
                and word.text in ("if", "with")
                and start.text != "range"
            ):
                self._take()
                otherwise = (self._block(word),)
                self._close()
                return Block(start.text, pipe, body, otherwise)
            self._finish()
            otherwise, end = self._nodes()
        if end.text != "end":
            raise self.fail(start.at, f"{start.text} without its end")
        self._take()
        self._finish()
        self._close()
        return Block(start.text, pipe, body, otherwise)

    def _close(self) -> None:
        self._depth -= 1
        self._variables.pop()

    def _enter(self, token: _Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.fail(token.at, f"nested over {MAX_DEPTH} deep")

    # Within an action

    def _peek(self, *, past_space: bool = True) -> _Token:
        while past_space and self._tokens and self._tokens[0].kind == "space":
            self._tokens.pop(0)
        return self._tokens[0] if self._tokens else _Token("end", "}}", self._at - 2)

    def _take(self) -> _Token:
        token = self._peek()
        if self._tokens:
            self._tokens.pop(0)
        return token

    def _finish(self) -> None:
        if (token := self._peek()).kind != "end":
            raise self.fail(token.at, f"unexpected {token.text!r}")

    def _pipe(self, *, is_range: bool) -> Pipe:
        names, declares = self._declaration(is_range)
        commands = [self._command()]
        while self._peek().text == "|":
            self._take()
            token, command = self._peek(), self._command()
            if not isinstance(command, Call):
                raise self.fail(token.at, "expected a function after |")
            commands.append(command)
        if declares:
            self._variables[-1].update(names)
        return Pipe(tuple(commands), names, declares)

    def _declaration(self, is_range: bool) -> tuple[tuple[str, ...], bool]:
        plain = [token for token in self._tokens if token.kind != "space"]
        texts = [token.text for token in plain[:4]]
        kinds = [token.kind for token in plain[:4]]
        if kinds[:1] == ["variable"] and texts[1:2] in ([":="], ["="]):
            count = 1
        elif is_range and kinds[::2] == ["variable", "variable"] and texts[1::2] in ([",", ":="], [",", "="]):
            count = 2
        else:
            return (), False
        taken = [self._take() for _ in range(2 * count)]
        names, declares = tuple(token.text for token in taken[::2]), taken[-1].text == ":="
        for token in taken[::2]:
            if token.text == "$" or not (declares or self._is_known(token.text)):
                raise self.fail(token.at, f"{token.text} cannot be set here")
        return names, declares

    def _is_known(self, variable: str) -> bool:
        return any(variable in scope for scope in self._variables)

    def _command(self) -> Operand:
        token = self._peek()
        head = self._operand()
        arguments = []
        while (following := self._peek()).kind != "end" and following.text not in ("|", ")"):
            arguments.append(self._operand())
        if isinstance(head, Call):
            return Call(head.function, tuple(arguments))
        if arguments:
            raise self.fail(token.at, "arguments for what is no function")
        return head

    def _operand(self) -> Operand:
        token = self._take()
        match token.kind:
            case "string" | "raw" | "number":
                return Literal(self._literal(token))
            case "variable":
                if not self._is_known(token.text):
                    raise self.fail(token.at, f"no variable {token.text} here")
                return Path(token.text, self._fields())
            case "field":
                return Path("", (token.text[1:], *self._fields()))
            case "dot":
                return Path("")
            case "word":
                return self._word(token)
            case "sign" if token.text == "(":
                self._enter(token)
                pipe = self._pipe(is_range=False)
                self._depth -= 1
                if (closing := self._take()).text != ")":
                    raise self.fail(closing.at, "expected )")
                return Chain(pipe, self._fields())
        raise self.fail(token.at, f"unexpected {token.text!r}")

    def _word(self, token: _Token) -> Operand:
        if token.text in ("true", "false", "nil"):
            return Literal({"true": True, "false": False}.get(token.text))
        if token.text in _UNSUPPORTED:
            raise self.fail(token.at, f"{token.text} is not supported")
        if token.text not in self._functions:
            raise self.fail(
                token.at, f"no function {token.text}; known: {', '.join(sorted(self._functions))}"
            )
        return Call(token.text)

    def _fields(self) -> tuple[str, ...]:
        fields = []
        while (token := self._peek(past_space=False)).kind == "field":
            fields.append(token.text[1:])
            self._tokens.pop(0)
        return tuple(fields)

    def _literal(self, token: _Token) -> str | int | float:
        if token.kind == "raw":
            return token.text[1:-1]
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text[:25])
        try:
            text = json.loads(token.text)
        except ValueError:
            raise self.fail(token.at, f"{token.text}: an escape that is not supported") from None
        return str(text)
