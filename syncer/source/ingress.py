"""Ingresses → endpoints. Pure."""

from collections.abc import Iterable, Iterator

from syncer.endpoint import Endpoint, Rejection, host_name
from syncer.source.annotations import Wishes, read_wishes
from syncer.source.derived import Derived, derived, endpoints_for, names_of, usable_targets
from syncer.source.filters import Options, is_selected
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
    if not _is_selected(ingress, options):
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


def _is_selected(ingress: Ingress, options: Options) -> bool:
    if not is_selected(ingress, options):
        return False
    class_name = ingress.class_name or ingress.annotations.get(_CLASS_ANNOTATION, "")
    return not options.ingress_classes or class_name in options.ingress_classes


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
