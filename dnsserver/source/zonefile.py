"""Zone files (RFC 1035 §5) to static records, read by dnspython. Pure: text in, records out."""

from typing import Any, Final, NamedTuple

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile

from dnsserver.source.static import StaticRecord
from dnsserver.wire import const, name
from dnsserver.wire.name import Name

DIRECTIVES: Final = ("$ORIGIN", "$TTL")
"""The others read other files or make records without end."""


DNAME_FAULT: Final = "DNAME is not supported: names below it would not be answered (RFC 6672)"


class ZoneFileFault(ValueError):
    """A line that is no record of the zone; the text says what was expected."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class ZoneFile(NamedTuple):
    records: list[StaticRecord]
    """All but the SOA."""
    lines: list[int]
    """Where each record ends, from 1."""
    soa: bytes | None
    """The SOA's rdata."""
    soa_ttl: int


class _Lines:
    """Takes what dnspython's reader finds, a record at a time, with its line."""

    def __init__(self, tokenizer: dns.tokenizer.Tokenizer, apex: Name, default_ttl: int) -> None:
        self._tokenizer = tokenizer
        self._origin = dns.name.Name([*name.labels_of(apex), b""])
        self._apex, self._soa_ttl = apex, default_ttl
        self.records: list[StaticRecord] = []
        self.lines: list[int] = []
        self.soa: bytes | None = None

    @property
    def manager(self) -> "_Lines":
        return self

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        return self._origin, False, self._origin

    def check_put_rdataset(self, check: object) -> None:
        """Clashes are told by the caller, all of them and with their places."""

    def _set_origin(self, origin: dns.name.Name) -> None:
        pass

    def add(self, owner: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        line = self._tokenizer.where()[1] - 1
        found = name.from_labels(owner.labels[:-1])
        if not name.is_within(found, self._apex):
            raise ZoneFileFault(line, f"{owner} is outside the zone {name.to_text(self._apex)}")
        if rdata.rdtype == dns.rdatatype.DNAME:
            raise ZoneFileFault(line, DNAME_FAULT)
        octets = rdata.to_digestable(self._origin)
        if rdata.rdtype != dns.rdatatype.SOA:
            self.records.append(StaticRecord(found, int(rdata.rdtype), min(ttl, const.MAX_TTL), octets))
            self.lines.append(line)
        elif found != self._apex or self.soa is not None:
            raise ZoneFileFault(line, "expected one SOA, at the apex")
        else:
            self.soa, self._soa_ttl = octets, ttl

    def zone_file(self) -> ZoneFile:
        return ZoneFile(self.records, self.lines, self.soa, self._soa_ttl)


def parse(text: str, apex: Name, default_ttl: int) -> ZoneFile:
    """Return the records of a zone file, absolute or relative to `apex`.

    A record without a TTL takes the last one stated, else that of $TTL, else `default_ttl` seconds.

    Raises:
        ZoneFileFault: at the first line that is no record of the zone.
    """
    tokenizer = dns.tokenizer.Tokenizer(text)
    lines = _Lines(tokenizer, apex, default_ttl)
    reader: Any = dns.zonefile.Reader(
        tokenizer,
        dns.rdataclass.IN,
        lines,  # type: ignore[arg-type]
        allow_directives=DIRECTIVES,
        default_ttl=default_ttl,
    )
    # The reader leaves out what is outside this without a word.
    reader.zone_origin = dns.name.root
    try:
        reader.read()
    except ZoneFileFault:
        raise
    except Exception as error:  # dnspython's, and whatever its parsing stumbles over
        # By then the reader may have taken the end of the line, or not.
        line = max(tokenizer.where()[1] - 1, lines.lines[-1] + 1 if lines.lines else 1)
        reason = str(error).partition(": ")[2] or str(error) or type(error).__name__
        shown = text.splitlines()[line - 1 : line]
        raise ZoneFileFault(line, f"{shown[0].strip()[:60]!r}: {reason}" if shown else reason) from None
    return lines.zone_file()
