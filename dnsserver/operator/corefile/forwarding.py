"""The plugins that ask others, and remember what they said: forward, the proxy of 2018, cache."""

import ipaddress
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from dnsserver.operator.corefile.convert import Conversion
from dnsserver.operator.corefile.parse import Directive

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_PORTS: Final = {"tls": 853, "dns": 53}


def forward(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    if directive.arguments[:1] != (".",):
        conversion.remark(directive, "only `.` can be forwarded, which is all names outside the zones")
        return
    section: dict[str, Any] = {}
    tls: dict[str, str] = {}
    for option in directive.options:
        _option(conversion, option, section, tls)
    section["upstreams"] = [
        {"address": address} | (tls if address.startswith("tls:") else {})
        for text in directive.arguments[1:]
        for address in _addresses(conversion, directive, text)
    ]
    known = conversion.data.setdefault("forward", {})
    if not section["upstreams"] or known.get("upstreams", section["upstreams"]) != section["upstreams"]:
        conversion.remark(directive, "there is one `forward` for the whole server; this one is left out")
        return
    known |= section
    conversion.remark(directive, "for clients in private networks, unless `forward.allow` names others")


def _option(conversion: Conversion, option: Directive, section: dict[str, Any], tls: dict[str, str]) -> None:
    word = option.arguments[0] if option.arguments else ""
    number = int(word) if word.isdecimal() else 0
    match option.name:
        case "max_fails" if number:
            section.setdefault("health", {})["failures"] = number
        case "max_concurrent" if number:
            section["max_in_flight"] = number
        case "health_check" if delay := seconds(word):
            section.setdefault("health", {})["interval"] = max(1, math.ceil(delay))
        case "tls_servername" if word:
            tls["server_name"] = word
        case "tls" if len(option.arguments) in (0, 1, 3):
            if option.arguments:
                tls["ca_file"] = conversion.path(option.arguments[-1])
            if len(option.arguments) == 3:
                conversion.remark(option, "upstreams are not shown a certificate of ours")
        case "policy" | "spray" if word != "sequential":
            conversion.remark(option, "upstreams are asked in order")
        case "policy" | "failover" | "expire" | "prefer_udp":
            pass
        case _:
            conversion.remark(option, "no counterpart")


def _addresses(conversion: Conversion, directive: Directive, text: str) -> Iterator[str]:
    """Yield ADDRESS:PORT, or tls://ADDRESS:PORT, of an upstream or of the name servers in a file."""
    scheme, _, rest = text.rpartition("://")
    path = conversion.path(text)
    host, _, port = rest.rpartition(":") if rest.count(":") == 1 or "]:" in rest else (rest, "", "")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        shown = f"[{address}]" if address.version == 6 else str(address)
        yield f"{'tls://' if scheme == 'tls' else ''}{shown}:{int(port or _PORTS[scheme or 'dns'])}"
    except (ValueError, KeyError):
        if scheme or not conversion.is_readable(path):
            conversion.remark(directive, f"{text}: expected an address, tls:// and an address, or a file")
            return
        for line in conversion.read(path).splitlines():
            words = line.split()
            if words[:1] == ["nameserver"] and len(words) > 1 and "%" not in words[1]:
                yield from _addresses(conversion, directive, words[1])


def cache(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    section: dict[str, Any] = {}
    if directive.arguments and directive.arguments[0].isdecimal():
        section["max_ttl"] = int(directive.arguments[0])
    for option in directive.options:
        ttl = option.arguments[1] if len(option.arguments) > 1 else ""
        delay = seconds(option.arguments[0]) if option.arguments else None
        if option.name in ("success", "denial"):
            if ttl.isdecimal():
                section["max_ttl" if option.name == "success" else "negative_ttl"] = int(ttl)
        elif option.name == "servfail" and delay:
            section["failure_ttl"] = min(30, max(1, math.ceil(delay)))
        else:
            conversion.remark(option, "no counterpart")
    if section:
        conversion.data.setdefault("forward", {}).setdefault("cache", section)
    conversion.remark(directive, "for what is forwarded; zones are answered from memory")


def seconds(text: str) -> float | None:
    """Return the seconds of a duration as `1m30s` or `500ms`."""
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    if not parts or "".join(map("".join, parts)) != text:
        return None
    try:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    except ValueError:
        return None
