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

EndpointsType = Literal["NodeExternalIP", "HostIP", ""]

_ENDPOINTS_TYPES: Final[Mapping[str, EndpointsType]] = {
    "NodeExternalIP": "NodeExternalIP",
    "HostIP": "HostIP",
}
HOSTNAME_SOURCES: Final = ("annotation-only", "defined-hosts-only")
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
    endpoints_type: EndpointsType = ""
    hostname_source: str | None = None
    """Of ingress-hostname-source, lower case; None: not annotated."""
    gateway_hostname_source: str = ""
    """Of gateway-hostname-source, one of its two values or empty."""
    wants_ptr: bool = False
    """record-type: ptr."""
    group: str = ""
    faults: tuple[Rejection, ...] = ()


def read_wishes(annotations: Mapping[str, str], ref: ObjectRef, prefixes: Sequence[str] = PREFIXES) -> Wishes:
    """Return what an object's annotations ask for; an item that cannot be used is a fault, the rest stays."""
    reader = _Reader(annotations, str(ref), prefixes)
    controller = reader.get("controller")
    if controller is not None and controller != CONTROLLER:
        return Wishes(is_ignored=True)
    hostname_source = reader.get("ingress-hostname-source")
    return Wishes(
        hostnames=reader.each("hostname", "hostname", host_name) or (),
        internal_hostnames=reader.each("internal-hostname", "hostname", host_name) or (),
        targets=reader.each("target", "target", target) if reader.get("target") else None,
        ttl=reader.ttl(),
        access=_ACCESS.get(reader.get("access") or "", ""),
        endpoints_type=_ENDPOINTS_TYPES.get(reader.get("endpoints-type") or "", ""),
        hostname_source=None if hostname_source is None else hostname_source.lower(),
        gateway_hostname_source=reader.choice("gateway-hostname-source", HOSTNAME_SOURCES),
        wants_ptr=(reader.get("record-type") or "").strip().lower() == "ptr",
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

    def choice(self, key: str, known: Sequence[str]) -> str:
        text = (self.get(key) or "").lower()
        if text and text not in known:
            detail = f"annotation {key}: {text[:40]!r} is ignored; expected {' or '.join(known)}"
            self.faults.append(Rejection(self._resource, "annotation", detail))
        return text if text in known else ""

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
