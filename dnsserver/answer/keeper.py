"""What `slow` found out, kept in the table for the next question like it, until the table changes."""

from functools import lru_cache
from typing import Final

from dnsserver.answer import render
from dnsserver.answer.kept import (
    COMPLETE,
    LACKS,
    META,
    OUTSIDE,
    VIEWS,
    denial,
    denials,
    in_wire_form,
    is_kept,
)
from dnsserver.answer.lookup import Answer, lookup
from dnsserver.answer.tally import Tally, kind_of
from dnsserver.wire import const
from dnsserver.wire.message import Question
from dnsserver.wire.name import Name, to_text
from dnsserver.zone.node import Node
from dnsserver.zone.table import ZoneTable

MAX_DENIALS: Final = 4096
"""Of a zone, compiled: by length of the name, rcode and type; some hundred octets each."""

ROW: Final = 64
"""Answers that are gathered at once."""


class Keeper:
    """Keeps answers. With `forwards` none that goes on outside its zone."""

    def __init__(self, table: ZoneTable, tally: Tally, forwards: bool) -> None:
        self._table, self._tally, self._forwards = table, tally, forwards
        self._scattered: list[tuple[Node, bytes]] = []
        """What was kept lately, anywhere in memory."""

    def keep(self, question: Question, answer: Answer) -> None:
        """Keep what the next query of this kind needs, for names that exist and for denials."""
        zone = answer.zone
        if zone is None:
            self._keep_refusal(question, answer)
            return
        if not zone.synced or (question.type in META and question.type != const.ANY):
            return
        key = denial(kind_of(question.type), answer.rcode) | len(question.name)
        if answer.is_denial and key not in zone.negative:
            if len(zone.negative) >= MAX_DENIALS:
                zone.negative.clear()
            slot = slot_of(self._tally, answer, question.type)
            zone.negative[key] = render.compiled(answer, zone.apex, len(question.name), slot)
        source = answer.source or question.name
        node = self._table.nodes.get(source)
        if node is None or zone.cut_above(source):
            return
        rrsets = self._table.rrsets(source, node)
        known = {question.type: answer} if source == question.name else {}
        if question.type == const.ANY:
            self._keep(node, source, (const.ANY,), known)
            return
        if const.CNAME in rrsets:
            # Any type is answered at an alias; only those with a mnemonic may take memory.
            if question.type in const.TYPE_NAMES:
                self._keep(node, source, (question.type,), known)
            return
        if not node.complete:
            # The zone above has the DS of an apex, so it may be there without being here.
            at_apex = {const.DS} if source in self._table.zones else set()
            self._keep(node, source, (*(rrsets.keys() - VIEWS | at_apex),), known)
            node.complete = COMPLETE
        if question.type in VIEWS:
            if question.type in rrsets:
                self._keep(node, source, (question.type,), known)
            else:
                node.complete |= LACKS[in_wire_form(question.type)]

    def _keep_refusal(self, question: Question, answer: Answer) -> None:
        if self._forwards or answer.error is None or denials(in_wire_form(question.type)) is None:
            return
        row, kind = self._table.absent.setdefault(OUTSIDE, {}), kind_of(question.type)
        if kind not in row:
            slot = slot_of(self._tally, answer, question.type)
            row[kind] = render.refusal(answer.rcode, answer.error, slot)

    def _keep(self, node: Node, source: Name, kinds: tuple[int, ...], known: dict[int, Answer]) -> None:
        for kind in kinds:
            question = source + in_wire_form(kind)
            if not is_kept(kind) or question in self._table.answers:
                continue
            answer = known.get(kind) or lookup(self._table, source, kind)
            if (answer.source and not self._shared(answer, source)) or (self._forwards and answer.onward):
                continue
            entry = render.compiled(answer, source, len(source), slot_of(self._tally, answer, kind))
            self._table.answers[question] = entry
            node.questions += (question,)
            self._table.dependents.note(node, answer.needs(self._table))
            self._scattered.append((node, question))
        if len(self._scattered) >= ROW:
            self._gather()

    def _gather(self) -> None:
        """Allocate anew what was kept lately, while the old is still there, so that it comes to lie in a row.

        A query reads a question and its body, which are then neighbours in the CPU's caches, if CPython has
        both in one class of sizes: with one address, names up to 27 octets.
        """
        answers, scattered = self._table.answers, []
        for node, question in dict.fromkeys(self._scattered):
            compiled = answers.get(question)
            # A node that is gone knows no question, and what has several bodies, or a large one, stays.
            if compiled is not None and compiled[0][2] is None and question in node.questions:
                scattered.append((node, question, answers.pop(question)))
        self._scattered.clear()
        for node, question, (shape, body) in scattered:
            again = question[:1] + question[1:]
            answers[again] = shape, body[:1] + body[1:]
            node.questions = (*(known for known in node.questions if known != question), again)

    def _shared(self, answer: Answer, wildcard: Name) -> bool:
        """Say whether all names that a wildcard answers get this: it never leads back to one of them."""
        owners = {owner for owner, _ in (*answer.answer[1:], *answer.additional)}
        targets = {rdata for _, rrset in answer.answer if rrset.type == const.CNAME for rdata in rrset.rdatas}
        return wildcard not in owners | targets and all(owner in self._table.nodes for owner in owners)


def slot_of(tally: Tally, answer: Answer, qtype: int) -> int:
    """Return where an answer to a question of a type is counted."""
    zone = _text(answer.zone.apex) if answer.zone else ""
    return tally.slot(zone, answer.rcode, kind_of(qtype))


_text = lru_cache(maxsize=1024)(to_text)
"""Apexes are few."""
