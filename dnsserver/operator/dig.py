"""Responses as dig prints them."""

import dns.flags
import dns.message
import dns.rcode

from dnsserver.zone.presentation import mnemonic


def response(message: dns.message.Message) -> str:
    """Return the text of a response, without dig's statistics."""
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
