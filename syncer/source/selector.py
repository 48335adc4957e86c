"""Kubernetes label selectors, with `!=` also over annotations. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

_KEY: Final = re.compile(r"(?:[A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_SET: Final = re.compile(r"(\S+)\s+(in|notin)\s*\(([^()]*)\)")
_COMPARISON: Final = re.compile(r"([^\s=!<>]+)\s*(==|=|!=|<|>)\s*([^\s=!<>]*)")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")


class _Requirement(NamedTuple):
    key: str
    fits: Callable[[str | None], bool]


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed selector; an empty one fits everything."""

    text: str = ""
    requirements: tuple[_Requirement, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Selector":
        """Parse a selector.

        Raises:
            ValueError: it is none; the text says which part.
        """
        return cls(text, tuple(_requirement(part) for part in _parts(text)))

    def fits(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.fits(labels.get(requirement.key)) for requirement in self.requirements)


def _parts(text: str) -> Iterator[str]:
    """Yield what stands between commas outside of brackets."""
    depth, start = 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    if text.strip():
        yield text[start:].strip()


def _requirement(part: str) -> _Requirement:
    if found := _SET.fullmatch(part):
        key, operator, listed = found.groups()
        values = frozenset(value.strip() for value in listed.split(","))
        if operator == "in":
            return _Requirement(_key(key, part), lambda value: value in values)
        return _Requirement(_key(key, part), lambda value: value not in values)
    if found := _COMPARISON.fullmatch(part):
        key, operator, wanted = found.groups()
        return _Requirement(_key(key, part), _comparison(operator, wanted, part))
    if part.startswith("!"):
        return _Requirement(_key(part[1:].strip(), part), lambda value: value is None)
    return _Requirement(_key(part, part), lambda value: value is not None)


def _comparison(operator: str, wanted: str, part: str) -> Callable[[str | None], bool]:
    if operator in ("<", ">"):
        if not _NUMBER.fullmatch(wanted):
            raise ValueError(f"{part!r}: expected a whole number after {operator}")
        bound = int(wanted)

        def compare(value: str | None) -> bool:
            if value is None or not _NUMBER.fullmatch(value):
                return False
            return int(value) < bound if operator == "<" else int(value) > bound

        return compare
    if operator == "!=":
        return lambda value: value != wanted
    return lambda value: value == wanted


def _key(key: str, part: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{part!r} is no part of a selector; expected as k, !k, k=v, k!=v or k in (v, w)")
    return key
