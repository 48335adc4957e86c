"""Nodes whose compiled answers hold data of other names, as those of an alias do."""

from collections.abc import Iterable
from typing import Final

from dnsserver.wire.name import Name, ancestors
from dnsserver.zone.node import Node

MAX_NOTED: Final = 100_000
"""Notes after which all are dropped at a change: those of nodes that are gone stay among them."""


class Dependents:
    """Which nodes a change at a name concerns."""

    def __init__(self) -> None:
        self._by_name: dict[Name, set[Node]] = {}
        self._noted = 0

    def note(self, node: Node, names: Iterable[Name]) -> None:
        """Note that a change at one of the names, or below it, concerns a node."""
        for name in names:
            nodes = self._by_name.setdefault(name, set())
            self._noted += node not in nodes
            nodes.add(node)

    def pop(self, name: Name) -> set[Node]:
        """Return the nodes that a change at a name concerns, and forget what was noted of it."""
        if not self._by_name:
            return set()
        if self._noted > MAX_NOTED:
            found = set().union(*self._by_name.values())
            self._by_name.clear()
            self._noted = 0
            return found
        parts = [part for above in (name, *ancestors(name)) if (part := self._by_name.pop(above, None))]
        self._noted -= sum(map(len, parts))
        return set().union(*parts)
