"""An explanation as text."""

import itertools
from collections.abc import Iterator

from dnsserver.operator.explain import Candidate, Explanation, Step, way_in_words
from dnsserver.operator.snapshot import Look
from dnsserver.skydns.entry import Entry
from dnsserver.skydns.key import Key, labels_of
from dnsserver.skydns.record import Reason, RecordError, decode
from dnsserver.source.provenance import ownership_of
from dnsserver.wire import const, name
from dnsserver.wire.name import NameFault, to_text
from dnsserver.zone.presentation import data, mnemonic, shown
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Zone

MAX_KEYS = 50
"""Keys of one name that are told; the others are counted."""


def report(
    table: ZoneTable, explained: Explanation, rejected: dict[bytes, Reason], prefix: Key, look: Look
) -> Iterator[str]:
    """Yield the lines about an explanation, without the response."""
    zone = explained.answer.zone
    yield f"question  {to_text(explained.name)} IN {mnemonic(explained.type)}"
    if zone:
        yield f"zone      {to_text(zone.apex)} (serial {zone.serial}, TTL {zone.ttl}, lookup {_lookup(zone)})"
    else:
        yield f"zone      none of {', '.join(map(to_text, table.zones))}"
    yield f"outcome   {explained.outcome}"
    for step in explained.steps:
        yield ""
        yield from _step(table, step, explained.type, look)
        yield from _rejects(step, rejected, prefix)


def _lookup(zone: Zone) -> str:
    return "skydns" if zone.skydns_lookup else "exact"


def _step(table: ZoneTable, step: Step, asked: int, look: Look) -> Iterator[str]:
    yield f"{to_text(step.name)}  {way_in_words(step)}"
    for kind, rrset in step.static.items():
        for rdata in rrset.rdatas:
            yield f"  configuration: {rrset.ttl} {mnemonic(kind)} {data(kind, rdata)}"
    for candidate in step.candidates[:MAX_KEYS]:
        yield from _candidate(table, candidate, asked, look)
    if len(step.candidates) > MAX_KEYS:
        yield f"  … and {len(step.candidates) - MAX_KEYS} keys more"
    for note in step.notes:
        yield f"  {note}"


def _candidate(table: ZoneTable, candidate: Candidate, asked: int, look: Look) -> Iterator[str]:
    owned, record = candidate.owned, candidate.owned.record
    yield f"  {shown(owned.key)}"
    if found := look(owned.key):
        entry, granted = found
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
    ownership = ownership_of(table, owned, next(iter(kinds), 0))
    if ownership:
        yield f"    object {ownership.resource or 'not told'}, owner {ownership.owner_id}"


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


def _rejects(step: Step, rejected: dict[bytes, Reason], prefix: Key) -> Iterator[str]:
    """Tell the keys of a name that are no records, where it has no data also those right below it."""

    def about() -> Iterator[str]:
        for key, reason in rejected.items():
            try:
                owner = name.from_labels(labels_of(key, prefix))
            except (RecordError, NameFault):
                continue
            if owner == step.name or (name.parent(owner) == step.name and not step.served):
                yield f"  {shown(key)} is skipped: no record ({reason})"

    yield from itertools.islice(about(), MAX_KEYS)
