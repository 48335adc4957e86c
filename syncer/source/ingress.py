"""Ingresses → endpoints. Pure."""

from collections.abc import Iterable, Iterator

from syncer.endpoint import Endpoint, Rejection, host_name
from syncer.source.annotations import Wishes, read_wishes
from syncer.source.derived import Derived, derived, endpoints_for, names_of, usable_targets
from syncer.source.filters import Options, exclusion
from syncer.source.objects import Ingress

_CLASS_ANNOTATION = "kubernetes.io/ingress.class"


def endpoints_of_ingresses(ingresses: Iterable[Ingress | Rejection], options: Options) -> Derived:
    """Return what Ingresses ask for: their hosts at the addresses in their status.

    Addresses of one name and TTL are united over all Ingresses.
    """
    parts = (part for ingress in ingresses for part in _endpoints_of(ingress, options))
    return derived(parts, across_ttls=False)


def _endpoints_of(ingress: Ingress | Rejection, options: Options) -> Iterator[Endpoint | Rejection]:
    if isinstance(ingress, Rejection):
        yield ingress
        return
    if exclusion_of_ingress(ingress, options):
        return
    wishes = read_wishes(ingress.annotations, ingress.ref, options.annotation_prefixes)
    if wishes.is_ignored:
        return
    yield from ingress.faults
    yield from wishes.faults
    targets = wishes.targets
    if targets is None:
        found, faults = usable_targets(ingress.addresses, ingress.ref, "status")
        yield from faults
        targets = tuple(found)
    names: list[str] = []
    for item in _names(ingress, wishes, options):
        if isinstance(item, Rejection):
            yield item
        else:
            names.append(item)
    names = list(names_of(ingress, names, dict.fromkeys(names), options))
    yield from endpoints_for(names, targets, wishes, ingress.ref)


def exclusion_of_ingress(ingress: Ingress, options: Options) -> str:
    """Return which filter leaves an Ingress out; empty: none."""
    if why := exclusion(ingress, options):
        return why
    class_name = ingress.class_name or ingress.annotations.get(_CLASS_ANNOTATION, "")
    if options.ingress_classes and class_name not in options.ingress_classes:
        return f"its class {class_name!r} is none of --ingress-class"
    return ""


def _names(ingress: Ingress, wishes: Wishes, options: Options) -> Iterator[str | Rejection]:
    source, known = wishes.hostname_source, ("annotation-only", "defined-hosts-only", None)
    if source not in known:
        detail = f"annotation ingress-hostname-source: {str(source)[:40]!r} is neither annotation-only"
        yield Rejection(str(ingress.ref), "annotation", f"{detail} nor defined-hosts-only")
        return
    hosts: list[tuple[str, str]] = []
    if not options.ignore_ingress_rules_spec and source != "annotation-only":
        hosts += [("spec.rules", host) for host in ingress.rule_hosts]
    if not options.ignore_ingress_tls_spec and source != "annotation-only":
        hosts += [("spec.tls", host) for host in ingress.tls_hosts]
    for where, host in hosts:
        try:
            yield host_name(host)
        except ValueError as error:
            yield Rejection(str(ingress.ref), "hostname", f"{where}: {error}")
    if not options.ignore_hostname_annotation and source != "defined-hosts-only":
        yield from wishes.hostnames
