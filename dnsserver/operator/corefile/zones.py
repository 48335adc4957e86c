"""The plugins that hold data: etcd, zone files, hosts, and transfers of zones."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from dnsserver.operator.corefile.convert import Conversion
from dnsserver.operator.corefile.parse import Directive
from dnsserver.wire import name
from dnsserver.wire.name import NameFault

_OUT_OF_ZONE = "aliases that lead out of the zones are followed by `forward`, if there is one"
_NOTHING_NEXT = "a name that is not there is denied; nothing is asked next"


def etcd(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    section: dict[str, Any] = {"endpoints": ["http://localhost:2379"], "prefix": "/skydns"}
    files: dict[str, Any] = {}
    for option in directive.options:
        words = list(option.arguments)
        match option.name:
            case "path" if words:
                section["prefix"] = "/" + words[0].strip("/")
            case "endpoint" if words:
                section["endpoints"] = [each if "://" in each else f"http://{each}" for each in words]
            case "tls":
                files |= _tls(conversion, option)
            case "credentials" if words:
                remark = (
                    f"put the password of {words[0]} into a file and set etcd.username and etcd.password_file"
                )
                conversion.remark(option, remark)
            case "upstream":
                conversion.remark(option, _OUT_OF_ZONE)
            case "fallthrough":
                conversion.remark(option, _NOTHING_NEXT)
            case "min-lease-ttl" | "max-lease-ttl":
                conversion.remark(
                    option, "a record with a lease has at most the TTL that the lease was granted for"
                )
            case _:
                conversion.remark(option, "no counterpart")
    if files and not all(each.startswith("https:") for each in section["endpoints"]):
        conversion.remark(directive, "tls without https endpoints is left out")
        files = {}
    conversion.section(directive, "etcd", section | files)
    for zone in directive.arguments or zones:
        conversion.zone(zone)


def _tls(conversion: Conversion, option: Directive) -> dict[str, str]:
    """Return the files of CoreDNS's `tls [CERT KEY] [CA]`; without any the system's CAs are taken."""
    files = [conversion.path(each) for each in option.arguments]
    found: dict[str, str] = {}
    missing = [file for file in files if not conversion.is_readable(file)]
    if missing:
        conversion.remark(option, f"left out: {', '.join(missing)} cannot be read")
        return found
    if len(files) >= 2:
        found |= {"cert_file": files[0], "key_file": files[1]}
    if len(files) in (1, 3):
        found["ca_file"] = files[-1]
    return found


def file(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    if not directive.arguments:
        conversion.remark(directive, "expected a file")
        return
    path = conversion.path(directive.arguments[0])
    if not conversion.is_readable(path):
        conversion.remark(directive, f"{path} cannot be read, so its zone is without it")
    for zone in directive.arguments[1:] or zones:
        if not conversion.is_readable(path):
            conversion.zone(zone)
        elif conversion.zone(zone).setdefault("file", path) != path:
            conversion.remark(directive, f"{zone} has a file already; a zone has one")
    for option in directive.options:
        if option.name == "reload":
            conversion.remark(option, "a zone file is read again when the configuration is")
        elif option.name == "upstream":
            conversion.remark(option, _OUT_OF_ZONE)
        elif option.name == "fallthrough":
            conversion.remark(option, _NOTHING_NEXT)
        elif option.name == "transfer" and option.arguments[:1] == ("to",):
            for zone in directive.arguments[1:] or zones:
                _peers(conversion, option, zone, option.arguments[1:])
        else:
            conversion.remark(option, "no counterpart")


def hosts(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    """Turn lines as of /etc/hosts, in a file or in the block, into static records of the block's zones."""
    is_file = bool(directive.arguments) and not directive.arguments[0].endswith(".")
    own = directive.arguments[1:] if is_file else directive.arguments
    lines: list[tuple[Directive, list[str]]] = []
    if is_file or not directive.options:
        path = conversion.path(directive.arguments[0] if is_file else "/etc/hosts")
        try:
            text = conversion.read(path)
            lines += [(directive, line.partition("#")[0].split()) for line in text.splitlines()]
        except (OSError, UnicodeDecodeError):
            conversion.remark(directive, f"{path} cannot be read; its lines are left out")
    ttl = 3600
    for option in directive.options:
        if option.name == "ttl" and option.arguments:
            ttl = int(option.arguments[0]) if option.arguments[0].isdecimal() else ttl
        elif option.name == "fallthrough":
            conversion.remark(option, _NOTHING_NEXT)
        elif option.name not in ("no_reverse", "reload"):
            lines.append((option, [option.name, *option.arguments]))
    for line, words in lines:
        _host(conversion, line, words, own or zones, ttl)


def _host(
    conversion: Conversion, line: Directive, words: Sequence[str], zones: Sequence[str], ttl: int
) -> None:
    if not words:
        return
    try:
        address = ipaddress.ip_address(words[0])
        names = [name.to_text(name.from_text(f"{word.rstrip('.')}.")) for word in words[1:]]
    except (ValueError, NameFault):
        conversion.remark(line.place, f"hosts: {' '.join(words)}: expected an address and names")
        return
    for owner in names:
        fitting = sorted((zone for zone in zones if _is_within(owner, zone)), key=len)
        if not fitting or fitting[-1] == ".":
            conversion.remark(line.place, f"hosts: {owner} is in no zone but the root; add a zone for it")
            continue
        kind = "A" if address.version == 4 else "AAAA"
        record = {"name": owner, "type": kind, "data": str(address), "ttl": ttl}
        records = conversion.zone(fitting[-1]).setdefault("records", [])
        if record not in records:
            records.append(record)


def _is_within(owner: str, zone: str) -> bool:
    """Say whether a name in text is in a zone in text; never in a network's."""
    try:
        return "/" not in zone and name.is_within(name.from_text(owner), name.from_text(zone))
    except NameFault:
        return False


def transfer(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    for option in directive.options:
        if option.name != "to":
            conversion.remark(option, "no counterpart")
            continue
        for zone in directive.arguments or zones:
            _peers(conversion, option, zone, option.arguments)


def _peers(conversion: Conversion, option: Directive, zone: str, peers: Sequence[str]) -> None:
    section = conversion.zone(zone).setdefault("transfer", {"allow": [], "notify": []})
    for peer in peers:
        if peer == "*":
            section["allow"] += [{"address": "0.0.0.0/0"}, {"address": "::/0"}]
            continue
        host, _, port = peer.rpartition(":") if peer.count(":") == 1 or "]:" in peer else (peer, "", "53")
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            conversion.remark(option, f"{peer}: expected an address")
            continue
        section["allow"].append({"address": str(address)})
        shown = f"[{address}]" if address.version == 6 else str(address)
        section["notify"].append({"address": f"{shown}:{port}"})
