"""A zone: its apex, its SOA, and what is fixed about it. The names in it are nodes of the table."""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from dnsserver.skydns.key import Key
from dnsserver.skydns.record import Record
from dnsserver.wire import const
from dnsserver.wire.name import Name, ancestors, canonical, end_of_name
from dnsserver.zone.rrset import NONE, RRset, RRsets, merged, soa_rdata


class Stored(NamedTuple):
    """A record with the key it has in etcd, in little space: most records differ in their host alone."""

    key: Key
    host: str
    form: tuple[Any, ...]
    """The fields of the record after its host; one for all records that are alike in them."""
    since: int = 0
    """The clock in seconds when it came or last changed; 0: with the first snapshot, or before."""

    @property
    def record(self) -> Record:
        return Record(self.host, *self.form)

    @property
    def cut(self) -> int:
        """How many labels of its key its name has not, at most; if any, it answers for that name only."""
        cut: int = self.form[_TARGETSTRIP]
        return cut

    def owned_by(self, name: Name) -> "Owned":
        return Owned(name, self.key, self.record, self.since)


_TARGETSTRIP: Final = Record._fields.index("targetstrip") - 1


class Owned(NamedTuple):
    """A record that answers some name, and the name that owns it: the same, or one below."""

    owner: Name
    key: Key
    record: Record
    since: int = 0


RRsetsOf = Callable[[Sequence[Owned], int], RRsets]
"""(records that answer one name, in key order; the TTL of those that set none) → its RRsets."""


class History(Protocol):
    """Whoever must know what a zone was before a change, as a journal for transfers."""

    def before(self, name: Name) -> None:
        """Note that the RRsets at `name` may be others next; now they are still as they were."""

    def moved(self) -> None:
        """Note that the serial has moved, or that the first snapshot is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soa:
    mname: Name
    rname: Name
    refresh: int = 7200
    retry: int = 1800
    expire: int = 86_400
    minimum: int = 30
    """Seconds a negative answer may be cached, at most (RFC 2308 §4)."""


def soa_of(rdata: bytes) -> tuple[Soa, int]:
    """Return the fields of whole SOA rdata, and the serial."""
    mname_end = end_of_name(rdata, 0)
    end = end_of_name(rdata, mname_end)
    serial, refresh, retry, expire, minimum = struct.unpack(">5L", rdata[end:])
    soa = Soa(
        mname=canonical(rdata[:mname_end]),
        rname=canonical(rdata[mname_end:end]),
        refresh=refresh,
        retry=retry,
        expire=expire,
        minimum=minimum,
    )
    return soa, serial


class Zone:
    """One zone. `static` are the RRsets of the configuration, by name; the others come from etcd."""

    def __init__(
        self,
        apex: Name,
        soa: Soa,
        *,
        ttl: int,
        static: Mapping[Name, RRsets],
        rrsets_of: RRsetsOf,
        skydns_lookup: bool = True,
        synced: bool = True,
        serial: int = 1,
        soa_ttl: int | None = None,
        serial_is_time: bool = False,
        minimal: bool = True,
    ) -> None:
        self.apex: Final = apex
        self.soa: Final = soa
        self.ttl: Final = ttl
        self.soa_ttl: Final = ttl if soa_ttl is None else soa_ttl
        self.static: Final = static
        self.skydns_lookup: Final = skydns_lookup
        """A record without targetstrip also answers for ancestors that own nothing."""
        self.synced = synced
        """False until the first snapshot: only static data may be answered."""
        self.serial = serial
        self.minimal: Final = minimal
        """Answers come without the name servers of the zone."""
        self.serial_is_time: Final = serial_is_time
        """The serial of a change is the clock's seconds, not etcd's revision."""
        self.cuts: Final = frozenset(
            name for name, rrsets in static.items() if const.NS in rrsets and name != apex
        )
        """Names where a delegation begins."""
        self.names = 1
        """How many names of it exist, the apex and empty non-terminals included."""
        self.records = 0
        """How many records of etcd it has."""
        self.wildcards = 0
        """How many names in the zone have `*` for their first label."""
        self.negative: dict[int, Any] = {}
        """Rcode × 256 + octets of the question's name → what the layer above compiled of the SOA for denials;
        emptied when the SOA changes."""
        self.history: History | None = None
        """Told of every change of a synced zone; None where nobody asks."""
        self._rrsets_of = rrsets_of

    def changed(self, serial: int) -> None:
        """Note that the zone's data changed.

        Its serial becomes `serial` (modulo 2^32), or one more than it was where that would not be an
        increase (RFC 1982), as after a restored backup.
        """
        serial &= 0xFFFF_FFFF
        if not 0 < (serial - self.serial) & 0xFFFF_FFFF < 2**31:
            serial = self.serial + 1 & 0xFFFF_FFFF
        self.serial = serial
        self.negative.clear()
        if self.history and self.synced:
            self.history.moved()

    def soa_rrset(self) -> RRset:
        soa = self.soa
        rdata = soa_rdata(
            soa.mname,
            soa.rname,
            self.serial,
            refresh=soa.refresh,
            retry=soa.retry,
            expire=soa.expire,
            minimum=soa.minimum,
        )
        return RRset(const.SOA, self.soa_ttl, (rdata,))

    def negative_soa(self) -> RRset:
        """Return the SOA as it goes into the authority section of negative answers (RFC 2308 §3)."""
        soa = self.soa_rrset()
        return soa._replace(ttl=min(soa.ttl, self.soa.minimum))

    def rrsets(self, name: Name, records: Sequence[Owned]) -> RRsets:
        """Return what is served at `name`, for which `records` answer; at the apex without SOA and NS."""
        static = self.static.get(name, NONE)
        return merged(static, self._rrsets_of(records, self.ttl) if records else NONE)

    def apex_rrsets(self, records: Sequence[Owned], servers: Sequence[Owned]) -> RRsets:
        """Return what is served at the apex.

        Its name servers are the static NS records, else the owners of the addresses in `servers`, else the
        SOA's mname.
        """
        names = dict.fromkeys(
            owned.owner
            for owned in servers
            if {const.A, const.AAAA} & self._rrsets_of([owned], self.ttl).keys()
        )
        servers_rrset = RRset(const.NS, self.ttl, tuple(names) or (self.soa.mname,))
        fixed = {const.SOA: self.soa_rrset(), const.NS: servers_rrset}
        return {**fixed, **self.rrsets(self.apex, records)}

    def cut_above(self, name: Name) -> Name | None:
        """Return the highest zone cut at or above `name`, which hides all below it."""
        if not self.cuts:
            return None
        cuts = [above for above in (name, *ancestors(name)) if above in self.cuts]
        return cuts[-1] if cuts else None
