"""Desired endpoints × current records → what to change. Pure.

The plan converges in one pass: planned again after it was carried out, it is empty. It never changes a
record of another owner, nor one that has none.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from syncer.endpoint import Endpoint, RecordType, Rejection, target_order

Policy = Literal["sync", "upsert-only", "create-only"]
"""May the plan create, update and delete; create and update; or create alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """What etcd holds for one name and type, of one owner."""

    name: str
    type: RecordType
    targets: tuple[str, ...] = ()
    """Sorted; none where only the ownership is left."""
    ttl: int = 0
    group: str = ""
    owner_id: str = ""
    """Empty: nobody's, as of a key that was made by hand."""
    resource: str = ""
    """The object it was made for, as `ingress/default/cheese`; empty where ownership is not kept."""
    intact: bool = True
    """False where the keys differ from what would be written: a leftover, a missing ownership, two TTLs."""


@dataclass(frozen=True, slots=True)
class Change:
    """One name and type from `before` (None: create) to `after` (None: delete)."""

    name: str
    type: RecordType
    before: Current | None
    after: Endpoint | None


@dataclass(frozen=True, slots=True)
class Plan:
    changes: tuple[Change, ...] = ()
    """Sorted by name and type."""
    rejected: Mapping[str, Sequence[Rejection]] = field(default_factory=dict)
    """By name: what is desired and not planned because something else stands in its way."""
    unsettled: frozenset[str] = frozenset()
    """Names that something stays at until it is known what asks for it."""

    @property
    def rejections(self) -> list[Rejection]:
        return [rejection for found in self.rejected.values() for rejection in found]


def _always(_: str) -> bool:
    return True


def plan(
    desired: Iterable[Endpoint],
    current: Iterable[Current],
    owner_id: str,
    policy: Policy = "sync",
    *,
    settled: Callable[[str], bool] = _always,
    pending: Collection[str] = frozenset(),
) -> Plan:
    """Return the changes that make etcd hold what is desired.

    Args:
        desired: candidates; several for one name and type compete.
        current: everything that etcd holds, of every owner.
        owner_id: whose records may be changed.
        policy: which kinds of change are allowed.
        settled: whether all that could ask for a resource's records is known; until then they are kept.
        pending: names whose targets are not known yet; nothing of theirs is changed.
    """
    wanted: dict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in desired:
        wanted[endpoint.name].append(endpoint)
    held: dict[str, list[Current]] = defaultdict(list)
    for record in current:
        held[record.name].append(record)
    names = sorted((wanted.keys() | held.keys()) - set(pending))
    one = _Name(owner_id, policy, settled)
    for name in names:
        one.plan(name, wanted.get(name, []), held.get(name, []))
    return Plan(tuple(one.changes), one.rejected, frozenset(one.unsettled))


