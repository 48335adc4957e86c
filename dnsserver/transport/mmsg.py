"""recvmmsg and sendmmsg through ctypes: up to BATCH datagrams a system call, each way.

All structures are made once. Per datagram Python touches nothing but its octets: lengths and flags of a
whole batch are copied by strided memoryviews. A response is written over its query, into the same slot, and
has that one's address and control data: so it goes to who asked, from the address that was asked
(RFC 2181 §4.1).
"""

import ctypes
import errno
import socket
import struct
import sys
from array import array
from typing import Any, Final, Literal

from dnsserver.handle import Find, Handle, Reply, Responding, Response
from dnsserver.wire.const import UDP_PAYLOAD

BATCH: Final = 128
SLOT: Final = 4096
"""Octets of a datagram in either direction; a longer query is cut, and so malformed."""
ROUNDS: Final = 4
"""Batches before other sockets get their turn."""

LATE: Final = BATCH
"""The slot, behind those of a batch, of replies that took time."""

_NAME: Final = 28  # sockaddr_in6, the largest
_CONTROL: Final = 64  # one pktinfo control message of either family, aligned
_HEADER: Final = 16  # of a control message

_CLIENT: Final = {
    socket.AF_INET: struct.Struct(">2xH4s20x"),  # sockaddr_in, and padding up to _NAME
    socket.AF_INET6: struct.Struct(">2xH4x16s4x"),
}
"""From a slot's name to port and address."""


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.POINTER(_Vector)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = (("header", _MsgHdr), ("octets", ctypes.c_uint))


_MESSAGE: Final = ctypes.sizeof(_Message)


def _system_calls() -> tuple[Any, Any] | None:
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        # PyDLL keeps the interpreter during the call, which never blocks: given away to a thread that
        # decodes, it would come back a switch interval later.
        libc = ctypes.PyDLL(None, use_errno=True)
        receive, send = libc.recvmmsg, libc.sendmmsg
    except (OSError, AttributeError):
        return None
    receive.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
    send.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
    return receive, send


_CALLS: Final = _system_calls()

AVAILABLE: Final = _CALLS is not None

_OCTETS: Final = [struct.Struct(f"{octets}s") for octets in range(SLOT + 1)]
_TAKE: Final = [octets.unpack_from for octets in _OCTETS]
_PUT: Final = [octets.pack_into for octets in _OCTETS]
"""By length: the cheapest ways from a buffer to the octets at an offset, as a tuple of one, and back."""

_PARTS: Final = [
    struct.Struct(f"10s{octets - 12}s" if octets >= 12 else f"{octets}x0s0s") for octets in range(SLOT + 1)
]
_TAKE_PARTS: Final = [parts.unpack_from for parts in _PARTS]
_PUT_PARTS: Final = [parts.pack_into for parts in _PARTS]
"""The same for the Parts of a message so long, at the offset behind its id."""


def _address(buffer: bytearray | memoryview) -> int:
    return ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))


