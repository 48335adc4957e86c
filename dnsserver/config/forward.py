"""The models of forwarding in the zone YAML: who may, which upstreams, and what is kept."""

import ipaddress
import ssl
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dnsserver.config.fields import AddressOrNetwork, Model, Network, address
from dnsserver.transport.sockets import Address

PRIVATE: Final = [
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
]
"""Networks that no packet from the Internet comes from (RFC 1918, RFC 6598, RFC 4193, RFC 4291)."""

_TLS: Final = "tls://"


class Server(NamedTuple):
    """Where to ask, and whether over TLS."""

    address: Address
    tls: bool


def _server(value: Any) -> Server:
    tls = isinstance(value, str) and value.startswith(_TLS)
    try:
        return Server(address(value.removeprefix(_TLS) if tls else value), tls)
    except ValueError:
        raise ValueError("expected ADDRESS:PORT as 192.0.2.1:53, or tls://192.0.2.1:853") from None


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Return what verifies an upstream's certificate.

    Raises:
        ValueError: the file cannot be read, or holds no certificates.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError:
        raise ValueError(f"{ca_file}: expected certificates in PEM") from None
    except OSError as error:
        raise ValueError(f"{ca_file} cannot be read: {error.strerror}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["dot"])
    return context


def _certificates(file: str) -> str:
    tls_context(file)
    return file


class Upstream(Model):
    """One of several keys, or the address alone."""

    address: Annotated[Server, BeforeValidator(_server)]
    """ADDRESS:PORT for UDP and TCP, or tls://ADDRESS:PORT."""
    server_name: str = ""
    """What its certificate must be for; left out, the address."""
    ca_file: Annotated[str, AfterValidator(_certificates)] = ""
    """Certificates that sign the upstream's; left out, the system's."""

    @model_validator(mode="before")
    @classmethod
    def _address_alone(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.server_name or self.ca_file) and not self.address.tls:
            raise ValueError("server_name and ca_file are for tls:// addresses")
        return self


class Cache(Model):
    size: Annotated[int, Field(ge=0, le=2**36)] = 16 << 20
    """Octets of memory, at most; 0 keeps nothing."""
    max_ttl: Annotated[int, Field(ge=0, le=604_800)] = 3600
    """Seconds that an answer is kept, at most."""
    negative_ttl: Annotated[int, Field(ge=0, le=10_800)] = 1800
    """Seconds that a denial is kept, at most (RFC 2308 §5)."""
    failure_ttl: Annotated[int, Field(ge=1, le=30)] = 5
    """Seconds during which a question that no upstream answered is not asked again (RFC 9520)."""


class Health(Model):
    failures: Annotated[int, Field(ge=1, le=1000)] = 2
    """Queries without a response, one after the other, until an upstream is left out."""
    interval: Annotated[int, Field(ge=1, le=3600)] = 1
    """Seconds between two probes of an upstream that is left out."""


def _closed(networks: list[Network]) -> list[Network]:
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("a network of everybody makes an open resolver; name those that may")
    return networks


class Forward(Model):
    """Names outside all zones, and aliases that lead out of them, for clients that may have them resolved."""

    upstreams: Annotated[list[Upstream], Field(min_length=1)]
    """Resolvers, asked in order."""
    allow: Annotated[list[AddressOrNetwork], Field(min_length=1), AfterValidator(_closed)] = PRIVATE
    """Clients that names are resolved for."""
    timeout: Annotated[float, Field(gt=0, le=30)] = 2.0
    """Seconds for one query to one upstream."""
    deadline: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds until a client is told that it failed, whatever is tried."""
    max_in_flight: Annotated[int, Field(ge=1, le=65_536)] = 512
    """Queries of clients that wait for upstreams at a time; more get SERVFAIL."""
    health: Health = Health()
    """When an upstream is left out."""
    cache: Cache = Cache()
    """What is kept of the upstreams' responses."""


def loops(upstreams: Sequence[Upstream], listen: Sequence[Address]) -> Iterator[tuple[int, str]]:
    """Yield the upstreams that are addresses of our own, by their place in the list, with the reason."""
    for index, upstream in enumerate(upstreams):
        host, port = upstream.address.address
        asked = ipaddress.ip_address(host)
        for ours in listen:
            wild = ipaddress.ip_address(ours.host).is_unspecified and asked.version == (
                6 if ":" in ours.host else 4
            )
            if port == ours.port and (
                host == ours.host or (wild and (asked.is_loopback or asked.is_unspecified))
            ):
                yield index, f"this is our own address (listen has {ours}): queries would go in a circle"
                break
