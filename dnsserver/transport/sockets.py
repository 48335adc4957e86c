"""Listening sockets, and in words why one cannot be had."""

import errno
import logging
import socket
from collections.abc import Iterable
from typing import Final, NamedTuple

log = logging.getLogger("dnsserver")

RECEIVE_BUFFER: Final = 384 << 10
"""Octets asked for; the kernel may grant less.

It doubles them, and counts 768 for a small datagram: some 1,000 of those wait at most. At 50,000 queries a
second that is 20 ms, which who is answered in a flood has waited, and how long a pause loses nothing."""

BACKLOG: Final = 1024
"""TCP connections waiting to be accepted."""


class Address(NamedTuple):
    host: str
    """An IP address."""
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ListenError(Exception):
    """An address that cannot be listened on; the text says why and what to do."""


class NoAddress(ListenError):
    """All that was left out leaves nothing."""

    def __init__(self) -> None:
        super().__init__("no address to listen on is left")


class NoIPv6(ListenError):
    """The kernel has no IPv6, or this address is not there."""


def octets_of(host: str) -> bytes:
    """Return the 4 or 16 octets of an IP address as a socket tells it, with or without the interface."""
    host = host.partition("%")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


class Sockets(NamedTuple):
    """What listens on one address."""

    udp: dict[int, socket.socket]
    """By the process whose it is. They share the address: each client's datagrams go to one of them."""
    tcp: socket.socket

    def close(self) -> None:
        for sock in (*self.udp.values(), self.tcp):
            sock.close()


def listen(addresses: Iterable[Address], count: int = 1) -> dict[Address, Sockets]:
    """Return sockets for all addresses, `count` for UDP, without those of IPv6 where the system has none.

    Raises:
        ListenError: an address cannot be taken; none is then.
    """
    opened: dict[Address, Sockets] = {}
    udp: dict[int, socket.socket] = {}
    try:
        for address in addresses:
            udp = {}
            try:
                for number in range(count):
                    udp[number] = listen_udp(address, shares=count > 1, joins=number > 0)
                opened[address] = Sockets(udp, listen_tcp(address))
            except NoIPv6 as error:
                log.warning("%s", error)
    except ListenError:
        for sock in udp.values():
            sock.close()
        for sockets in opened.values():
            sockets.close()
        raise
    return opened


def listen_udp(address: Address, *, shares: bool = False, joins: bool = False) -> socket.socket:
    """Return a bound datagram socket, not blocking.

    One that `shares` lets others of ours have its address, and one that `joins` is such another: the first
    does not join, so it finds out whether somebody else has the port.

    On a wildcard address it tells for each datagram which address it came to, so that the reply leaves
    from there (RFC 2181 §4.1).

    Raises:
        ListenError: the address cannot be taken.
    """
    sock = _bound(address, socket.SOCK_DGRAM, joins=joins)
    if shares:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    if address.host == "0.0.0.0" and hasattr(socket, "IP_PKTINFO"):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_PKTINFO, 1)
    elif address.host == "0.0.0.0":
        sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # Linux; Python names it from 3.14 on
    elif address.host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return sock


def listen_tcp(address: Address) -> socket.socket:
    """Return a listening stream socket, not blocking.

    Raises:
        ListenError: the address cannot be taken.
    """
    sock = _bound(address, socket.SOCK_STREAM)
    sock.listen(BACKLOG)
    return sock


def _bound(address: Address, kind: socket.SocketKind, *, joins: bool = False) -> socket.socket:
    transport = "udp" if kind == socket.SOCK_DGRAM else "tcp"
    sock = None
    try:
        sock = socket.socket(address.family, kind)
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if joins:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setblocking(False)
        sock.bind(tuple(address))
    except OSError as error:
        if sock:
            sock.close()
        where = f"cannot listen on {address} ({transport})"
        if error.errno == errno.EAFNOSUPPORT or (error.errno == errno.EADDRNOTAVAIL and address.host == "::"):
            raise NoIPv6(f"{where}: this system has no IPv6") from None
        raise ListenError(f"{where}: {_remedy(error, address)}") from None
    return sock


def _remedy(error: OSError, address: Address) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is taken; stop the program that has it, or listen on another with --listen"
        case errno.EACCES | errno.EPERM:
            return (
                f"no permission for port {address.port}; listen above 1023 with --listen, or run privileged"
            )
        case errno.EADDRNOTAVAIL:
            return "this machine does not have the address"
        case _:
            return error.strerror or str(error)
