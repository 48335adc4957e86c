"""Networks whose datagrams the kernel drops before they are queued, by a classic BPF program on the socket.

So a flood from there takes neither room in the receive buffer nor time of this process. It is a help: whoever
answers has the same rules, for where there is no such filter and for lists too long for one.
"""

import ctypes
import ipaddress
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Rule = tuple[Network, bool]
"""A network, and whether its datagrams are dropped; the first that has the source counts."""

_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER
_LOAD, _AND, _IS, _RETURN = 0x20, 0x54, 0x15, 0x06  # ld [k], and #k, jeq #k, ret #k
_NETWORK_HEADER: Final = -0x100000 & 0xFFFF_FFFF  # SKF_NET_OFF
_SOURCE: Final = {socket.AF_INET: 12, socket.AF_INET6: 8}
"""Where in the IP header the source address begins."""
_WHOLE: Final = 0xFFFF_FFFF
_instruction: Final = struct.Struct("HBBI").pack

MAX_INSTRUCTIONS: Final = 4096


def drop(sock: socket.socket, rules: Iterable[Rule]) -> bool:
    """Have the kernel drop datagrams by these rules instead of those before.

    False: there is no filter now; the rules drop nothing, are too many, or the system has no such thing.
    """
    if not sys.platform.startswith("linux"):
        return False
    with suppress(OSError):  # there was none
        sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
    version = 4 if sock.family == socket.AF_INET else 6
    ours = [rule for rule in rules if rule[0].version == version]
    program = list(_program(ours, _SOURCE[socket.AddressFamily(sock.family)]))
    if not any(dropped for _, dropped in ours) or len(program) > MAX_INSTRUCTIONS:
        return False
    octets = ctypes.create_string_buffer(b"".join(program))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HP", len(program), ctypes.addressof(octets)))
    except OSError:
        return False
    return True


def _program(rules: Iterable[Rule], source: int) -> Iterator[bytes]:
    for network, dropped in rules:
        steps = []
        octets, mask = network.network_address.packed, network.netmask.packed
        for at in range(0, len(octets), 4):
            word, bits = (int.from_bytes(part[at : at + 4], "big") for part in (octets, mask))
            if bits:
                steps.append((_NETWORK_HEADER + source + at & 0xFFFF_FFFF, bits, word))
        for number, (offset, bits, word) in enumerate(steps):
            # Where a word is another, over what is left of this network.
            over = 3 * (len(steps) - number - 1) + 1
            yield _instruction(_LOAD, 0, 0, offset)
            yield _instruction(_AND, 0, 0, bits)
            yield _instruction(_IS, 0, over, word)
        yield _instruction(_RETURN, 0, 0, 0 if dropped else _WHOLE)
    yield _instruction(_RETURN, 0, 0, _WHOLE)
