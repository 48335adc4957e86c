"""The zone YAML as strict frozen models; each field says what it means and its unit."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from dnsserver.config.fields import Endpoint, ListenAddress, Model, Workers
from dnsserver.config.forward import Forward
from dnsserver.config.limits import AccessRule, Cookies, QueryLimit, ResponseRates
from dnsserver.config.source import Source
from dnsserver.config.zone import TsigKey, Zone
from dnsserver.transport.sockets import Address
from dnsserver.wire.name import Name


class Etcd(Model):
    endpoints: Annotated[list[Endpoint], Field(min_length=1)]
    """URLs of the members; all http, or all https."""
    prefix: Annotated[str, Field(min_length=2, pattern="^/")] = "/skydns"
    """Where the records are; the part of CoreDNS's `path`."""
    username: str = ""
    """With `password_file`."""
    password_file: str = ""
    """A file that holds the password; a final line break is cut."""
    ca_file: str = ""
    """Certificates that sign the server's; empty takes the system's."""
    cert_file: str = ""
    """Our own certificate, with `key_file`."""
    key_file: str = ""
    """Its key."""
    server_name: str = ""
    """The name in the server's certificate, where it is not the endpoint's host."""
    allow_empty: bool = False
    """Believe at once an etcd that was emptied, replaced or restored from a backup."""
    _password: str = PrivateAttr("")

    @property
    def password(self) -> str:
        """What stood in `password_file` when the configuration was loaded."""
        return self._password

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


class Identity(Model):
    """What the server says of itself: by NSID, and in class CH; nothing that is left out."""

    id: Annotated[str, Field(max_length=255)] = ""
    """For NSID, id.server and hostname.bind."""
    version: Annotated[str, Field(max_length=255)] = ""
    """For version.server and version.bind."""


class Listener(Model):
    listen: ListenAddress
    """ADDRESS:PORT; several pages may have the same."""


PREFIX: Final = "coredns"


class Metrics(Listener):
    prefix: Annotated[str, Field(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")] = PREFIX
    """What the names begin with of metrics that CoreDNS has too; what it lacks begins with dnsserver."""


class StatusPage(Model):
    """HTML for people. It lists every record, so it is for loopback unless told."""

    listen: ListenAddress = Address("127.0.0.1", 8053)
    """ADDRESS:PORT."""


class Log(Model):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is told on standard error."""
    format: Literal["text", "json"] = "text"
    """Of the lines on standard error."""
    queries: Literal["none", "all", "success", "denial", "error"] = "none"
    """Which queries have a line on standard output: by the class of their response, as in CoreDNS."""
    query_format: Literal["coredns", "json"] = "coredns"
    """The line of CoreDNS's `log`, or one object a line."""
    query_sample: Annotated[int, Field(ge=1)] = 1
    """One of so many of these queries is logged."""
    query_rate: Annotated[int, Field(ge=0)] = 1000
    """Lines a second of one process, at most; 0: no limit."""


class Config(Model):
    listen: Annotated[list[ListenAddress], Field(min_length=1)] = [Address("0.0.0.0", 53), Address("::", 53)]
    """Each serves UDP and TCP; where the kernel has no IPv6 those of it are skipped, with a warning."""
    workers: Workers = 1
    """Processes that serve; auto: one for each CPU that may be used."""
    etcd: Etcd | None = None
    """Left out: only the static records are served."""
    state_dir: str = ""
    """Where the last table is kept over a restart; empty: nowhere."""
    zones: Annotated[list[Zone], Field(min_length=1)]
    """At least one; a name belongs to the longest that fits."""
    tsig: list[TsigKey] = []
    """Keys that sign transfers, notifies and queries (RFC 8945)."""
    acl: list[AccessRule] = []
    """The first rule that has the client's address counts; whom none has is answered."""
    forward: Forward | None = None
    """Left out: questions outside all zones are refused."""
    query_limit: QueryLimit | None = None
    """Query rate limiting over UDP, on Linux. Left out: none."""
    rrl: ResponseRates | None = None
    """Response rate limiting over UDP (ISC-TN-2012-1); `{}` takes the defaults. Left out: none."""
    cookies: Cookies | None = None
    """Left out: cookies are ignored, as any unknown option is."""
    identity: Identity = Identity()
    metrics: Metrics | None = None
    """`/metrics`, for Prometheus."""
    health: Listener | None = None
    """`/health`: 200 while the process answers."""
    ready: Listener | None = None
    """`/ready`: 200 once all zones have had their first snapshot, until SIGTERM."""
    status: StatusPage | None = None
    """HTML for people. It lists every record, so it is for loopback unless told; `{}` takes the default."""
    lameduck: Annotated[int, Field(ge=0, le=300)] = 0
    """Seconds between SIGTERM, which ends `ready`, and the last answers."""
    log: Log = Log()
    """What is logged, and how."""
    _source: Source | None = PrivateAttr(None)

    @property
    def zone_acl(self) -> dict[Name, list[AccessRule]]:
        """The rules of the zones that have some, by apex."""
        return {apex: zone.acl for zone in self.zones for apex in zone.name if zone.acl}

    @property
    def source(self) -> Source:
        """What `load` made it of."""
        assert self._source
        return self._source