class _Name:
    """Plans one name after the other; a name's plan depends on nothing outside it."""

    def __init__(self, owner_id: str, policy: Policy, settled: Callable[[str], bool]) -> None:
        self._owner_id, self._policy, self._settled = owner_id, policy, settled
        self.changes: list[Change] = []
        self.rejected: dict[str, list[Rejection]] = {}
        self.unsettled: set[str] = set()

    def plan(self, name: str, candidates: Sequence[Endpoint], held: Sequence[Current]) -> None:
        ours = {r.type: r for r in held if r.owner_id == self._owner_id}
        foreign = [r for r in held if r.owner_id != self._owner_id]
        chosen = self._choose(candidates)
        changes: list[Change] = []
        for type_ in sorted(ours.keys() | chosen.keys()):
            change = Change(name, type_, ours.get(type_), chosen.get(type_))
            if self._is_needed(change) and self._is_free(change, foreign):
                changes.append(change)
        self.changes += self._without_illegal_cname(changes, ours)

    def _choose(self, candidates: Iterable[Endpoint]) -> dict[RecordType, Endpoint]:
        """Return the endpoint of each type that the name gets: those of the oldest objects."""
        chosen: dict[RecordType, Endpoint] = {}
        for endpoint in sorted(candidates, key=_seniority):
            rival = chosen.get(endpoint.type) or _cname_rival(endpoint, chosen)
            if rival is None:
                chosen[endpoint.type] = endpoint
            elif rival.resource == endpoint.resource and rival.type != endpoint.type:
                self._reject(endpoint, "the name has other data too")
            elif (rival.type, rival.targets, rival.ttl) != (endpoint.type, endpoint.targets, endpoint.ttl):
                self._reject(endpoint, f"the name is taken by {rival.resource}")
        return chosen

    def _is_needed(self, change: Change) -> bool:
        before, after = change.before, change.after
        if before is None:
            return True
        if after is None:
            return self._policy == "sync" and self._is_settled(before)
        if before.intact and _matches(before, after):
            return False
        if before.resource and before.resource != str(after.resource) and not self._is_settled(before):
            return False
        return self._policy != "create-only" or not before.targets

    def _is_settled(self, before: Current) -> bool:
        is_settled = self._settled(before.resource)
        if not is_settled:
            self.unsettled.add(before.name)
        return is_settled

    def _is_free(self, change: Change, foreign: Sequence[Current]) -> bool:
        if change.after is None or (change.before is not None and change.before.targets):
            return True
        blocking = [r for r in foreign if r.targets and not _can_share(r.type, change.type)]
        if blocking:
            owner = f"owner {blocking[0].owner_id!r}" if blocking[0].owner_id else "nobody that is known"
            why = f"its {blocking[0].type} belongs to {owner}"
            detail = f"{change.name} {change.type} is not written: {why}"
            rejection = Rejection(str(change.after.resource), "foreign", detail)
            self.rejected.setdefault(change.name, []).append(rejection)
        return not blocking

    def _without_illegal_cname(
        self, changes: list[Change], ours: Mapping[RecordType, Current]
    ) -> list[Change]:
        """Drop creates that would stand beside a CNAME, or make one beside what stays."""
        deleted = {change.type for change in changes if change.after is None}
        staying = {type_ for type_, record in ours.items() if record.targets} - deleted
        kept = []
        for change in changes:
            others = staying - {change.type}
            illegal = others and ("CNAME" in others or change.type == "CNAME")
            if change.after is not None and change.type not in staying and illegal:
                self._reject(change.after, f"its {min(others)} may not be deleted now")
            else:
                kept.append(change)
        return kept

    def _reject(self, endpoint: Endpoint, why: str) -> None:
        shown = f"{endpoint.name} {endpoint.type} {','.join(endpoint.targets)}"
        rejection = Rejection(str(endpoint.resource), "conflict", f"{shown} is not written: {why}")
        self.rejected.setdefault(endpoint.name, []).append(rejection)


def _can_share(foreign: RecordType, type_: RecordType) -> bool:
    """Say whether a name may hold a stranger's records beside ours: never those that answer for the same."""
    addresses = ("A", "AAAA", "CNAME")
    if "CNAME" in (foreign, type_) or (foreign in addresses and type_ in addresses):
        return False
    return foreign != type_


def _matches(before: Current, after: Endpoint) -> bool:
    is_same_object = before.resource in ("", str(after.resource))
    return is_same_object and (before.targets, before.ttl, before.group) == (
        after.targets,
        after.ttl,
        after.group,
    )


def _seniority(endpoint: Endpoint) -> tuple[object, ...]:
    """Return what candidates are tried by: age, addresses before a name, and what tells the rest apart."""
    created, resource = endpoint.resource.seniority
    targets = [target_order(text) for text in endpoint.targets]
    return (created, endpoint.type == "CNAME", resource, len(targets), targets, endpoint.ttl)


def _cname_rival(endpoint: Endpoint, chosen: Mapping[RecordType, Endpoint]) -> Endpoint | None:
    """Return what keeps an endpoint from its name because one of the two is an alias (RFC 1034 §3.6.2)."""
    if endpoint.type != "CNAME":
        return chosen.get("CNAME")
    return next(iter(chosen.values()), None)
