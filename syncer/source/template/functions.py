"""The functions that templates may call: Go's own, and ExternalDNS's. Pure."""

import functools
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from syncer.source.template.parse import TemplateError

MAX_TEXT: Final = 65_536
"""Characters of any text that a function makes."""

_VERB: Final = re.compile(
    r"%(?P<flags>[-+ 0#]*)(?P<width>[0-9]{0,3})(?P<precision>\.[0-9]{0,3})?(?P<verb>.|$)", re.DOTALL
)


class Strings(dict[str, str]):
    """A map of strings: what it does not hold is the empty text, and case counts."""


def is_true(value: Any) -> bool:
    """Say whether a value is neither empty nor zero."""
    return bool(value)


def shown(value: Any) -> str:
    """Return a value as Go prints it; one that is absent is empty."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case dict():
            items = sorted((str(key), item) for key, item in value.items())
            return _bounded(f"map[{' '.join(f'{key}:{shown(item)}' for key, item in items)}]")
        case list():
            return _bounded(f"[{' '.join(map(shown, value))}]")
        case float():
            return f"{value:g}"
        case int() if value.bit_length() > 1000:
            raise TemplateError("a number past all bounds")
    return str(value)


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise TemplateError(f"a text of over {MAX_TEXT} characters")
    return text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TemplateError(f"{shown(value)[:40]!r} is no text")
    return value


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        match value:
            case None:
                return None
            case dict():
                value = value.get(_text(key), "" if isinstance(value, Strings) else None)
            case list() | str():
                value = value[_position(key, len(value) - 1)]
                value = ord(value) if isinstance(value, str) and len(value) == 1 and not keys else value
            case _:
                raise TemplateError(f"index of {shown(value)[:40]!r}")
    return value


def _position(key: Any, highest: int) -> int:
    if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key <= highest:
        raise TemplateError(f"index {shown(key)[:20]} is outside of 0..{highest}")
    return key


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, str | list) or len(bounds) > 2:
        raise TemplateError(f"slice of {shown(value)[:40]!r}")
    start = _position(bounds[0], len(value)) if bounds else 0
    end = _position(bounds[1], len(value)) if len(bounds) > 1 else len(value)
    return value[start:end] if start <= end else value[:0]


def _length(value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, str | list | dict):
        raise TemplateError(f"len of {shown(value)[:40]!r}")
    return len(value)


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("eq of one value")
    return any(_same(first, other) for other in others)


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one == other or {one, other} == {None, ""} if isinstance(one or other, str | None) else False
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _less(one: Any, other: Any) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if not numbers and not (isinstance(one, str) and isinstance(other, str)):
        raise TemplateError(f"cannot compare {shown(one)[:20]!r} with {shown(other)[:20]!r}")
    return bool(one < other)


def _printf(pattern: Any, *values: Any) -> str:
    left = list(values)

    def put(found: re.Match[str]) -> str:
        verb = found["verb"]
        if verb == "%":
            return "%"
        if not left or verb not in ("s", "v", "d", "q", "t", "x"):
            raise TemplateError(f"printf {found.group()[:20]!r}: no value for it, or a verb not supported")
        text = _formatted(verb, left.pop(0), found)
        width = int(found["width"] or 0)
        return text.ljust(width) if "-" in found["flags"] else text.rjust(width)

    text = _VERB.sub(put, _text(pattern))
    if left:
        raise TemplateError(f"printf: {len(left)} values too many")
    return _bounded(text)


def _formatted(verb: str, value: Any, found: re.Match[str]) -> str:
    if verb in ("d", "x") and not (verb == "x" and isinstance(value, str)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TemplateError(f"printf %{verb} of {shown(value)[:40]!r}, which is no whole number")
        digits = f"{abs(value):x}" if verb == "x" else shown(abs(value))
        sign = "-" if value < 0 else "+" if "+" in found["flags"] else ""
        room = int(found["width"] or 0) - len(sign) if "0" in found["flags"] else 0
        return sign + digits.rjust(room, "0")
    if verb == "x":
        return str(value).encode("utf-8", "surrogatepass").hex()
    text = shown(value)
    if found["precision"] is not None and verb in ("s", "v"):
        text = text[: int(found["precision"][1:] or 0)]
    return json.dumps(text, ensure_ascii=False) if verb == "q" else text


def _print(*values: Any) -> str:
    return _bounded("".join(map(shown, values)))


def _replace(old: Any, new: Any, text: Any) -> str:
    old, new, text = _text(old), _text(new), _text(text)
    if len(text) + (text.count(old)) * len(new) > 2 * MAX_TEXT:
        raise TemplateError(f"a text of over {MAX_TEXT} characters")
    return _bounded(text.replace(old, new))


def _is_address(version: int, text: Any) -> bool:
    try:
        return ipaddress.ip_address(_text(text)).version == version
    except ValueError:
        return False


def _has_key(value: Any, key: Any) -> bool:
    return isinstance(value, dict) and _text(key) in value


def _from_json(text: Any) -> Any:
    try:
        return json.loads(_text(text))
    except (ValueError, RecursionError):
        raise TemplateError(f"fromJson of {shown(text)[:40]!r}") from None


def _checked(function: Callable[..., Any], name: str, least: int, most: int) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*values: Any) -> Any:
        if not least <= len(values) <= most:
            raise TemplateError(f"{name} got {len(values)} values")
        return function(*values)

    return call


_MANY: Final = 1000

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    name: _checked(function, name, least, most)
    for name, function, least, most in (
        ("and", lambda *values: values[-1], 1, _MANY),
        ("or", lambda *values: values[-1], 1, _MANY),
        ("not", lambda value: not is_true(value), 1, 1),
        ("len", _length, 1, 1),
        ("index", _index, 1, _MANY),
        ("slice", _slice, 1, 3),
        ("print", _print, 0, _MANY),
        ("println", lambda *values: _bounded(" ".join(map(shown, values)) + "\n"), 0, _MANY),
        ("printf", _printf, 1, _MANY),
        ("eq", _equal, 2, _MANY),
        ("ne", lambda one, other: not _same(one, other), 2, 2),
        ("lt", _less, 2, 2),
        ("le", lambda one, other: not _less(other, one), 2, 2),
        ("gt", lambda one, other: _less(other, one), 2, 2),
        ("ge", lambda one, other: not _less(one, other), 2, 2),
        ("contains", lambda text, part: _text(part) in _text(text), 2, 2),
        ("trimPrefix", lambda text, part: _text(text).removeprefix(_text(part)), 2, 2),
        ("trimSuffix", lambda text, part: _text(text).removesuffix(_text(part)), 2, 2),
        ("trim", lambda text: _text(text).strip(), 1, 1),
        ("toLower", lambda text: _text(text).lower(), 1, 1),
        ("replace", _replace, 3, 3),
        ("isIPv4", lambda text: _is_address(4, text), 1, 1),
        ("isIPv6", lambda text: _is_address(6, text), 1, 1),
        ("hasKey", _has_key, 2, 2),
        ("fromJson", _from_json, 1, 1),
    )
}
