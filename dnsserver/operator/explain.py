"""Why a question has the answer that it has: the lookup's own result, and what it was made of. Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from dnsserver.answer.lookup import Answer, lookup
from dnsserver.operator.outcome import outcome
from dnsserver.source.provenance import records_at
from dnsserver.source.rrsets import Part, is_reverse, parts_of
from dnsserver.wire import const
from dnsserver.wire.name import Name, to_text
from dnsserver.zone.rrset import NONE, RRsets
from dnsserver.zone.search import search
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Owned, Zone

Way = Literal["itself", "descendants", "wildcard", "search", "nothing", "delegation"]
"""How data came to answer a name."""


class Candidate(NamedTuple):
    """A record of etcd that was looked at for a name."""

    owned: Owned
    brings: tuple[tuple[int, bytes], ...]
    """What of it is served, by type."""
    fate: str
    """Why nothing of it is; empty where something is."""


class Step(NamedTuple):
    """One name that was looked up: the question's, or an alias's target."""

    name: Name
    way: Way
    source: Name
    """Where the data are: the name, the wildcard, or the zone cut."""
    static: RRsets
    """Of the configuration."""
    candidates: tuple[Candidate, ...]
    served: RRsets
    notes: tuple[str, ...]


class Explanation(NamedTuple):
    name: Name
    type: int
    answer: Answer
    outcome: str
    steps: tuple[Step, ...]


def explain(table: ZoneTable, qname: Name, qtype: int) -> Explanation:
    """Explain the answer to a question of class IN. Total."""
    answer = lookup(table, qname, qtype)
    words = outcome(table, answer, qname, qtype)
    zone = answer.zone
    if zone is None or answer.rcode == const.SERVFAIL:
        return Explanation(qname, qtype, answer, words, ())
    # All but the last are aliases; of the last the target was looked up where that found nothing to answer.
    followed = len(answer.answer) - (not answer.authority or answer.optional)
    targets = [Name(rrset.rdatas[0]) for _, rrset in answer.answer[: max(followed, 0)]]
    steps = tuple(_step(table, zone, owner, qtype) for owner in (qname, *targets))
    return Explanation(qname, qtype, answer, words, steps)


def _step(table: ZoneTable, zone: Zone, owner: Name, qtype: int) -> Step:
    cut = zone.cut_above(owner)
    if cut and not (cut == owner and qtype == const.DS):
        return Step(owner, "delegation", cut, zone.static[cut], (), NONE, ())
    way, source, records = _found(table, zone, owner)
    static = zone.static.get(source, NONE) if way != "search" else NONE
    parts = parts_of(records, reverse=is_reverse(zone.apex))
    served = _served(table, zone, source, way, records)
    candidates = tuple(_candidate(each, records, parts, static, served) for each in records)
    return Step(owner, way, source, static, candidates, served, tuple(_notes(parts, served, zone)))


def _found(table: ZoneTable, zone: Zone, owner: Name) -> tuple[Way, Name, Sequence[Owned]]:
    """Return where the data for a name are, as the lookup finds them, with the records of etcd."""
    node = table.nodes.get(owner)
    if node is None and (fitting := search(table, zone, owner)) is not None:
        return "search", owner, fitting
    source = owner
    if node is None and (encloser := table.encloser(owner)):
        source = Name(b"\1*" + encloser[0])
        node = table.nodes.get(source)
    if node is None:
        return "nothing", owner, ()
    if node.zone is not zone:
        return "itself", owner, ()
    records = records_at(table, source)
    if source != owner:
        return "wildcard", source, records
    below = bool(records) and owner != zone.apex and all(owned.owner != owner for owned in records)
    return ("descendants" if below else "itself"), owner, records


def _served(table: ZoneTable, zone: Zone, source: Name, way: Way, records: Sequence[Owned]) -> RRsets:
    if way == "search":
        return zone.rrsets(source, records)
    node = table.nodes.get(source)
    if node is None or way == "nothing":
        return NONE
    return table.rrsets(source, node) if node.zone is zone else zone.static.get(source, NONE)


def _candidate(
    owned: Owned, records: Sequence[Owned], parts: Sequence[Part], static: RRsets, served: RRsets
) -> Candidate:
    part = next((part for part in parts if part.owned is owned), None)
    if part is None:
        return Candidate(owned, (), _why_not_counted(owned, records))
    brings = tuple(
        (kind, data)
        for kind, data in (*part.main, *part.views)
        if kind not in static and kind in served and data in served[kind].rdatas
    )
    main = [kind for kind, _ in part.main]
    if not main:
        return Candidate(owned, brings, "" if brings else "an empty record: the name exists, and has no data")
    if any(kind in main for kind, _ in brings):
        return Candidate(owned, brings, "")
    return Candidate(owned, brings, _why_not_served(main[0], static, served))


def _why_not_counted(owned: Owned, records: Sequence[Owned]) -> str:
    folded = owned.key.lower()
    twin = next((each for each in records if each.key.lower() == folded and each is not owned), None)
    if twin is not None and twin.key < owned.key:
        return f"not served: {twin.key.decode('utf-8', 'backslashreplace')} is the same name"
    return f"not served: of the groups that of the shallowest key counts, not {owned.record.group!r}"


def _why_not_served(kind: int, static: RRsets, served: RRsets) -> str:
    mnemonic = const.TYPE_NAMES.get(kind, f"TYPE{kind}")
    if const.CNAME in static:
        return "not served: the configuration has a CNAME here, which stands alone (RFC 1034 §3.6.2)"
    if kind in static:
        return f"not served: the configuration has {mnemonic} here, and goes before etcd"
    if kind == const.CNAME and kind in served:
        return "not served as CNAME: a name has one, and a key before this one is it"
    if kind == const.CNAME:
        return "not served as CNAME: there are other data at the name (RFC 1034 §3.6.2)"
    return f"not served as {mnemonic}"


def _notes(parts: Sequence[Part], served: RRsets, zone: Zone) -> list[str]:
    """Return what was done to whole RRsets: one TTL for all, equal data once."""
    notes = []
    for kind, rrset in served.items():
        brought = [
            (part.owned.record.ttl or zone.ttl, data)
            for part in parts
            for each, data in part.main
            if each == kind
        ]
        ttls = sorted({min(ttl, const.MAX_TTL) for ttl, _ in brought})
        mnemonic = const.TYPE_NAMES.get(kind, f"TYPE{kind}")
        if len(ttls) > 1 and rrset.ttl == ttls[0]:
            listed = ", ".join(map(str, ttls))
            notes.append(f"TTLs {listed} of {mnemonic} are levelled to the smallest (RFC 2181 §5.2)")
        if len({data for _, data in brought}) < len(brought):
            notes.append(f"equal {mnemonic} data of several keys are served once")
    return notes


def outside(table: ZoneTable, explained: Explanation) -> Name | None:
    """Return the name outside all zones at which the answer ends: the question's, or an alias's target."""
    answer = explained.answer
    end = explained.name
    if answer.answer and answer.answer[-1][1].type == const.CNAME and explained.type != const.CNAME:
        end = Name(answer.answer[-1][1].rdatas[0])
    return end if table.zone_of(end) is None else None


def way_in_words(step: Step) -> str:
    """Return how the data of a step came to answer its name."""
    match step.way:
        case "itself" if step.candidates or step.static:
            return "data of the name itself"
        case "itself" if const.SOA in step.served:
            return "the apex: SOA and NS are made of the configuration, and of what etcd has below ns.dns"
        case "itself":
            return "the name exists, and has no data of its own"
        case "descendants":
            return "it owns nothing: keys below it, without targetstrip, answer for it (lookup: skydns)"
        case "wildcard":
            return f"no such name: synthesised from {to_text(step.source)} (RFC 4592)"
        case "search":
            return "a search: each * or any of the question stands for one element of the keys"
        case "delegation":
            return f"at or below the zone cut {to_text(step.source)}: referred, never answered"
        case "nothing":
            return "no such name, and no wildcard at its closest encloser"