def _column(messages: Any, field: Any, code: Literal["I", "L"]) -> "memoryview[int]":
    """Return a field of all messages as one strided view."""
    octets = memoryview((ctypes.c_char * ctypes.sizeof(messages)).from_buffer(messages)).cast("B")
    width = array(code).itemsize
    return octets.cast(code)[field.offset // width :: _MESSAGE // width]


class Batch:
    """The buffers of one socket. `ready` is called when the socket is readable."""

    def __init__(self, sock: socket.socket, responder: Responding | None, handle: Handle) -> None:
        """Answer by `responder`, and by `handle` what that has no response for; without it all."""
        assert _CALLS
        self._receive, self._send = _CALLS
        self._sock, self._fd = sock, sock.fileno()
        self.answer_by(responder, handle)
        self._client = _CLIENT[sock.family]
        self.taken = 0
        """Datagrams, since it began."""
        self._last = 0
        """Those of the last batch."""
        self.send_errors = 0
        """Replies that the kernel did not take, or that were over UDP_PAYLOAD."""
        slots = BATCH + 1
        self._name_octets = 16 if sock.family == socket.AF_INET else _NAME
        # Only such a socket is told which address was asked, and sends from there.
        self._is_wildcard = sock.getsockname()[0] in ("0.0.0.0", "::")
        self._box = bytearray(slots * SLOT)
        self._names, self._controls = bytearray(slots * _NAME), bytearray(slots * _CONTROL)
        self._incoming, self._vectors_in = self._messages()
        self._outgoing, self._vectors_out = self._messages()
        self._incoming_at, self._outgoing_at = map(ctypes.addressof, (self._incoming, self._outgoing))
        self._in_octets = _column(self._incoming, _Message.octets, "I")
        self._in_controllen = _column(self._incoming, _MsgHdr.controllen, "L")
        self._out_controllen = _column(self._outgoing, _MsgHdr.controllen, "L")
        vectors = (ctypes.c_char * ctypes.sizeof(self._vectors_out)).from_buffer(self._vectors_out)
        self._out_octets = memoryview(vectors).cast("B").cast("L")[1::2]
        # The interface in in_pktinfo (first field) or in6_pktinfo (after the address).
        at = _HEADER if sock.family == socket.AF_INET else _HEADER + 16
        self._interface = memoryview(self._controls).cast("I")[at // 4 :: _CONTROL // 4]
        self._no_interface = memoryview(array("I", [0] * BATCH))
        self._full_control = memoryview(array("L", [_CONTROL] * BATCH))

    def answer_by(self, responder: Responding | None, handle: Handle) -> None:
        """Answer by others from the next batch on."""
        self._responder, self._handle = responder, handle

    def _messages(self) -> tuple[Any, Any]:
        slots = BATCH + 1
        messages, vectors = (_Message * slots)(), (_Vector * slots)()
        box, name, control = _address(self._box), _address(self._names), _address(self._controls)
        for k in range(slots):
            vectors[k].base, vectors[k].length = box + k * SLOT, SLOT
            message = messages[k].header
            message.name, message.namelen = name + k * _NAME, self._name_octets
            message.iov, message.iovlen = ctypes.pointer(vectors[k]), 1
            if self._is_wildcard:
                message.control, message.controllen = control + k * _CONTROL, _CONTROL
        return messages, vectors

    def ready(self) -> bool:
        """Answer what has arrived, at most ROUNDS batches; say whether there may be more."""
        receive, fd, incoming = self._receive, self._fd, self._incoming_at
        for _ in range(ROUNDS):
            count = receive(fd, incoming, BATCH, 0, None)
            if count <= 0:
                return False
            self.taken += count
            self._last = count
            if self._is_wildcard:
                self._out_controllen[:count] = self._in_controllen[:count]
                self._in_controllen[:count] = self._full_control[:count]  # the kernel wrote what it used
                # An interface given back would be sent through whatever the routes say.
                self._interface[:count] = self._no_interface[:count]
            sizes = self._in_octets[:count].tolist()
            self._flush(self._find(self._responder.find, sizes) if self._responder else self._ask(sizes))
            if count < BATCH:
                return False
        return True

    def last_octets(self) -> tuple[list[int], list[int]]:
        """Return the sizes of the last batch's datagrams, and of the responses that were sent with it."""
        count = self._last
        return self._in_octets[:count].tolist(), [size for size in self._out_octets[:count].tolist() if size]

    def last_sources(self, most: int) -> list[bytes]:
        """Return where datagrams of the last batch came from, evenly chosen ones if there are more."""
        step = -(-self._last // most) or 1
        return [self._client.unpack_from(self._names, k * _NAME)[1] for k in range(0, self._last, step)]

    def _find(self, find: Find, sizes: list[int]) -> list[int]:
        """Make queries of so many octets responses, by what is known; return the octets of those.

        They are 0 where there is none.
        """
        box, take, put = self._box, _TAKE_PARTS, _PUT_PARTS
        made: list[int] = []
        at = 2
        for octets in sizes:
            head, rest = take[octets](box, at)
            response = find(head, rest)
            if response is not None:
                head, rest = response
                octets = len(rest) + 12
                put[octets](box, at, head, rest)
                made.append(octets)
            else:
                made.append(self._respond(len(made), octets))
            at += SLOT
        return made

    def _respond(self, k: int, octets: int) -> int:
        """Make the query in slot k a response of which nothing is known; return its octets, or 0."""
        query = _TAKE[octets](self._box, k * SLOT)[0]
        response: Response = self._responder.respond(query) if self._responder else None
        if response is None:
            port, address = self._client.unpack_from(self._names, k * _NAME)
            response = self._handle(query, address, port)
        return self._settle(k, response)

    def _ask(self, sizes: list[int]) -> list[int]:
        """Do as `_find`, by the handle."""
        box, take, handle, settle = self._box, _TAKE, self._handle, self._settle
        clients = self._client.iter_unpack(memoryview(self._names)[: len(sizes) * _NAME])
        return [
            settle(k, handle(take[octets](box, k * SLOT)[0], address, port))
            for k, (octets, (port, address)) in enumerate(zip(sizes, clients, strict=True))
        ]

    def _settle(self, k: int, response: Response) -> int:
        """Put a response into slot k and return its octets; who answers later is given the means, and 0."""
        if isinstance(response, bytes):
            if self._fits(response):
                _PUT[len(response)](self._box, k * SLOT, response)
                return len(response)
        elif callable(response):
            response(self._reply(k))
        return 0

    def _fits(self, message: bytes) -> bool:
        if len(message) > UDP_PAYLOAD:
            self.send_errors += 1
        return len(message) <= UDP_PAYLOAD

    def _reply(self, k: int) -> Reply:
        """Return what replies to the datagram in slot k when the slot has long been another's."""
        name = bytes(self._names[k * _NAME : k * _NAME + self._name_octets])
        control = bytes(self._controls[k * _CONTROL : k * _CONTROL + self._out_controllen[k]])

        def reply(message: bytes | None) -> None:
            if not message or not self._fits(message) or self._sock.fileno() < 0:
                return
            self._names[LATE * _NAME : LATE * _NAME + len(name)] = name
            self._controls[LATE * _CONTROL : LATE * _CONTROL + len(control)] = control
            self._out_controllen[LATE] = len(control)
            self._out_octets[LATE] = self._settle(LATE, message)
            self._transmit(LATE, LATE + 1)

        return reply

    def _flush(self, sizes: list[int]) -> None:
        """Send the responses of a batch, of so many octets; 0: there is none."""
        self._out_octets[: len(sizes)] = memoryview(array("L", sizes))
        first = 0
        if 0 in sizes:
            for k, size in enumerate(sizes):
                if not size:
                    self._transmit(first, k)
                    first = k + 1
        self._transmit(first, len(sizes))

    def _transmit(self, first: int, end: int) -> None:
        """Send the replies in slots first..end."""
        while first < end:
            sent = self._send(self._fd, self._outgoing_at + first * _MESSAGE, end - first, 0)
            if sent > 0:
                first += sent
                continue
            if ctypes.get_errno() in (errno.EAGAIN, errno.ENOBUFS):
                self.send_errors += end - first
                return
            if ctypes.get_errno() != errno.EINTR:
                self.send_errors += 1
                first += 1  # this one cannot be sent, as to port 0; the rest may
