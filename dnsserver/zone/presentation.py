"""Types, rdata and octets of others as text that people read (RFC 1035 §5, RFC 3597 §5). Pure."""

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from dnsserver.wire import const


def mnemonic(kind: int) -> str:
    """Return the name of a type, TYPE<number> for one without."""
    return const.TYPE_NAMES.get(kind, f"TYPE{kind}")


def data(kind: int, rdata: bytes) -> str:
    r"""Return rdata as zone-file text, as `\# LENGTH HEX` where it does not fit its type."""
    try:
        return dns.rdata.from_wire(
            dns.rdataclass.IN, dns.rdatatype.RdataType(kind), rdata, 0, len(rdata)
        ).to_text()
    except Exception:  # dnspython's, and whatever its parsing stumbles over: static data may be any octets
        return rf"\# {len(rdata)} {rdata.hex()}"


def shown(octets: bytes) -> str:
    """Return octets of others as text without anything that a terminal or a browser would obey."""
    text = octets.decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
