"""The models of who is answered, and how often."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from dnsserver.config.fields import AddressOrNetwork, Model


class AccessRule(Model):
    networks: Annotated[list[AddressOrNetwork], Field(min_length=1)]
    """Addresses and networks."""
    action: Literal["allow", "refuse", "drop"]
    """What their messages get: an answer, REFUSED, or nothing, not even a TCP connection; with up to some
    1000 IPv4 or 300 IPv6 networks Linux drops the datagrams before they are queued. For transfers it counts
    before `transfer.allow`."""


class QueryLimit(Model):
    """Query rate limiting over UDP, by the kernel of Linux."""

    queries_per_second: Annotated[int, Field(ge=1, le=10_000_000)]
    """Queries of one network, /24 or /56, to one address and worker; of one that asks more the kernel lets
    about so many through, chosen at random."""
    exempt: list[AddressOrNetwork] = []
    """Addresses and networks without a limit."""


class ResponseRates(Model):
    """Response rate limiting over UDP (ISC-TN-2012-1)."""

    responses_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """Alike responses to one network, /24 or /56."""
    window: Annotated[int, Field(ge=1, le=3600)] = 15
    """Seconds that who asked too much may be without a response, at most."""
    slip: Annotated[int, Field(ge=0, le=100)] = 2
    """Every so many-th response withheld is sent truncated, so that who really asks comes by TCP; 0: none.
    With `cookies` it is BADCOOKIE for a client that knows them, which then asks again with a good one."""
    exempt: list[AddressOrNetwork] = []
    """Addresses and networks without a limit."""
    table_size: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000
    """Accounts kept; each takes about 250 octets."""


class Cookies(Model):
    """DNS cookies (RFC 7873, RFC 9018)."""

    secret_file: Annotated[str, Field(min_length=1)]
    """A file, from the YAML's directory, with one or two secrets, each 32 hexadecimal digits on a line. The
    first makes cookies; those of the second are still good. It is read again when it changes."""
    _path: Path = PrivateAttr(Path())
    _secrets: tuple[bytes, ...] = PrivateAttr(())

    @property
    def path(self) -> Path:
        return self._path

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What stood in `secret_file` when the configuration was loaded."""
        return self._secrets
