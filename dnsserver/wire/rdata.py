"""Rdata in wire form, names uncompressed, built off the query path.

dnslib packs; names go into it as labels, because its text form runs IDNA and cannot hold every octet.
"""

import ipaddress
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import dnslib
from dnslib.label import DNSBuffer

from dnsserver.wire import const, name
from dnsserver.wire.name import Name, NameFault


class RdataFault(ValueError):
    """Text that is no rdata of its type; the text says what was expected."""


NAMES_IN_RDATA: Final[dict[int, tuple[int, int]]] = {
    const.NS: (0, 1),
    const.CNAME: (0, 1),
    const.PTR: (0, 1),
    const.SOA: (0, 2),
    const.MX: (2, 1),
}
"""Type → (octets before the names, how many names), of the types whose names may be compressed in a
message. RFC 3597 §4 forbids it for every type after RFC 1035; the rest of RFC 1035's are obsolete."""


_OCTETS: Final = {str(octet): bytes((octet,)) for octet in range(256)}


def address(host: str) -> tuple[int, bytes] | None:
    """Return (A or AAAA, rdata) of an IP address in text, or None.

    An IPv4-mapped IPv6 address is an A, as CoreDNS has it. No zone ids, no short IPv4 forms.
    """
    if ":" not in host:
        # As ipaddress.IPv4Address, in a sixth of the time: there are a million of these to read.
        try:
            first, second, third, fourth = host.split(".")
            return const.A, _OCTETS[first] + _OCTETS[second] + _OCTETS[third] + _OCTETS[fourth]
        except (KeyError, ValueError):
            return None
    try:
        if "%" in host:
            return None
        v6 = ipaddress.IPv6Address(host)
    except ValueError:
        return None
    if v6.ipv4_mapped:
        return const.A, v6.ipv4_mapped.packed
    return const.AAAA, v6.packed


def strings(values: Sequence[bytes]) -> bytes:
    """Return TXT rdata: each value in character-strings of at most 255 octets (RFC 1035 §3.3.14).

    Raises:
        RdataFault: over 65 535 octets.
    """
    parts = [value[at : at + 255] for value in values for at in range(0, len(value), 255) or (0,)]
    return _bounded(b"".join(bytes((len(part),)) + part for part in parts) or b"\0")


def from_text(kind: int, text: str, origin: Name) -> bytes:
    r"""Return the rdata of zone-file text, for every type that dnslib builds.

    `\# LENGTH HEX` gives the octets of any type (RFC 3597 §5).

    Raises:
        RdataFault: the text does not fit the type, or nothing is known of the type.
    """
    tokens = _tokens(text)
    if tokens and tokens[0] == (b"\\#", False):
        return _generic([token.decode("latin-1") for token, _ in tokens[1:]])
    values = [token for token, _ in tokens]
    label = const.TYPE_NAMES.get(kind, f"TYPE{kind}")
    build = _BUILDERS.get(kind)
    if build is None and label not in dnslib.RDMAP:
        raise RdataFault(rf"{label} is not known by its fields; write \# LENGTH HEX")
    try:
        built = build(values, origin) if build else _by_dnslib(label, values, origin)
        buffer = _Uncompressed()
        built.pack(buffer)
    except (RdataFault, NameFault) as error:
        raise RdataFault(f"{label}: {error}") from None
    except Exception as error:  # dnslib raises whatever its parsing stumbles over
        raise RdataFault(
            f"{label}: {text[:60]!r} is not its data ({error or type(error).__name__})"
        ) from None
    return _bounded(bytes(buffer.data))


class _Uncompressed(DNSBuffer):  # type: ignore[misc]
    def encode_name(self, name: Any) -> None:
        self.encode_name_nocompress(name)


def _bounded(rdata: bytes) -> bytes:
    if len(rdata) > 65_535:
        raise RdataFault(f"{len(rdata)} octets; at most 65535")
    return rdata


def _label(text: bytes, origin: Name) -> dnslib.DNSLabel:
    return dnslib.DNSLabel(name.labels_of(name.from_text(text.decode("utf-8", "surrogateescape"), origin)))


def _number(text: bytes, most: int = 65_535) -> int:
    if not text.isdigit() or int(text) > most:
        raise RdataFault(f"{text.decode('latin-1')!r}: expected a number 0..{most}")
    return int(text)


def _exactly(values: Sequence[bytes], fields: str) -> Sequence[bytes]:
    if len(values) != len(fields.split()):
        raise RdataFault(f"expected {fields.upper()}, got {len(values)} fields")
    return values


def _address(values: Sequence[bytes], kind: int, called: str) -> bytes:
    text = _exactly(values, "address")[0].decode("latin-1")
    family = ipaddress.IPv4Address if kind == const.A else ipaddress.IPv6Address
    try:
        if "%" not in text:  # a zone id, which means something on one machine only
            return family(text).packed
    except ValueError:
        pass
    raise RdataFault(f"{text!r}: expected an {called} address")


def _soa(values: Sequence[bytes], origin: Name) -> Any:
    mname, rname, *times = _exactly(values, "mname rname serial refresh retry expire minimum")
    return dnslib.SOA(_label(mname, origin), _label(rname, origin), [_number(t, 2**32 - 1) for t in times])


def _srv(values: Sequence[bytes], origin: Name) -> Any:
    priority, weight, port, target = _exactly(values, "priority weight port target")
    return dnslib.SRV(_number(priority), _number(weight), _number(port), _label(target, origin))


