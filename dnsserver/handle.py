"""The seam between transports and what answers: who is asked for a response, and what it may be.

A transport first asks who is `Responding`, which needs the octets alone; for what that has no response for,
or where there is none, it asks a `Handle`, which is told the client. What only some clients may have, and
what takes time, stands behind a Handle, and one Handle may stand around another.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

Respond = Callable[[bytes], bytes | None]
"""message → its response; None: ask a Handle."""

Parts = tuple[bytes, bytes]
"""A message without its id, which is the same in query and response: octets 2..12, and those behind."""

Find = Callable[[bytes, bytes], Parts | None]
"""The Parts of a message → those of its response, if it is known already; None: ask a Respond."""


class Responding(Protocol):
    """What needs the octets alone. What is found by `find` is what `respond` responds."""

    @property
    def find(self) -> Find: ...

    @property
    def respond(self) -> Respond: ...


Reply = Callable[[bytes | None], None]
"""Sends a response to the client that a Handle was told of, from the address that it asked; None if there
will be none. To be called once, from the thread of the event loop; if the client is gone it does nothing."""

Later = Callable[[Reply], None]
"""A response that takes time: it is given, at once, the Reply to call when there is one."""

Response = bytes | Later | Iterator[bytes] | None
"""Octets; something Later; over TCP the messages of one response, empty octets among them being pauses and
an error the end of the connection; None: the client gets nothing."""

Handle = Callable[[bytes, bytes, int], Response]
"""(message, the 4 or 16 octets of the client's address, its port) → what it gets."""


def nothing(message: bytes, address: bytes, port: int) -> Response:
    """Have no response: the Handle where nobody else is asked."""
    return None
