"""What all objects ask for, indexed by object and by name, and kept up to date object by object. Pure.

Law: objects taken one after the other, each any number of times, give what taking the last of each at once
gives. What is asked for under one name costs no more to tell than that name's claims.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from syncer.endpoint import Endpoint, ObjectRef, Rejection
from syncer.source.derived import Derived, merge
from syncer.source.shaping import Shape, addresses_to_reverse, finished, reverse, shaped
from syncer.source.tenants import Tenants

_NOTHING: Final = Derived()


class ObjectKey(NamedTuple):
    """An object: of which source, in which namespace, of which name."""

    source: int
    namespace: str
    name: str


class Asked(NamedTuple):
    """What is asked for under one name."""

    endpoints: tuple[Endpoint, ...] = ()
    waiting: frozenset[str] = frozenset()
    """The objects that ask for the name without having a target for it."""
    is_pending: bool = False
    """Some of its targets are not known yet."""
    rejections: tuple[Rejection, ...] = ()


class _Claim(NamedTuple):
    """What one object asks for under one name."""

    endpoints: tuple[Endpoint, ...]
    waiting: ObjectRef | None
    is_pending: bool

    @property
    def ref(self) -> ObjectRef | None:
        """The object, None where only a pending name is known of it."""
        return self.endpoints[0].resource if self.endpoints else self.waiting


class Desired:
    """The index."""

    def __init__(self, across_ttls: Callable[[int], bool], shape: Shape, tenants: Tenants) -> None:
        """Make an empty one; `across_ttls` says of a source whether it unites addresses of unlike TTLs."""
        self._across_ttls, self._shape, self._tenants = across_ttls, shape, tenants
        self._parts: dict[ObjectKey, Derived] = {}
        self._claims: dict[str, dict[ObjectKey, _Claim]] = {}
        self._reverse_of: dict[str, frozenset[str]] = {}
        """The reverse names that want a PTR to a name."""
        self._forward_of: dict[str, set[str]] = {}
        """The names that a PTR is wanted to, by reverse name."""
        self._unsettled: dict[ObjectKey, frozenset[str]] = {}
        self._touched: set[str] = set()

    @property
    def names(self) -> Collection[str]:
        """Every name that anything asks for."""
        return self._claims.keys() | self._forward_of.keys()

    @property
    def unsettled(self) -> frozenset[str]:
        """The objects whose names cannot all be told yet."""
        return frozenset().union(*self._unsettled.values())

    def part(self, key: ObjectKey) -> Derived:
        """Return what an object asks for."""
        return self._parts.get(key, _NOTHING)

    def take(self, key: ObjectKey, after: Derived) -> bool:
        """Take what an object asks for now, nothing where it is gone; say whether that is news."""
        before = self.part(key)
        if before == after:
            return False
        for name in _names(before):
            claims = self._claims[name]
            del claims[key]
            if not claims:
                del self._claims[name]
        for name, claim in _by_name(after).items():
            self._claims.setdefault(name, {})[key] = claim
        self._touched |= _names(before) | _names(after)
        self._parts[key] = after
        if after == _NOTHING:
            del self._parts[key]
        self._unsettled.pop(key, None)
        if after.unsettled:
            self._unsettled[key] = after.unsettled
        return True

    def take_touched(self) -> frozenset[str]:
        """Return the names that something has changed for since they were last taken."""
        touched, self._touched = self._touched, set()
        if "PTR" in self._shape.managed_types:
            for name in list(touched):
                touched |= self._reversed_anew(name)
        return frozenset(touched)

    def _reversed_anew(self, name: str) -> set[str]:
        """Bring the index of reverse names up to date; return those that are or were about a name."""
        before = self._reverse_of.pop(name, frozenset())
        after = frozenset(addresses_to_reverse(self._forward(name), self._shape))
        for each in before - after:
            self._forward_of[each].discard(name)
            if not self._forward_of[each]:
                del self._forward_of[each]
        for each in after:
            self._forward_of.setdefault(each, set()).add(name)
        if after:
            self._reverse_of[name] = after
        # Also those that stay: the TTL may be another one.
        return set(before | after)

    def at(self, name: str) -> Asked:
        """Return what is asked for under a name."""
        claims, rejections = self._kept(name)
        endpoints = self._forward(name)
        if forward := self._forward_of.get(name):
            wanting = [addresses_to_reverse(self._forward(each), self._shape) for each in sorted(forward)]
            endpoints = (*endpoints, reverse(name, [found[name] for found in wanting if name in found]))
        return Asked(
            finished(endpoints, self._shape),
            frozenset(str(claim.waiting) for claim in claims.values() if claim.waiting is not None),
            any(claim.is_pending for claim in claims.values()),
            rejections,
        )

    def _forward(self, name: str) -> tuple[Endpoint, ...]:
        """Return what objects ask for under a name, without the PTRs that come of other names."""
        by_source: dict[int, list[Endpoint]] = {}
        claims = self._kept(name)[0]
        for key, claim in sorted(claims.items()):
            by_source.setdefault(key.source, []).extend(claim.endpoints)
        if len(claims) > 1:
            for source, endpoints in by_source.items():
                by_source[source] = list(merge(endpoints, across_ttls=self._across_ttls(source)))
        return shaped([endpoint for endpoints in by_source.values() for endpoint in endpoints], self._shape)

    def _kept(self, name: str) -> tuple[Mapping[ObjectKey, _Claim], tuple[Rejection, ...]]:
        """Return the claims that count, and why others do not."""
        claims = self._claims.get(name, {})
        return _of_one_namespace(name, claims) if self._tenants and len(claims) > 1 else (claims, ())


def _names(part: Derived) -> set[str]:
    return {e.name for e in part.endpoints} | {name for name, _ in part.waiting} | part.pending


def _by_name(part: Derived) -> dict[str, _Claim]:
    endpoints: dict[str, list[Endpoint]] = {}
    for endpoint in part.endpoints:
        endpoints.setdefault(endpoint.name, []).append(endpoint)
    waiting = dict(part.waiting)
    return {
        name: _Claim(tuple(endpoints.get(name, ())), waiting.get(name), name in part.pending)
        for name in _names(part)
    }


def _of_one_namespace(
    name: str, claims: Mapping[ObjectKey, _Claim]
) -> tuple[Mapping[ObjectKey, _Claim], tuple[Rejection, ...]]:
    """Return the claims of the namespace whose object is the oldest, target or not, and why no others."""
    refs = {key: ref for key, claim in claims.items() if (ref := claim.ref) is not None}
    first = min(refs.values(), key=lambda ref: ref.seniority, default=None)
    if first is None:
        return claims, ()
    losers = {key: ref for key, ref in refs.items() if ref.namespace != first.namespace}
    kept = {key: claim for key, claim in claims.items() if key not in losers}
    said = [
        Rejection(str(ref), "conflict", f"{name} is not written: the name is taken by {first}")
        for _, ref in sorted(losers.items())
    ]
    return kept, tuple(said)
