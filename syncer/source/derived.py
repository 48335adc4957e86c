"""What a source derives from its objects, and the rules that all sources share. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from syncer.endpoint import Endpoint, ObjectRef, RecordType, Rejection, Target, target, target_order
from syncer.source.annotations import Wishes
from syncer.source.filters import Options
from syncer.source.reader import Object


@dataclass(frozen=True, slots=True)
class Derived:
    endpoints: tuple[Endpoint, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    pending: frozenset[str] = frozenset()
    """Names whose targets depend on objects that are not known yet."""
    unsettled: frozenset[str] = frozenset()
    """The objects that ask for them: also names that cannot be told yet are theirs."""
    waiting: frozenset[tuple[str, ObjectRef]] = frozenset()
    """Names that an object asks for without having a target for them, each with the object."""


def usable_targets(texts: Iterable[str], ref: ObjectRef, where: str) -> tuple[list[Target], list[Rejection]]:
    """Return the targets among texts of an object's field `where`, and what is wrong with the others."""
    found: list[Target] = []
    faults: list[Rejection] = []
    for text in texts:
        try:
            found.append(target(text))
        except ValueError as error:
            faults.append(Rejection(str(ref), "target", f"{where}: {error}"))
    return found, faults


def names_of(
    obj: Object, annotated: Collection[str], names: Iterable[str], options: Options
) -> tuple[str, ...]:
    """Return an object's names with those of the template: in place of none annotated, or beside them."""
    if annotated and not options.combine_fqdn_annotation:
        return tuple(names)
    return tuple(dict.fromkeys((*names, *obj.templated)))


def endpoints_for(
    names: Iterable[str], targets: Iterable[Target], wishes: Wishes, ref: ObjectRef
) -> Iterator[Endpoint | Rejection]:
    """Yield an endpoint for each name and type of target, one for each target that is a name.

    Without targets there is one without them for each name, which `derived` takes out again.
    """
    by_type: dict[RecordType, set[str]] = defaultdict(set)
    for found in targets:
        by_type[found.type].add(found.text)
    cnames = by_type.pop("CNAME", set())
    for name in names:
        if not by_type and not cnames:
            yield _endpoint(name, "A", set(), wishes, ref)
        for type_, texts in by_type.items():
            yield _endpoint(name, type_, texts, wishes, ref)
        for text in sorted(cnames):
            if text == name:
                yield Rejection(str(ref), "target", f"{name} would be an alias of itself")
            else:
                yield _endpoint(name, "CNAME", {text}, wishes, ref)


def _endpoint(name: str, type_: RecordType, texts: set[str], wishes: Wishes, ref: ObjectRef) -> Endpoint:
    return Endpoint(
        name=name,
        type=type_,
        targets=tuple(sorted(texts, key=target_order)),
        ttl=wishes.ttl,
        group=wishes.group,
        resource=ref,
        wants_ptr=wishes.wants_ptr,
    )


def merge(endpoints: Iterable[Endpoint], *, across_ttls: bool) -> tuple[Endpoint, ...]:
    """Unite the addresses of endpoints with one name and type; the oldest object gives all else.

    Endpoints with different TTLs stay apart unless `across_ttls`, and compete in the plan. Names as
    targets stay apart, because a CNAME has one.
    """
    groups: dict[tuple[str, str, object], list[Endpoint]] = defaultdict(list)
    for endpoint in sorted(endpoints, key=lambda e: e.resource.seniority):
        apart = endpoint.targets if endpoint.type == "CNAME" else None
        groups[endpoint.name, endpoint.type, (apart, 0 if across_ttls else endpoint.ttl)].append(endpoint)
    return tuple(
        replace(group[0], targets=tuple(sorted({t for e in group for t in e.targets}, key=target_order)))
        for group in groups.values()
    )


def derived(
    parts: Iterable[Endpoint | Rejection],
    *,
    across_ttls: bool,
    pending: Collection[str] = (),
    unsettled: Collection[str] = (),
) -> Derived:
    """Sort what a source yielded into a result."""
    endpoints: list[Endpoint] = []
    waiting: set[tuple[str, ObjectRef]] = set()
    rejections: dict[Rejection, None] = {}
    for part in parts:
        if not isinstance(part, Endpoint):
            rejections[part] = None
        elif part.targets:
            endpoints.append(part)
        else:
            waiting.add((part.name, part.resource))
    merged = merge(endpoints, across_ttls=across_ttls)
    found = Derived(merged, tuple(rejections))
    if pending or unsettled or waiting:
        found = replace(
            found, pending=frozenset(pending), unsettled=frozenset(unsettled), waiting=frozenset(waiting)
        )
    return found
