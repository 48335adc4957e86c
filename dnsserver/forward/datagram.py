"""One query to an upstream over UDP.

Each has a socket of its own, connected and so at a port that the kernel draws at random: what does not come
from the upstream's address and port is not received at all.
"""

import asyncio
import secrets
import socket
from typing import Final

from dnsserver.forward.question import Asked, matches, query, question_end, spelled
from dnsserver.transport.sockets import Address

MAX_DATAGRAM: Final = 65_535

MAX_WRONG: Final = 100
"""Messages that are no response to the query, after which somebody is taken to guess."""

_TC: Final = 2


async def exchange(address: Address, asked: Asked) -> bytes | None:
    """Return the message that answers a question; None if it has to be asked over TCP.

    That is so where the response was truncated; where it spells the name in other letters than the query
    did, for then it is of a server that does not keep them, or forged; and after MAX_WRONG other messages.
    Until then those are left alone, and waiting goes on.

    Raises:
        OSError: nobody listens there, or there is no way to it.
    """
    name = spelled(asked.name, secrets.token_bytes(len(asked.name)))
    ident = secrets.randbits(16)
    loop = asyncio.get_running_loop()
    with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(tuple(address))
        sock.send(query(asked, ident, name))
        for _ in range(MAX_WRONG):
            message = await loop.sock_recv(sock, MAX_DATAGRAM)
            if matches(message, ident, name, asked):
                is_kept = message[12 : question_end(name) - 4] == name
                return message if is_kept and not message[2] & _TC else None
    return None
