"""Which objects and names are considered at all. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from syncer.source.annotations import PREFIXES


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The flags that decide what objects ask for. Each is named as its flag is."""

    annotation_prefixes: tuple[str, ...] = PREFIXES
    namespace: str = ""
    """Empty: all."""
    ingress_classes: frozenset[str] = frozenset()
    """Empty: all; else Ingresses of these classes only, none without a class."""
    ignore_hostname_annotation: bool = False
    ignore_ingress_rules_spec: bool = False
    ignore_ingress_tls_spec: bool = False
    service_types: frozenset[str] = frozenset()
    """Empty: all."""
    publish_internal_services: bool = False


@dataclass(frozen=True, slots=True)
class DomainFilter:
    """Names that may be written. `k8s.local` holds itself and all below, `.k8s.local` only what is below."""

    include: tuple[str, ...] = ()
    """Empty: all."""
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, include: Iterable[str], exclude: Iterable[str] = ()) -> "DomainFilter":
        return cls(_normal(include), _normal(exclude))

    def holds(self, name: str) -> bool:
        included = not self.include or any(_covers(domain, name) for domain in self.include)
        return included and not any(_covers(domain, name) for domain in self.exclude)


def _normal(domains: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for domain in domains if (text := domain.strip().removesuffix(".").lower()))


def _covers(domain: str, name: str) -> bool:
    if domain.startswith("."):
        return name.endswith(domain)
    return name == domain or name.endswith(f".{domain}")
