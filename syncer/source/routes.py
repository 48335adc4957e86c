"""HTTPRoutes, GRPCRoutes and TLSRoutes → endpoints at the addresses of their Gateways. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from syncer.endpoint import Endpoint, Rejection, Target, host_name
from syncer.source.annotations import Wishes, read_wishes
from syncer.source.around import Around
from syncer.source.derived import Derived, derived, endpoints_for, names_of, usable_targets
from syncer.source.filters import Options, is_selected
from syncer.source.gateway import GROUP, Gateway, Listener, Parent, Route, fits_selector

_PROTOCOLS: Final[Mapping[str, frozenset[str]]] = {
    "HTTPRoute": frozenset({"HTTP", "HTTPS"}),
    "GRPCRoute": frozenset({"HTTP", "HTTPS"}),
    "TLSRoute": frozenset({"TLS"}),
}


class _Unknown(Exception):
    """It depends on objects that are not known yet."""


def endpoints_of_routes(
    routes: Iterable[Route | Rejection],
    around: Around,
    options: Options,
) -> Derived:
    """Return what routes of one kind ask for: their names at the Gateways that took them.

    While Gateways are not known the routes' names are pending. Namespaces are asked for only by a listener
    that selects routes by their namespace's labels.
    """
    source = _Routes(around, options)
    parts = [part for route in routes for part in source.endpoints_of(route)]
    return derived(parts, across_ttls=True, pending=source.pending, unsettled=source.unsettled)


class _Routes:
    def __init__(self, around: Around, options: Options) -> None:
        self._around, self._options = around, options
        self.pending: set[str] = set()
        self.unsettled: set[str] = set()

    def endpoints_of(self, route: Route | Rejection) -> Iterator[Endpoint | Rejection]:
        if isinstance(route, Rejection):
            yield route
            return
        if not is_selected(route, self._options):
            return
        wishes = read_wishes(route.annotations, route.ref, self._options.annotation_prefixes)
        if wishes.is_ignored:
            return
        yield from route.faults
        yield from wishes.faults
        names: list[str] = []
        for item in self._names(route, wishes):
            if isinstance(item, Rejection):
                yield item
            else:
                names.append(item)
        # Without a name of its own a route answers to its listeners' names.
        wanted = names_of(route, names, dict.fromkeys(names), self._options) or ("",)
        try:
            found = self._targets(route, wanted)
        except _Unknown:
            self.pending.update(filter(None, wanted))
            self.unsettled.add(str(route.ref))
            return
        for name, texts in found.items():
            yield from self._at(name, texts, route, wishes)

    def _at(
        self, name: str, texts: Sequence[str], route: Route, wishes: Wishes
    ) -> Iterator[Endpoint | Rejection]:
        targets: Sequence[Target]
        try:
            owner = host_name(name)
        except ValueError as error:
            yield Rejection(str(route.ref), "hostname", f"a listener's hostname: {error}")
            return
        targets, faults = usable_targets(dict.fromkeys(texts), route.ref, "the Gateway's address")
        yield from faults
        yield from endpoints_for((owner,), targets, wishes, route.ref)

    def _names(self, route: Route, wishes: Wishes) -> Iterator[str | Rejection]:
        if wishes.gateway_hostname_source != "annotation-only":
            for text in route.hostnames:
                try:
                    yield host_name(text)
                except ValueError as error:
                    yield Rejection(str(route.ref), "hostname", f"spec.hostnames: {error}")
        if (
            not self._options.ignore_hostname_annotation
            and wishes.gateway_hostname_source != "defined-hosts-only"
        ):
            yield from wishes.hostnames

    def _targets(self, route: Route, names: Sequence[str]) -> dict[str, list[str]]:
        """Return each name with the addresses of the Gateways that answer for it."""
        found: dict[str, list[str]] = {}
        for parent in route.accepted:
            if parent not in route.parents or (parent.group, parent.kind) != (GROUP, "Gateway"):
                continue
            gateway = self._gateway(parent)
            if gateway is None:
                continue
            targets = read_wishes(gateway.annotations, gateway.ref, self._options.annotation_prefixes).targets
            texts = gateway.addresses if targets is None else tuple(target.text for target in targets)
            for listener in gateway.listeners:
                if self._takes(gateway, listener, parent, route):
                    for name in names:
                        if shared := intersection(listener.hostname, name):
                            found.setdefault(shared, []).extend(texts)
        return found

    def _gateway(self, parent: Parent) -> Gateway | None:
        options = self._options
        found = self._around.gateways.find((parent.namespace, parent.name))
        if found is None:
            raise _Unknown
        gateway = next(iter(found.values()), None)
        if gateway is None:
            return None
        fits = (
            options.gateway_name in ("", gateway.ref.name)
            and options.gateway_namespace in ("", gateway.ref.namespace)
            and options.gateway_label_filter.fits(gateway.labels)
        )
        return gateway if fits else None

    def _takes(self, gateway: Gateway, listener: Listener, parent: Parent, route: Route) -> bool:
        return (
            parent.section in ("", listener.name)
            and parent.port in (0, listener.port)
            and listener.protocol in _PROTOCOLS[route.kind]
            and (not listener.kinds or (GROUP, route.kind) in listener.kinds)
            and self._allows(gateway, listener, route)
        )

    def _allows(self, gateway: Gateway, listener: Listener, route: Route) -> bool:
        if listener.from_ != "Selector":
            return listener.from_ == "All" or (
                listener.from_ == "Same" and gateway.ref.namespace == route.ref.namespace
            )
        namespaces = self._around.namespaces.find(route.ref.namespace)
        if namespaces is None:
            raise _Unknown
        return any(fits_selector(listener.selector, each.labels) for each in namespaces.values())


def intersection(listener: str, route: str) -> str:
    """Return the name that two host names have in common, the longer of a wildcard's; empty: none."""
    one, other = listener.lower().removesuffix("."), route.lower().removesuffix(".")
    if not one or not other or one == other:
        return one or other
    for wildcard, name in ((one, other), (other, one)):
        if wildcard.startswith("*.") and name.endswith(wildcard[1:]):
            return name
    return ""
