"""A serialized protobuf message in pieces: parsed as a whole it would take one step of some milliseconds.

Messages that are concatenated merge, and repeated fields append (Protocol Buffers, Encoding). So a message
cut between two of its fields is several of the same type, which together say what it said. Pure.
"""

from collections.abc import Iterator
from typing import Final

_LENGTH_DELIMITED: Final = 2
"""The wire type of strings and messages; what has another one stays with what follows."""


_MAX_BITS: Final = 35
"""Of a length: five octets say more than any message has."""


def pieces(message: bytes, fields: int) -> Iterator[bytes]:
    """Cut a message after every so many of the strings and messages in it that it begins with.

    The last piece has one at least, if there are any, and all that comes after them. What is no message is
    cut anywhere, and is none in pieces either.
    """
    begin, at, count, end = 0, 0, 0, len(message)
    while at < end - 1 and message[at] & 0x87 == _LENGTH_DELIMITED:
        if count == fields:
            yield message[begin:at]
            begin, count = at, 0
        length, at = message[at + 1], at + 2
        if length > 0x7F:  # seven bits an octet, the least significant first
            length, bits = length & 0x7F, 7
            while at < end and bits < _MAX_BITS:
                octet, at = message[at], at + 1
                length |= (octet & 0x7F) << bits
                bits += 7
                if octet < 0x80:
                    break
        at += length
        count += 1
    yield message[begin:]
