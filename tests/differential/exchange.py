"""Questions as messages, asked by the thousand of a server on loopback, over UDP and over TCP."""

import itertools
import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import dns.name
import dns.rdatatype

WINDOW: Final = 48
"""Queries without a response yet: fewer than a socket's buffer holds."""

PATIENCE: Final = 3.0
"""Seconds without any response after which UDP queries are sent again, and a TCP connection is given up."""

RD: Final = 0x0100
AD: Final = 0x0020
CD: Final = 0x0010


class Question(NamedTuple):
    """One query, less its id."""

    name: bytes
    """Wire form, in the case to ask in."""
    type: int
    payload: int | None = None
    """Octets, in an OPT record; None sends none."""
    dnssec_ok: bool = False
    tcp: bool = False
    flags: int = 0
    """RD, AD and CD."""

    def message(self, ident: int) -> bytes:
        head = struct.pack(">6H", ident, self.flags, 1, 0, 0, int(self.payload is not None))
        opt = b""
        if self.payload is not None:
            opt = struct.pack(">BHHIH", 0, 41, self.payload, self.dnssec_ok << 15, 0)
        return head + self.name + struct.pack(">HH", self.type, 1) + opt

    def __str__(self) -> str:
        """Return it as arguments of kdig."""
        name, _ = dns.name.from_wire(self.name, 0)
        edns = "+noedns" if self.payload is None else f"+bufsize={self.payload}"
        flags = [("+rdflag", RD), ("+adflag", AD), ("+cdflag", CD)]
        options = [edns, *("+dnssec",) * self.dnssec_ok, *("+tcp",) * self.tcp]
        options += [text for text, bit in flags if self.flags & bit]
        return f"'{name}' {dns.rdatatype.to_text(self.type)} {' '.join(options)}"


def ask(port: int, questions: Sequence[Question]) -> list[bytes]:
    """Return the response to each question, in their order."""
    responses: dict[int, bytes] = {}
    for tcp, each in ((False, _ask_udp), (True, _ask_tcp)):
        wanted = [index for index, question in enumerate(questions) if question.tcp == tcp]
        for start in range(0, len(wanted), 60_000):
            part = wanted[start : start + 60_000]
            found = each(port, [questions[index].message(ident) for ident, index in enumerate(part)])
            responses.update(zip(part, found, strict=True))
    return [responses[index] for index in range(len(questions))]


def _ask_udp(port: int, messages: Sequence[bytes]) -> list[bytes]:
    found: dict[int, bytes] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(PATIENCE)
        for attempt in range(3):
            left = iter([ident for ident in range(len(messages)) if ident not in found])
            waiting = set()
            for ident in itertools.islice(left, WINDOW):
                client.send(messages[ident])
                waiting.add(ident)
            while waiting:
                try:
                    reply = client.recv(65_535)
                except TimeoutError:
                    break
                ident = int.from_bytes(reply[:2], "big")
                if ident not in waiting:
                    continue
                waiting.discard(ident)
                found[ident] = reply
                if (ident := next(left, -1)) >= 0:
                    client.send(messages[ident])
                    waiting.add(ident)
            if len(found) == len(messages):
                break
            assert attempt < 2, f"no response to {messages[min(set(range(len(messages))) - found.keys())]!r}"
    return [found[ident] for ident in range(len(messages))]


def _ask_tcp(port: int, messages: Sequence[bytes]) -> list[bytes]:
    found: dict[int, bytes] = {}
    if not messages:
        return []
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        buffer, sent = b"", 0
        heard = time.monotonic()
        while len(found) < len(messages):
            if sent < len(messages) and sent - len(found) < WINDOW:
                part = messages[sent : len(found) + WINDOW]
                client.sendall(b"".join(len(message).to_bytes(2, "big") + message for message in part))
                sent += len(part)
            readable, _, _ = select.select([client], [], [], PATIENCE)
            data = client.recv(1 << 20) if readable else b""
            assert data, f"closed or silent after {len(found)} responses and {time.monotonic() - heard:.1f} s"
            heard = time.monotonic()
            buffer += data
            while len(buffer) >= 2 and len(buffer) >= 2 + (length := int.from_bytes(buffer[:2], "big")):
                reply, buffer = buffer[2 : 2 + length], buffer[2 + length :]
                found[int.from_bytes(reply[:2], "big")] = reply
    return [found[ident] for ident in range(len(messages))]
