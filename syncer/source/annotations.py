"""Annotations of ExternalDNS on an object → what it asks for. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from syncer.duration import parse_duration
from syncer.endpoint import MAX_TTL, ObjectRef, Reason, Rejection, Target, host_name, target

PREFIXES: Final = ("external-dns.kubernetes.io/", "external-dns.alpha.kubernetes.io/")
"""The first that carries a key wins."""

CONTROLLER: Final = "dns-controller"

Access = Literal["public", "private", ""]
T = TypeVar("T")

_ACCESS: Final[Mapping[str, Access]] = {"public": "public", "private": "private"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the annotations of one object ask for."""

    is_ignored: bool = False
    """Another controller is named: the object is not ours to publish."""
    hostnames: tuple[str, ...] = ()
    internal_hostnames: tuple[str, ...] = ()
    targets: tuple[Target, ...] | None = None
    """None: not annotated. Empty: annotated, and not one of them can be used."""
    ttl: int = 0
    """Seconds; 0 is unset."""
    access: Access = ""
    group: str = ""
    faults: tuple[Rejection, ...] = ()


def read_wishes(annotations: Mapping[str, str], ref: ObjectRef, prefixes: Sequence[str] = PREFIXES) -> Wishes:
    """Return what an object's annotations ask for; an item that cannot be used is a fault, the rest stays."""
    reader = _Reader(annotations, str(ref), prefixes)
    controller = reader.get("controller")
    if controller is not None and controller != CONTROLLER:
        return Wishes(is_ignored=True)
    return Wishes(
        hostnames=reader.each("hostname", "hostname", host_name) or (),
        internal_hostnames=reader.each("internal-hostname", "hostname", host_name) or (),
        targets=reader.each("target", "target", target) if reader.get("target") else None,
        ttl=reader.ttl(),
        access=_ACCESS.get(reader.get("access") or "", ""),
        group=reader.get("coredns-group") or "",
        faults=tuple(reader.faults),
    )


class _Reader:
    def __init__(self, annotations: Mapping[str, str], resource: str, prefixes: Sequence[str]) -> None:
        self._annotations, self._resource, self._prefixes = annotations, resource, prefixes
        self.faults: list[Rejection] = []

    def get(self, key: str) -> str | None:
        for prefix in self._prefixes:
            if (value := self._annotations.get(prefix + key)) is not None:
                return value
        return None

    def each(self, key: str, reason: Reason, parse: Callable[[str], T]) -> tuple[T, ...]:
        value = self.get(key)
        if value is None:
            return ()
        found: dict[T, None] = {}
        for item in value.replace(" ", "").strip().split(","):
            try:
                found[parse(item)] = None
            except ValueError as error:
                self.faults.append(Rejection(self._resource, reason, f"annotation {key}: {error}"))
        return tuple(found)

    def ttl(self) -> int:
        text = self.get("ttl")
        if text is None:
            return 0
        seconds = _seconds(text)
        if seconds is not None and 1 <= seconds <= MAX_TTL:
            return seconds
        detail = f"annotation ttl: {text[:40]!r} is ignored; expected 1..{MAX_TTL} seconds, or as 1m or 1h30m"
        self.faults.append(Rejection(self._resource, "ttl", detail))
        return 0


def _seconds(text: str) -> int | None:
    try:
        return int(parse_duration(text))
    except (ValueError, OverflowError):
        digits = text[1:] if text[:1] in ("+", "-") else text
        # int() would also take blanks, underscores and other scripts' digits.
        return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
