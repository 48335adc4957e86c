"""Lists of networks, found by a dict lookup per prefix length instead of a walk."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_CACHED: Final = 16_384
"""Addresses whose list is remembered; with one more all are forgotten."""


def first_list(lists: Sequence[Iterable[Network]]) -> Callable[[bytes], int]:
    """Return what tells, for the octets of an address, the first list that has it; `len(lists)` if none."""
    # Octets of an address → bits to shift away → what is left → the first list.
    prefixes: dict[int, dict[int, dict[int, int]]] = {4: {}, 16: {}}
    for index, networks in enumerate(lists):
        for network in networks:
            free = network.max_prefixlen - network.prefixlen
            known = prefixes[network.max_prefixlen // 8].setdefault(free, {})
            known.setdefault(int(network.network_address) >> free, index)
    none = len(lists)
    cached: dict[bytes, int] = {}
    remembered = cached.get

    def find(address: bytes) -> int:
        found = remembered(address)
        if found is None:
            bits = int.from_bytes(address, "big")
            found = min(
                (known.get(bits >> free, none) for free, known in prefixes[len(address)].items()),
                default=none,
            )
            if len(cached) >= MAX_CACHED:
                cached.clear()
            cached[address] = found
        return found

    return find
