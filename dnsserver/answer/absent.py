"""The fast way for questions of which no answer is kept: NODATA, NXDOMAIN, and names a wildcard stands for.

Pure. Most names that do not exist are one label below one that does, so what came out for such a name is kept
for all its like, by the octets behind that label, until the table changes.
"""

from collections.abc import Callable
from typing import Final

from dnsserver.answer.kept import ORDINARY, denial
from dnsserver.answer.render import Compiled
from dnsserver.wire import const
from dnsserver.wire.name import MAX_LABEL, MAX_NAME, Name
from dnsserver.zone.node import Node
from dnsserver.zone.table import ZoneTable

Otherwise = Callable[[bytes, bytes], Compiled | None]
"""(question in wire form, the same folded) → its answer, or None: nobody knows without a lookup."""

Outcome = tuple[Compiled | None, dict[int, Compiled], int]
"""The wildcard's answer; or where the denials are, and this one's key less the octets of the question."""

NXDOMAIN: Final = {asked: denial(kind, const.NXDOMAIN) - 4 for asked, kind in ORDINARY.items()}
NODATA: Final = {asked: denial(kind, const.NOERROR) - 4 for asked, kind in ORDINARY.items()}
"""Type and class, in wire form → such keys: Zone.negative has the octets of the name, which are four less."""

LONGEST: Final = MAX_NAME + 4
"""Octets of a question."""

_EXACT: Final = {asked: asked != asked.lower() for asked in ORDINARY}
"""Type and class, in wire form → whether they are others when they are folded, as 65, which is `A`."""

MAX_KEPT: Final = 16_384
"""Names times types below which outcomes are kept; some hundred octets each."""

SHORT: Final = 3
"""Octets of a label that may be `*` or `any`, which ask for a search."""


def absent(table: ZoneTable) -> Otherwise:
    """Return what answers the questions that a table's `answers` do not have."""
    find_node: Callable[[bytes], Node | None] = table.nodes.get  # type: ignore[assignment]
    find_answer: Callable[[bytes], Compiled | None] = table.answers.get
    kept: dict[bytes, Outcome] = table.absent
    find_kept, is_exact = kept.get, _EXACT.get

    def otherwise(question: bytes, folded: bytes) -> Compiled | None:
        octets = len(folded)
        if not 4 < octets <= LONGEST:
            return None
        node = find_node(folded[:-4])
        if node:
            asked = question[-4:]
            exact = is_exact(asked)
            answer = find_answer(folded[:-4] + asked) if exact else None
            if exact is None or not (answer or node.complete):
                return None
            return answer or node.zone.negative.get(NODATA[asked] + octets)
        # Labels `*` and `any` ask for a search, and those that are as short are taken the long way too.
        step = folded[0]
        outcome = find_kept(folded[step + 1 :]) if SHORT < step <= MAX_LABEL else None
        if outcome is None:
            outcome = of_encloser(folded[:-4], question[-4:])
            if outcome is None:
                return None
        answer, denials, key = outcome
        return answer or denials.get(key + octets)

    def of_encloser(name: bytes, asked: bytes) -> Outcome | None:
        at, octets = 0, len(name)
        if asked not in ORDINARY:
            return None
        while at < octets:
            if not 0 < (step := name[at]) <= MAX_LABEL:
                return None
            at += step + 1
            above = name[at:]
            node = find_node(above)
            if node is None:
                continue
            outcome = below(node, above, asked, name)
            if outcome:
                if len(kept) >= MAX_KEPT:
                    kept.clear()
                kept[above + asked] = outcome
            return outcome
        return None

    def below(node: Node, above: bytes, asked: bytes, name: bytes) -> Outcome | None:
        zone = node.zone
        if not zone.synced or (zone.cuts and zone.cut_above(Name(above))):
            return None
        if zone.skydns_lookup and (b"\1*" in name or b"\3any" in name):
            return None
        wildcard = find_node(b"\1*" + above) if zone.wildcards else None
        if wildcard is None:
            return None, zone.negative, NXDOMAIN[asked]
        answer = find_answer(b"\1*" + above + asked)
        return (answer, wildcard.zone.negative, NODATA[asked]) if answer or wildcard.complete else None

    return otherwise
