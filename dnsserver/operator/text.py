"""Names, data, keys and responses as text that a terminal shows and dig would print."""

from typing import Final

import dns.message
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from dnsserver.wire import const

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def mnemonic(kind: int) -> str:
    """Return the name of a type, TYPE<number> for one without (RFC 3597 §5)."""
    return const.TYPE_NAMES.get(kind, f"TYPE{kind}")


def data(kind: int, rdata: bytes) -> str:
    r"""Return rdata as zone-file text; as `\# LENGTH HEX` where it does not fit its type (RFC 3597 §5)."""
    try:
        return dns.rdata.from_wire(
            dns.rdataclass.IN, dns.rdatatype.RdataType(kind), rdata, 0, len(rdata)
        ).to_text()
    except Exception:  # dnspython's, and whatever its parsing stumbles over: static data may be any octets
        return rf"\# {len(rdata)} {rdata.hex()}"


def shown(octets: bytes) -> str:
    """Return octets of others so that a terminal shows them and obeys none."""
    return octets.decode("utf-8", "backslashreplace").translate(_CONTROLS)


def response(message: dns.message.Message) -> str:
    """Return a response as dig prints it, without its statistics."""
    flags = dns.flags.to_text(message.flags).lower()
    sections = (
        ("ANSWER", message.answer),
        ("AUTHORITY", message.authority),
        ("ADDITIONAL", message.additional),
    )
    counts = [sum(map(len, section)) for _, section in sections]
    counts[2] += message.edns >= 0
    lines = [
        f";; ->>HEADER<<- opcode: QUERY, status: {dns.rcode.to_text(message.rcode())}, id: {message.id}",
        f";; flags: {flags}; QUERY: {len(message.question)}, ANSWER: {counts[0]}, "
        f"AUTHORITY: {counts[1]}, ADDITIONAL: {counts[2]}",
        "",
    ]
    if message.edns >= 0:
        lines += [";; OPT PSEUDOSECTION:", f"; EDNS: version: 0, flags:; udp: {message.payload}"]
        lines += [f"; {option.to_text()}" for option in message.options]
    lines += [";; QUESTION SECTION:"]
    for question in message.question:
        lines.append(f";{question.name}\t\tIN\t{mnemonic(question.rdtype)}")
    for title, section in sections:
        if section:
            lines += ["", f";; {title} SECTION:"]
        for rrset in section:
            head = f"{rrset.name}\t{rrset.ttl}\tIN\t{mnemonic(rrset.rdtype)}\t"
            lines += [head + rdata.to_text() for rdata in rrset]
    return "\n".join(lines)
