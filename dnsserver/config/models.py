"""The shape of the zone YAML, as strict frozen models; each field says what it means and its unit."""

import ipaddress
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from dnsserver.skydns.address import endpoint_fault
from dnsserver.source.zonefile import ZoneFile
from dnsserver.transport.sockets import Address
from dnsserver.wire import const, name
from dnsserver.wire.name import Name, NameFault


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


def _address(value: Any) -> Address:
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


def _name(value: Any) -> Name:
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


def _type(value: Any) -> int:
    if isinstance(value, str):
        mnemonic = value.upper()
        if mnemonic in const.TYPES:
            return const.TYPES[mnemonic]
        number = mnemonic.removeprefix("TYPE")
        if number != mnemonic and number.isdecimal() and 0 < int(number) < 65_536:
            return int(number)
    raise ValueError("expected a record type as A, TXT or TYPE65280")


ListenAddress = Annotated[Address, BeforeValidator(_address)]


def apexes(value: Any) -> tuple[Name, ...]:
    """Return the zones that a zone's name stands for: one, or for a network those of its addresses.

    A network whose length is no multiple of 8 (IPv4) or 4 (IPv6) bits is several zones, as in CoreDNS.

    Raises:
        ValueError: neither a domain name nor a network.
    """
    if not isinstance(value, str) or "/" not in value:
        return (_name(value),)
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


KeyName = Annotated[Name, BeforeValidator(_name)]
Apexes = Annotated[tuple[Name, ...], BeforeValidator(apexes)]
Ttl = Annotated[int, Field(ge=0, le=const.MAX_TTL)]
Seconds = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Etcd(_Model):
    endpoints: Annotated[list[Annotated[str, BeforeValidator(_endpoint)]], Field(min_length=1)]
    """URLs of the members; all http, or all https."""
    prefix: Annotated[str, Field(min_length=2, pattern="^/")] = "/skydns"
    """Where the records are; the part of CoreDNS's `path`."""
    username: str = ""
    password_file: str = ""
    """A file that holds the password; a final line break is cut."""
    ca_file: str = ""
    """Certificates that sign the server's; empty takes the system's."""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    """The name in the server's certificate, where it is not the endpoint's host."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len({url.partition(":")[0] for url in self.endpoints}) > 1:
            raise ValueError("endpoints: expected all http or all https")
        if bool(self.username) != bool(self.password_file):
            raise ValueError("expected username and password_file together")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("expected cert_file and key_file together")
        if (self.ca_file or self.cert_file) and self.endpoints[0].startswith("http:"):
            raise ValueError("certificates are for https endpoints")
        return self


class Soa(_Model):
    """The SOA record (RFC 1035 §3.3.13); names without a final dot are relative to the zone."""

    mname: str = "ns.dns"
    rname: str = "hostmaster"
    refresh: Seconds = 7200
    retry: Seconds = 1800
    expire: Seconds = 86_400
    minimum: Seconds = 30
    """How long a negative answer may be cached."""
    serial: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """For a zone without etcd; from etcd comes the revision of the last change."""


class StaticLine(_Model):
    name: str
    """Relative to the zone without a final dot; `@` is the apex."""
    type: Annotated[int, BeforeValidator(_type)]
    data: str
    """Zone-file text."""
    ttl: Ttl | None = None
    """Seconds; left out, the zone's."""


class Peer(_Model):
    """Who may transfer a zone."""

    address: Annotated[Network, BeforeValidator(_network)]
    """An address, or a network."""
    key: KeyName | None = None
    """The key under `tsig` that must sign the query; left out, unsigned ones are taken too."""


class Secondary(_Model):
    """Who is told by NOTIFY that a zone has changed."""

    address: ListenAddress
    key: KeyName | None = None
    """The key under `tsig` that signs the NOTIFY."""


class Transfer(_Model):
    """AXFR, IXFR and NOTIFY of a zone; without `allow` there are none."""

    allow: list[Peer] = []
    notify: list[Secondary] = []

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.notify and not self.allow:
            raise ValueError("notify without allow: nobody who is told could transfer the zone")
        return self


class TsigKey(_Model):
    name: KeyName
    algorithm: Literal["hmac-sha256", "hmac-sha512"] = "hmac-sha256"
    secret_file: Annotated[str, Field(min_length=1)]
    """A file, from the YAML's directory, that holds the secret in base64 and nothing else."""
    _secret: bytes = PrivateAttr(b"")

    @property
    def secret(self) -> bytes:
        """What stood in `secret_file` when the configuration was loaded."""
        return self._secret


class Zone(_Model):
    name: Apexes
    """A domain name, or a network as 10.0.0.0/24 for its reverse zones."""
    ttl: Ttl = 300
    """Seconds, for records that set none."""
    soa: Soa = Soa()
    serial: Literal["revision", "time"] = "revision"
    """Where the serial of a change comes from: etcd's revision, or the clock in seconds."""
    lookup: Literal["skydns", "exact"] = "skydns"
    """skydns: a record without targetstrip answers for its ancestors too, where they own nothing."""
    minimal: bool = True
    """Leave the zone's name servers out of answers that do not need them."""
    records: list[StaticLine] = []
    file: str = ""
    """A zone file, from the YAML's directory; its SOA counts instead of `soa`. Beside `records`."""
    transfer: Transfer = Transfer()
    _imported: ZoneFile | None = PrivateAttr(None)

    @property
    def imported(self) -> ZoneFile | None:
        """What stood in `file` when the configuration was loaded."""
        return self._imported


class Identity(_Model):
    """What the server says of itself: by NSID, and in class CH; nothing that is left out."""

    id: Annotated[str, Field(max_length=255)] = ""
    """For NSID, id.server and hostname.bind."""
    version: Annotated[str, Field(max_length=255)] = ""
    """For version.server and version.bind."""


class Listener(_Model):
    listen: ListenAddress


class Log(_Model):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    queries: Literal["none"] = "none"


class Config(_Model):
    listen: Annotated[list[ListenAddress], Field(min_length=1)] = [Address("0.0.0.0", 53), Address("::", 53)]
    """Each serves UDP and TCP."""
    workers: Literal[1] = 1
    """Processes that serve."""
    etcd: Etcd | None = None
    """Left out: only the static records are served."""
    zones: Annotated[list[Zone], Field(min_length=1)]
    tsig: list[TsigKey] = []
    """Keys that sign transfers, notifies and queries (RFC 8945)."""
    identity: Identity = Identity()
    metrics: Listener | None = None
    health: Listener | None = None
    ready: Listener | None = None
    log: Log = Log()
