"""Base and field types of the models: what a value in the YAML may be, and what was expected if it is not."""

import ipaddress
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dnsserver.skydns.address import endpoint_fault
from dnsserver.transport.sockets import Address
from dnsserver.wire import const, name
from dnsserver.wire.name import Name, NameFault

MAX_WORKERS: Final = 256


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


def address(value: Any) -> Address:
    """Return the address that a text ADDRESS:PORT stands for.

    Raises:
        ValueError: it stands for none.
    """
    expected = "expected ADDRESS:PORT as 127.0.0.1:53 or [::1]:53"
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise ValueError(expected)
    host, _, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(expected) from None
    if bracketed != (ip.version == 6) or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(expected)
    return Address(str(ip), int(port))


def _domain_name(value: Any) -> Name:
    if not isinstance(value, str):
        raise ValueError("expected a domain name")
    try:
        return name.from_text(value)
    except NameFault as fault:
        raise ValueError(f"expected a domain name: {fault}") from None


def _endpoint(value: Any) -> str:
    fault = endpoint_fault(value) if isinstance(value, str) else "expected a URL as http://127.0.0.1:2379"
    if fault:
        raise ValueError(fault)
    return str(value)


def record_type(value: Any) -> int:
    """Return the number of a type in text: its mnemonic, or TYPE<number> (RFC 3597 §5).

    Raises:
        ValueError: no such type.
    """
    if isinstance(value, str):
        mnemonic = value.upper()
        if mnemonic in const.TYPES:
            return const.TYPES[mnemonic]
        number = mnemonic.removeprefix("TYPE")
        if number != mnemonic and number.isdecimal() and 0 < int(number) < 65_536:
            return int(number)
    raise ValueError("expected a record type as A, TXT or TYPE65280")


def apexes(value: Any) -> tuple[Name, ...]:
    """Return the zones that a zone's name stands for: one, or for a network those of its addresses.

    A network whose length is no multiple of 8 (IPv4) or 4 (IPv6) bits is several zones, as in CoreDNS.

    Raises:
        ValueError: neither a domain name nor a network.
    """
    if not isinstance(value, str) or "/" not in value:
        return (_domain_name(value),)
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"expected a domain name or a network: {error}") from None
    step = 8 if network.version == 4 else 4
    length = -(-network.prefixlen // step) * step
    return tuple(_reverse_zone(part, step) for part in network.subnets(new_prefix=length))


def _reverse_zone(network: ipaddress.IPv4Network | ipaddress.IPv6Network, step: int) -> Name:
    labels = network.network_address.reverse_pointer.split(".")
    unused = (network.max_prefixlen - network.prefixlen) // step
    return name.from_text(".".join(labels[unused:]))


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(value: Any) -> Network:
    if not isinstance(value, str):
        raise ValueError("expected an address or a network as 10.0.0.0/24")
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"expected an address or a network: {error}") from None


def _workers(value: Any) -> int | str:
    if value != "auto" and (type(value) is not int or not 1 <= value <= MAX_WORKERS):
        raise ValueError(f"expected auto or a number from 1 to {MAX_WORKERS}")
    return value  # type: ignore[no-any-return]


ListenAddress = Annotated[Address, BeforeValidator(address)]
AddressOrNetwork = Annotated[Network, BeforeValidator(_network)]
Endpoint = Annotated[str, BeforeValidator(_endpoint)]
"""A URL of etcd."""
RecordType = Annotated[int, BeforeValidator(record_type)]
DomainName = Annotated[Name, BeforeValidator(_domain_name)]
Apexes = Annotated[tuple[Name, ...], BeforeValidator(apexes)]
Ttl = Annotated[int, Field(ge=0, le=const.MAX_TTL)]
Workers = Annotated[int | Literal["auto"], BeforeValidator(_workers)]
Seconds = Annotated[int, Field(ge=0, le=2**31 - 1)]
