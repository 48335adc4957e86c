"""An explanation as text."""

import itertools
from collections.abc import Iterator

from dnsserver.operator.explain import Candidate, Explanation, Step, way_in_words
from dnsserver.operator.snapshot import Look, Snapshot
from dnsserver.skydns.entry import Entry
from dnsserver.skydns.key import labels_of
from dnsserver.skydns.ownership import may_be_sealed
from dnsserver.skydns.record import RecordError, decode
from dnsserver.source.provenance import ownership_of, places_of, texts_at
from dnsserver.wire import const, name
from dnsserver.wire.name import NameFault, to_text
from dnsserver.zone.presentation import data, mnemonic, shown
from dnsserver.zone.zone import Owned, Zone

MAX_KEYS = 50
"""Keys of one name that are told; the others are counted."""


def report(found: Snapshot, explained: Explanation, look: Look) -> Iterator[str]:
    """Yield the lines about an explanation, without the response."""
    zone = explained.answer.zone
    yield f"question  {to_text(explained.name)} IN {mnemonic(explained.type)}"
    if zone:
        yield f"zone      {to_text(zone.apex)} (serial {zone.serial}, TTL {zone.ttl}, lookup {_lookup(zone)})"
    else:
        yield f"zone      none of {', '.join(map(to_text, found.table.zones))}"
    yield f"outcome   {explained.outcome}"
    for step in explained.steps:
        yield ""
        yield from _step(found, step, explained.type, look)
        yield from _rejects(found, step)


def _lookup(zone: Zone) -> str:
    return "skydns" if zone.skydns_lookup else "exact"


def _step(found: Snapshot, step: Step, asked: int, look: Look) -> Iterator[str]:
    yield f"{to_text(step.name)}  {way_in_words(step)}"
    for kind, rrset in step.static.items():
        for rdata in rrset.rdatas:
            yield f"  configuration: {rrset.ttl} {mnemonic(kind)} {data(kind, rdata)}"
    for candidate in step.candidates[:MAX_KEYS]:
        yield from _candidate(found, candidate, asked, look)
    if len(step.candidates) > MAX_KEYS:
        yield f"  … and {len(step.candidates) - MAX_KEYS} keys more"
    for note in step.notes:
        yield f"  {note}"


def _candidate(found: Snapshot, candidate: Candidate, asked: int, look: Look) -> Iterator[str]:
    owned, record = candidate.owned, candidate.owned.record
    yield f"  {shown(owned.key)}"
    if there := look(owned.key):
        entry, granted = there
        yield f"    value: {shown(entry.value or b'')}"
        yield from _ttl(entry, granted)
    else:
        yield "    it has gone from etcd meanwhile"
    if record.targetstrip:
        strip, owner = record.targetstrip, to_text(owned.owner)
        yield f"    targetstrip {strip}: it belongs to {owner} and answers for it alone"
    kinds = dict.fromkeys(kind for kind, _ in candidate.brings)
    for kind, rdata in candidate.brings:
        if kind == asked or kind in _MAIN:
            yield f"    {mnemonic(kind)} {data(kind, rdata)}"
    others = [mnemonic(kind) for kind in kinds if kind != asked and kind not in _MAIN]
    if others:
        yield f"    also answers {', '.join(others)}, as SkyDNS has it"
    if candidate.fate:
        yield f"    {candidate.fate}"
    yield f"    {_ownership(found, owned, next(iter(kinds), 0))}"


def _ownership(found: Snapshot, owned: Owned, kind: int) -> str:
    if ownership := ownership_of(found.table, owned, kind, found.outside):
        return f"object {ownership.resource or 'not told'}, owner {ownership.owner_id}"
    places = [
        to_text(place) + " (it may be encrypted)" * any(map(may_be_sealed, texts_at(found.table, place)))
        for place in places_of(owned, kind)
    ]
    return f"owner unknown: no text that says it at {', '.join(places)}"


_MAIN = frozenset({const.A, const.AAAA, const.CNAME, const.TXT})
"""Types that a record is; the others are views of it."""


def _ttl(entry: Entry, granted: int) -> Iterator[str]:
    if not entry.lease:
        return
    try:
        own = decode(entry.value or b"").ttl
    except RecordError:
        return
    yield (
        f"    lease of {granted} s: it goes with it, and its TTL is at most that"
        + (f" (its own: {own})" if own else "")
    )


def _rejects(found: Snapshot, step: Step) -> Iterator[str]:
    """Tell the keys of a name that are no records, where it has no data also those right below it."""

    def about() -> Iterator[str]:
        for key, reason in found.rejected.items():
            try:
                owner = name.from_labels(labels_of(key, found.prefix))
            except (RecordError, NameFault):
                continue
            if owner == step.name or (name.parent(owner) == step.name and not step.served):
                yield f"  {shown(key)} is skipped: no record ({reason})"

    yield from itertools.islice(about(), MAX_KEYS)
