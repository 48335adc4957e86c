"""Nodes by name: the first some ten thousand in one dict, the others in many.

A dict is moved as a whole when it grows: past 700,000 names that takes 35 ms, in which nothing else is done.
Many dicts cost a hash more for each look.
"""

from collections.abc import Callable, Iterator, MutableMapping
from itertools import chain
from typing import Final

from dnsserver.wire.name import Name
from dnsserver.zone.node import Node

FEW: Final = 40_000
"""Names in the one dict, which grows in two milliseconds at most."""

SHARDS: Final = 64
"""A power of two. Of a million names each has some 15,000, and grows in less than a millisecond."""

MASK: Final = SHARDS - 1


class Nodes(MutableMapping[Name, Node]):
    """What a dict of names and nodes is; but it may change while somebody iterates over it.

    Each name that is there all the while comes once then, and of the others some.
    """

    def __init__(self, few: int = FEW) -> None:
        self._at_most = few
        self.few: Final[dict[bytes, Node]] = {}
        self._shards: Final[tuple[dict[bytes, Node], ...]] = tuple({} for _ in range(SHARDS))
        self.finders: Final[list[Callable[[bytes], Node | None]]] = []
        """For names that are not among the few: at `hash(name) & MASK` what finds the node. Empty until there
        are such names."""

    def get(self, name: bytes, default: None = None) -> Node | None:  # type: ignore[override]
        finders = self.finders
        return self.few.get(name) or (finders[hash(name) & MASK](name) if finders else None)

    def __contains__(self, name: object) -> bool:
        return name in self.few or name in self._shards[hash(name) & MASK]

    def __getitem__(self, name: bytes) -> Node:
        return self.few.get(name) or self._shards[hash(name) & MASK][name]

    def __setitem__(self, name: bytes, node: Node) -> None:
        shard = self._shards[hash(name) & MASK]
        if name in self.few or (len(self.few) < self._at_most and name not in shard):
            self.few[name] = node
            return
        if not self.finders:
            self.finders.extend(shard.get for shard in self._shards)
        shard[name] = node

    def __delitem__(self, name: bytes) -> None:
        if name in self.few:
            del self.few[name]
        else:
            del self._shards[hash(name) & MASK][name]

    def __iter__(self) -> Iterator[Name]:
        return chain.from_iterable(map(list, (self.few, *self._shards)))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.few) + sum(map(len, self._shards))

    def popitem(self) -> tuple[Name, Node]:
        for part in (self.few, *self._shards):
            if part:
                name, node = part.popitem()
                return Name(name), node
        raise KeyError
