"""What the kernel drops before it is queued, by a classic BPF program on the socket.

So a flood from there takes neither room in the receive buffer nor time of this process. Access lists are
applied by whoever answers too, for where there is no such filter and for lists too long for one.
"""

import ctypes
import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Rule = tuple[Network, float]
"""A network, and what part of its datagrams passes, at random; the first that has the source counts."""

_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER
_LOAD, _AND, _IS, _OVER, _GO, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x05, 0x06  # ld, and, jeq, jge, ja, ret
_NETWORK_HEADER: Final = -0x100000 & 0xFFFF_FFFF  # SKF_NET_OFF
_RANDOM: Final = -0x1000 + 56 & 0xFFFF_FFFF  # SKF_AD_OFF + SKF_AD_RANDOM
_SOURCE: Final = {socket.AF_INET: 12, socket.AF_INET6: 8}
"""Where in the IP header the source address begins."""
_WHOLE: Final = 0xFFFF_FFFF
_instruction: Final = struct.Struct("HBBI").pack
_PASS: Final = _instruction(_RETURN, 0, 0, _WHOLE)
_DROP: Final = _instruction(_RETURN, 0, 0, 0)

MAX_INSTRUCTIONS: Final = 4096

Word = tuple[int, int, int]
"""Of a source address: where it is, the bits that are compared, and what they are."""


def attach(sock: socket.socket, lists: Sequence[Sequence[Rule]]) -> list[bool]:
    """Have the kernel pass what passes all these lists, instead of those before; who is in none passes.

    Return for each list whether the kernel follows it: not if that is too long with those before it that it
    follows, nor where the system has no such thing. The exchange leaves no moment without a filter.
    """
    version = 4 if sock.family == socket.AF_INET else 6
    ours = [[rule for rule in rules if rule[0].version == version] for rules in lists]
    if not sys.platform.startswith("linux"):
        return [not rules for rules in ours]
    steps: list[bytes] = []
    fits = []
    for rules in ours:
        passes_all = all(part >= 1 for _, part in rules)
        program = [] if passes_all else _program(rules, _SOURCE[socket.AddressFamily(sock.family)])
        fits.append(len(steps) + len(program) < MAX_INSTRUCTIONS)
        steps += program if fits[-1] else []
    if steps and not _attached(sock, [*steps, _PASS]):
        return [not rules for rules in ours]
    if not steps:
        with suppress(OSError):  # there was none
            sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
    return fits


def _attached(sock: socket.socket, program: Sequence[bytes]) -> bool:
    octets = ctypes.create_string_buffer(b"".join(program))
    option = struct.pack("HP", len(program), ctypes.addressof(octets))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, option)
    except OSError:
        # The one before may hold what the kernel allows a socket for filters (net.core.optmem_max).
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
            sock.setsockopt(socket.SOL_SOCKET, _ATTACH, option)
            return True
        return False
    return True


def _program(rules: Sequence[Rule], source: int) -> list[bytes]:
    """Return instructions that drop, or end behind the last of them."""
    words = [list(_words(network, source)) for network, _ in rules]
    blocks: list[list[bytes]] = []
    rest = 0
    for (before, own), (_, part) in reversed(list(zip(pairwise([[], *words]), rules, strict=True))):
        action = _action(part, rest)
        # What a rule of one word has loaded is still there for the next that looks at the same.
        held = len(before) == len(own) == 1 and before[0][:2] == own[0][:2]
        blocks.append([*_comparison(own, len(action), held=held), *action])
        rest += len(blocks[-1])
    return [step for block in reversed(blocks) for step in block]


def _words(network: Network, source: int) -> Iterator[Word]:
    octets, mask = network.network_address.packed, network.netmask.packed
    for at in range(0, len(octets), 4):
        word, bits = (int.from_bytes(part[at : at + 4], "big") for part in (octets, mask))
        if bits:
            yield _NETWORK_HEADER + source + at & 0xFFFF_FFFF, bits, word


def _comparison(words: Sequence[Word], over: int, *, held: bool) -> list[bytes]:
    """Return instructions that go over so many more unless all words are so; held: the first is loaded."""
    steps: list[bytes] = []
    for place, bits, word in reversed(words):
        steps.insert(0, _instruction(_IS, 0, over + len(steps), word))
        if not held:
            if bits != _WHOLE:
                steps.insert(0, _instruction(_AND, 0, 0, bits))
            steps.insert(0, _instruction(_LOAD, 0, 0, place))
    return steps


def _action(part: float, rest: int) -> list[bytes]:
    """Return instructions that drop, or go over the rest, as often as `part` says."""
    over = _instruction(_GO, 0, 0, rest)
    if part <= 0:
        return [_DROP]
    if part >= 1:
        return [over]
    return [_instruction(_LOAD, 0, 0, _RANDOM), _instruction(_OVER, 0, 1, int(part * 2**32)), _DROP, over]
