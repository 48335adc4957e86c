"""Which objects and names are considered at all. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from syncer.endpoint import Target
from syncer.source.annotations import PREFIXES
from syncer.source.reader import Object
from syncer.source.selector import Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The flags that decide what objects ask for. Each is named as its flag is."""

    annotation_prefixes: tuple[str, ...] = PREFIXES
    namespaces: frozenset[str] = frozenset()
    """Empty: all."""
    label_filter: Selector = field(default_factory=Selector)
    annotation_filter: Selector = field(default_factory=Selector)
    templates: bool = False
    """Objects carry names made by --fqdn-template."""
    combine_fqdn_annotation: bool = False
    """These names count beside annotated ones too, not only in their place."""
    ingress_classes: frozenset[str] = frozenset()
    """Empty: all; else Ingresses of these classes only, none without a class."""
    ignore_hostname_annotation: bool = False
    ignore_ingress_rules_spec: bool = False
    ignore_ingress_tls_spec: bool = False
    service_types: frozenset[str] = frozenset()
    """Empty: all."""
    resolve_service_load_balancer_hostname: bool = False
    publish_internal_services: bool = False
    publish_host_ip: bool = False
    always_publish_not_ready_addresses: bool = False
    exclude_unschedulable: bool = True
    expose_internal_ipv6: bool = False
    default_targets: tuple[Target, ...] = ()
    """For the items of a DNSEndpoint that have none."""
    gateway_name: str = ""
    gateway_namespace: str = ""
    gateway_label_filter: Selector = field(default_factory=Selector)


def exclusion(obj: Object, options: Options) -> str:
    """Return which filter leaves an object out: for namespace, labels or annotations; empty: none."""
    namespace = obj.ref.namespace
    if options.namespaces and namespace and namespace not in options.namespaces:
        return "its namespace is none of --namespace"
    if not options.label_filter.fits(obj.labels):
        return f"its labels do not fit --label-filter={options.label_filter.text}"
    if not options.annotation_filter.fits(obj.annotations):
        return f"its annotations do not fit --annotation-filter={options.annotation_filter.text}"
    return ""


def is_selected(obj: Object, options: Options) -> bool:
    """Say whether an object passes the filters for namespace, labels and annotations."""
    return not exclusion(obj, options)


class NameFilter(Protocol):
    """Names that may be written."""

    def holds(self, name: str) -> bool: ...


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


@dataclass(frozen=True, slots=True)
class RegexFilter:
    """Names that may be written: those an expression is found in, but for those the other is found in."""

    include: re.Pattern[str] | None = None
    exclude: re.Pattern[str] | None = None

    def holds(self, name: str) -> bool:
        if self.exclude is not None and self.exclude.search(name):
            return False
        return self.include is None or self.include.search(name) is not None


def _normal(domains: Iterable[str]) -> tuple[str, ...]:
    # The names filtered are ASCII, so an internationalised domain is compared in that form.
    return tuple(_ascii(text) for domain in domains if (text := domain.strip().removesuffix(".").lower()))


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    dot, rest = ("." if text.startswith(".") else ""), text.removeprefix(".")
    try:
        return dot + rest.encode("idna").decode()
    except UnicodeError:
        return text


def _covers(domain: str, name: str) -> bool:
    if domain.startswith("."):
        return name.endswith(domain)
    return name == domain or name.endswith(f".{domain}")