def _mx(values: Sequence[bytes], origin: Name) -> Any:
    preference, exchange = _exactly(values, "preference exchange")
    return dnslib.MX(_label(exchange, origin), _number(preference))


def _txt(values: Sequence[bytes], origin: Name) -> Any:
    if not values:
        raise RdataFault("expected at least one string")
    return dnslib.RD(strings(values))


def _hinfo(values: Sequence[bytes], origin: Name) -> Any:
    return dnslib.RD(b"".join(map(_string, _exactly(values, "cpu os"))))


def _rp(values: Sequence[bytes], origin: Name) -> Any:
    return dnslib.RD(b"".join(map(_wire(origin), _exactly(values, "mailbox txt-name"))))


def _naptr(values: Sequence[bytes], origin: Name) -> Any:
    order, preference, *texts, replacement = _exactly(
        values, "order preference flags services regexp replacement"
    )
    numbers = b"".join(_number(text).to_bytes(2, "big") for text in (order, preference))
    return dnslib.RD(numbers + b"".join(map(_string, texts)) + _wire(origin)(replacement))


def _svcb(values: Sequence[bytes], origin: Name) -> Any:
    if len(values) < 2:
        raise RdataFault("expected PRIORITY TARGET and parameters")
    target = _wire(origin)(values[1])
    buffer = DNSBuffer()
    _by_dnslib("HTTPS", [values[0], b".", *values[2:]], origin).pack(buffer)
    return dnslib.RD(bytes(buffer.data[:2]) + target + _in_order(bytes(buffer.data[3:])))


def _in_order(octets: bytes) -> bytes:
    """Return SvcParams in the order of their numbers; each is there once, and all that are mandatory.

    RFC 9460 §2.2 and §8.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at < len(octets):
        key, length = struct.unpack_from(">HH", octets, at)
        if key in found:
            raise RdataFault("a parameter that is there twice")
        found[key] = octets[at + 4 : at + 4 + length]
        at += 4 + length
    mandatory = [key for (key,) in struct.iter_unpack(">H", found.get(0, b""))]
    if 0 in mandatory or not found.keys() >= set(mandatory):
        raise RdataFault("a mandatory parameter that is not there")
    return b"".join(struct.pack(">HH", key, len(found[key])) + found[key] for key in sorted(found))


def _string(text: bytes) -> bytes:
    if len(text) > 255:
        raise RdataFault(f"a string of {len(text)} octets; at most 255")
    return bytes((len(text),)) + text


def _wire(origin: Name) -> Callable[[bytes], Name]:
    return lambda text: name.from_text(text.decode("utf-8", "surrogateescape"), origin)


_BUILDERS: Final[dict[int, Callable[[Sequence[bytes], Name], Any]]] = {
    const.A: lambda v, _: dnslib.RD(_address(v, const.A, "IPv4")),
    const.AAAA: lambda v, _: dnslib.RD(_address(v, const.AAAA, "IPv6")),
    const.NS: lambda v, o: dnslib.NS(_label(_exactly(v, "name")[0], o)),
    const.CNAME: lambda v, o: dnslib.CNAME(_label(_exactly(v, "name")[0], o)),
    const.PTR: lambda v, o: dnslib.PTR(_label(_exactly(v, "name")[0], o)),
    const.DNAME: lambda v, o: dnslib.CNAME(_label(_exactly(v, "name")[0], o)),
    const.SOA: _soa,
    const.SRV: _srv,
    const.MX: _mx,
    const.TXT: _txt,
    const.TYPES["SPF"]: _txt,
    const.TYPES["HINFO"]: _hinfo,
    const.TYPES["RP"]: _rp,
    const.TYPES["NAPTR"]: _naptr,
    const.TYPES["SVCB"]: _svcb,
    const.TYPES["HTTPS"]: _svcb,
}


def _by_dnslib(label: str, values: Sequence[bytes], origin: Name) -> Any:
    texts = [value.decode("ascii") for value in values]
    return dnslib.RDMAP[label].fromZone(texts, dnslib.DNSLabel(name.labels_of(origin)))


def _generic(fields: Sequence[str]) -> bytes:
    try:
        rdata = bytes.fromhex("".join(fields[1:]))
        if len(rdata) != int(fields[0]):
            raise RdataFault(rf"\# says {fields[0]} octets, there are {len(rdata)}")
    except (ValueError, IndexError) as error:
        raise RdataFault(str(error) if isinstance(error, RdataFault) else r"expected \# LENGTH HEX") from None
    return _bounded(rdata)


_TOKEN: Final = re.compile(rb'\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^\s"\\]|\\.)+))', re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(\d{3}|.)", re.DOTALL)


def _tokens(text: str) -> list[tuple[bytes, bool]]:
    """Cut text at white space; (octets, quoted).

    Escapes are resolved in quoted tokens only: in the others they may belong to a name, whose labels they
    must not cut.
    """
    octets, tokens, at = text.strip().encode("utf-8", "surrogateescape"), [], 0
    while at < len(octets):
        match = _TOKEN.match(octets, at)
        if not match:
            raise RdataFault(f"{text[:60]!r}: a quote without its end")
        quoted, plain = match.groups()
        tokens.append((plain, False) if quoted is None else (_ESCAPE.sub(_unescape, quoted), True))
        at = match.end()
    return tokens


def _unescape(match: "re.Match[bytes]") -> bytes:
    body = match[1]
    if not body.isdigit() or len(body) < 3:
        return body
    if int(body) > 255:
        raise RdataFault(r"a bad escape: expected \DDD with DDD from 000 to 255")
    return bytes((int(body),))
