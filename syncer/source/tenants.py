"""Which namespace may claim which names, where many tenants share a zone. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from syncer.endpoint import ObjectRef, Rejection
from syncer.source.derived import Derived
from syncer.source.filters import DomainFilter

OTHERS: Final = "*"
"""Stands for every namespace that is not listed."""


@dataclass(frozen=True, slots=True)
class Tenants:
    """The flag --namespace-domains. Without any, every namespace may claim every name."""

    domains: Mapping[str, DomainFilter] = field(default_factory=dict)
    """By namespace."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Tenants":
        """Read `NAMESPACE=DOMAIN`, several with commas between.

        Raises:
            ValueError: neither; the text says which part.
        """
        found: dict[str, list[str]] = {}
        for part in (part.strip() for text in texts for part in text.split(",")):
            namespace, _, domain = part.partition("=")
            if not namespace or not domain.strip("."):
                raise ValueError(f"{part!r}: expected NAMESPACE=DOMAIN, as team-a=a.k8s.local")
            found.setdefault(namespace, []).append(domain)
        return cls({namespace: DomainFilter.of(domains) for namespace, domains in found.items()})

    def __bool__(self) -> bool:
        return bool(self.domains)

    def allows(self, ref: ObjectRef, name: str) -> bool:
        """Say whether an object may claim a name; one without a namespace, as a node, may claim any."""
        if not self.domains or not ref.namespace:
            return True
        domains = self.domains.get(ref.namespace) or self.domains.get(OTHERS)
        return domains is not None and domains.holds(name)

    def allowed(self, ref: ObjectRef, derived: Derived) -> Derived:
        """Return what an object asks for without the names that it may not claim."""
        if not self.domains:
            return derived
        names = {e.name for e in derived.endpoints} | {name for name, _ in derived.waiting} | derived.pending
        refused = {name for name in names if not self.allows(ref, name)}
        if not refused:
            return derived
        said = (
            Rejection(str(ref), "namespace", f"{name}: the namespace may not claim it (--namespace-domains)")
            for name in sorted(refused)
        )
        return replace(
            derived,
            endpoints=tuple(e for e in derived.endpoints if e.name not in refused),
            rejections=(*derived.rejections, *said),
            pending=derived.pending - refused,
            waiting=frozenset(claim for claim in derived.waiting if claim[0] not in refused),
        )
