"""The fast way for questions of which no answer is kept: NODATA, NXDOMAIN, names that a wildcard stands for,
and names outside all zones.

Pure. Most names that do not exist are one label below one that does, so what came out for such a name is kept
for all its like, by the octets behind that label and how many that has, until the table changes. There it is
looked for before anything here is asked.
"""

from collections.abc import Callable
from typing import Final

from dnsserver.answer.kept import COMPLETE, EXACT, LACKS, ORDINARY, OUTSIDE, denial, denials
from dnsserver.answer.render import Compiled
from dnsserver.wire import const
from dnsserver.wire.name import MAX_LABEL, MAX_NAME, Name
from dnsserver.zone.node import Node
from dnsserver.zone.table import ZoneTable

Otherwise = Callable[[bytes, Node | None, bytes], Compiled | None]
"""(folded name in wire form, its node if there is one, type and class as they were asked for) → its answer;
None: nobody knows without a lookup."""

Row = dict[int, Compiled]
"""Octets of a label → the answer for names that are not there, by such a label below one that is."""

NXDOMAIN: Final = denial(0, const.NXDOMAIN)
"""Added to a key of NODATA."""

MAX_ROWS: Final = 4096
"""Each takes some hundred octets, and 2 KiB at most."""

SHORT: Final = 3
"""Octets of a label that may be `*` or `any`, which ask for a search."""


def absent(table: ZoneTable, *, refuses: bool) -> Otherwise:
    """Return what answers the questions that a table's `answers` do not have.

    If it `refuses`, also those outside all zones.
    """
    find_node = table.nodes.get
    find_answer: Callable[[bytes], Compiled | None] = table.answers.get
    rows: dict[bytes, Row] = table.absent
    find_row, find_key, exact = rows.get, ORDINARY.get, EXACT

    def otherwise(name: bytes, node: Node | None, asked: bytes) -> Compiled | None:
        if node is None:
            return of_encloser(name, asked)
        key = find_key(asked)
        if key is None or asked in exact:
            return of_node(node, name, asked)
        return node.zone.negative.get(key + len(name)) if node.complete else None

    def of_node(node: Node, name: bytes, asked: bytes, octets: int = 0) -> Compiled | None:
        """Return the answer of any type at a node; `octets` of the question's name, if that is another."""
        answer = find_answer(name + asked)
        key = denials(asked)
        if answer or key is None or not node.complete & LACKS.get(asked, COMPLETE):
            return answer
        return node.zone.negative.get(key + (octets or len(name)))

    def of_encloser(name: bytes, asked: bytes) -> Compiled | None:
        at, octets = 0, len(name)
        if octets > MAX_NAME:
            return None
        while at < octets:
            if not 0 < (step := name[at]) <= MAX_LABEL:
                return of_none(asked) if step == 0 and at == octets - 1 else None
            at += step + 1
            above = name[at:]
            node = find_node(above)
            if node:
                answer = below(node, above, asked, name)
                if answer and at == step + 1 and step > SHORT:
                    keep(above + asked, step, answer)
                return answer
        return None

    def of_none(asked: bytes) -> Compiled | None:
        """Return the answer of a name that no node encloses; none is refused where the root is a zone."""
        key, row = denials(asked), find_row(OUTSIDE)
        if key is None or row is None or not refuses:
            return None
        return row.get(key >> 12)

    def below(node: Node, above: bytes, asked: bytes, name: bytes) -> Compiled | None:
        zone, key = node.zone, denials(asked)
        if key is None or not zone.synced or (zone.cuts and zone.cut_above(Name(above))):
            return None
        if zone.skydns_lookup and (b"\1*" in name or b"\3any" in name):
            return None
        wildcard = find_node(b"\1*" + above) if zone.wildcards else None
        if wildcard:
            return of_node(wildcard, b"\1*" + above, asked, len(name))
        return zone.negative.get(key + NXDOMAIN + len(name))

    def keep(behind: bytes, step: int, answer: Compiled) -> None:
        if len(rows) >= MAX_ROWS:
            rows.clear()
        rows.setdefault(behind, {})[step] = answer

    return otherwise
