"""The models of one zone in the zone YAML, and of who may transfer it."""

from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from dnsserver.config.fields import (
    AddressOrNetwork,
    Apexes,
    DomainName,
    ListenAddress,
    Model,
    RecordType,
    Seconds,
    Ttl,
)
from dnsserver.config.limits import AccessRule
from dnsserver.source.zonefile import ZoneFile


class Soa(Model):
    """The SOA record (RFC 1035 §3.3.13); names without a final dot are relative to the zone."""

    mname: str = "ns.dns"
    """The primary name server."""
    rname: str = "hostmaster"
    """The mailbox of who is responsible, with a dot for its @."""
    refresh: Seconds = 7200
    """After how many seconds secondaries ask again."""
    retry: Seconds = 1800
    """The same, after a failure."""
    expire: Seconds = 86_400
    """Seconds without an answer after which secondaries drop the zone."""
    minimum: Seconds = 30
    """Seconds that a denial may be cached, at most."""
    serial: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """For a zone without etcd; from etcd comes the revision of the last change."""


class StaticLine(Model):
    name: str
    """Relative to the zone without a final dot; `@` is the apex."""
    type: RecordType
    """As A, TXT or TYPE65280."""
    data: str
    r"""Zone-file text; `\# 2 abcd` is for any type."""
    ttl: Ttl | None = None
    """Seconds; left out, the zone's."""


class Peer(Model):
    """Who may transfer a zone."""

    address: AddressOrNetwork
    """An address, or a network."""
    key: DomainName | None = None
    """The key under `tsig` that must sign the query; left out, unsigned ones are taken too."""


class Secondary(Model):
    """Who is told by NOTIFY that a zone has changed."""

    address: ListenAddress
    """ADDRESS:PORT."""
    key: DomainName | None = None
    """The key under `tsig` that signs the NOTIFY."""


class Transfer(Model):
    """AXFR, IXFR and NOTIFY of a zone; without `allow` there are none."""

    allow: list[Peer] = []
    notify: list[Secondary] = []

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.notify and not self.allow:
            raise ValueError("notify without allow: nobody who is told could transfer the zone")
        return self


class TsigKey(Model):
    name: DomainName
    """The same at both ends."""
    algorithm: Literal["hmac-sha256", "hmac-sha512"] = "hmac-sha256"
    """The same at both ends."""
    secret_file: Annotated[str, Field(min_length=1)]
    """A file, from the YAML's directory, that holds the secret in base64 and nothing else."""
    _secret: bytes = PrivateAttr(b"")

    @property
    def secret(self) -> bytes:
        """What stood in `secret_file` when the configuration was loaded."""
        return self._secret


class Zone(Model):
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
    """Static records; they go before those of etcd."""
    file: str = ""
    """A zone file, from the YAML's directory; its SOA counts instead of `soa`. Beside `records`."""
    transfer: Transfer = Transfer()
    acl: list[AccessRule] = []
    """Rules for questions about its names, after `acl`: those of the most specific zone count, and none of
    the zones above it. Here drop is for single messages."""
    _imported: ZoneFile | None = PrivateAttr(None)

    @property
    def imported(self) -> ZoneFile | None:
        """What stood in `file` when the configuration was loaded."""
        return self._imported
