"""Corefiles to server blocks, as Caddy reads them: tokens, braces, snippets, imports, variables."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

MAX_IMPORTS: Final = 100
"""Imports within imports; a file that imports itself has no end."""


class CorefileError(ValueError):
    """A Corefile that cannot be read; the text names file and line."""


class Place(NamedTuple):
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Directive(NamedTuple):
    """A plugin, or an option of one, with what stands in its braces."""

    name: str
    arguments: tuple[str, ...]
    options: tuple["Directive", ...]
    place: Place


class ServerBlock(NamedTuple):
    keys: tuple[str, ...]
    """As `k8s.local:1053` or `tls://.`."""
    directives: tuple[Directive, ...]
    place: Place


class _Token(NamedTuple):
    text: str
    place: Place
    quoted: bool = False


Read = Callable[[str, str], Sequence[tuple[str, str]]]
"""(pattern of files, the file that names it) → the names and texts of those that fit, in order."""

_VARIABLE: Final = re.compile(r"\{\$([^{}]+)\}|\{%([^{}%]+)%\}")
_WORD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|#[^\n]*|(\n)|([^\s]+)', re.DOTALL)


def parse(text: str, file: str, read: Read, environment: Mapping[str, str]) -> list[ServerBlock]:
    """Return the server blocks of a Corefile, imports and variables resolved.

    Raises:
        CorefileError: braces that do not match, an import of nothing, or text outside a block.
    """
    return _Parser(read, environment).blocks(text, file)


def _lines(text: str, file: str) -> list[list[_Token]]:
    """Return the tokens of each line that has any; a quoted one may hold line breaks."""
    lines: list[list[_Token]] = []
    line: list[_Token] = []
    number = 1
    for match in _WORD.finditer(text):
        quoted, newline, plain = match.groups()
        if newline:
            if line:
                lines.append(line)
            line = []
        elif quoted is not None:
            line.append(_Token(re.sub(r'\\(["\\])', r"\1", quoted), Place(file, number), True))
        elif plain is not None:
            line.append(_Token(plain, Place(file, number)))
        number += match[0].count("\n")
    return [*lines, line] if line else lines


class _Parser:
    def __init__(self, read: Read, environment: Mapping[str, str]) -> None:
        self._read, self._environment = read, environment
        self._snippets: dict[str, tuple[Directive, ...]] = {}
        self._imports = 0

    def blocks(self, text: str, file: str) -> list[ServerBlock]:
        lines = iter(_lines(self._substituted(text), file))
        blocks: list[ServerBlock] = []
        keys: list[_Token] = []
        for line in lines:
            if line[0].text == "import" and not keys:
                blocks += self._imported_blocks(line)
                continue
            opens = line[-1].text == "{" and not line[-1].quoted
            keys += line[:-1] if opens else line
            if not opens and line[-1].text.endswith(","):
                continue
            place = line[0].place
            if not opens:
                # Without braces the rest of the file is one block.
                blocks.append(self._block(keys, tuple(self._directives(lines, None)), place))
                return blocks
            directives = tuple(self._directives(lines, place))
            if len(keys) == 1 and keys[0].text.startswith("(") and keys[0].text.endswith(")"):
                self._snippets[keys[0].text[1:-1]] = directives
            else:
                blocks.append(self._block(keys, directives, place))
            keys = []
        if keys:
            raise CorefileError(f"{keys[0].place}: expected {{ after {keys[0].text}")
        return blocks

    def _block(self, keys: list[_Token], directives: tuple[Directive, ...], place: Place) -> ServerBlock:
        texts = tuple(part for key in keys for part in key.text.split(",") if part)
        if not texts:
            raise CorefileError(f"{place}: a block without a zone before its brace")
        return ServerBlock(texts, directives, place)

    def _directives(self, lines: Iterator[list[_Token]], opened: Place | None) -> Iterator[Directive]:
        """Yield what stands up to the closing brace, or to the end where none was opened."""
        for line in lines:
            first, last = line[0], line[-1]
            if first.text == "}" and not first.quoted:
                if opened is None or len(line) > 1:
                    raise CorefileError(f"{first.place}: unexpected }}")
                return
            options: tuple[Directive, ...] = ()
            if last.text == "{" and not last.quoted:
                options = tuple(self._directives(lines, last.place))
                line = line[:-1]
            if not line:
                raise CorefileError(f"{first.place}: unexpected {{")
            arguments = tuple(token.text for token in line[1:])
            if first.text == "import":
                yield from self._imported(arguments, first.place)
            else:
                yield Directive(first.text, arguments, options, first.place)
        if opened is not None:
            raise CorefileError(f"{opened}: a brace that is not closed")

    def _imported(self, arguments: tuple[str, ...], place: Place) -> Iterator[Directive]:
        if arguments and arguments[0] in self._snippets:
            yield from (_filled(each, arguments[1:]) for each in self._snippets[arguments[0]])
            return
        for file, text in self._files(arguments, place):
            yield from self._directives(iter(_lines(self._substituted(text), file)), None)

    def _imported_blocks(self, line: list[_Token]) -> Iterator[ServerBlock]:
        arguments = tuple(token.text for token in line[1:])
        for file, text in self._files(arguments, line[0].place):
            yield from self.blocks(text, file)

    def _files(self, arguments: tuple[str, ...], place: Place) -> Sequence[tuple[str, str]]:
        self._imports += 1
        if not arguments or self._imports > MAX_IMPORTS:
            raise CorefileError(f"{place}: import: expected a snippet or a file, and no import of itself")
        found = self._read(arguments[0], place.file)
        if not found and "*" not in arguments[0]:
            raise CorefileError(f"{place}: import {arguments[0]}: no such snippet or file")
        return found

    def _substituted(self, text: str) -> str:
        return _VARIABLE.sub(lambda match: self._environment.get(match[1] or match[2], ""), text)


def _filled(directive: Directive, arguments: Sequence[str]) -> Directive:
    """Return a directive of a snippet with {args[N]} replaced by what the import gives."""

    def text(part: str) -> str:
        for number, value in enumerate(arguments):
            part = part.replace(f"{{args[{number}]}}", value)
        return part

    return directive._replace(
        name=text(directive.name),
        arguments=tuple(map(text, directive.arguments)),
        options=tuple(_filled(option, arguments) for option in directive.options),
    )
