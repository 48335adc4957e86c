"""The plugins of CoreDNS that have a counterpart, one function each."""

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

from dnsserver.operator.corefile.convert import Conversion, Plugin
from dnsserver.operator.corefile.forwarding import cache, forward, seconds
from dnsserver.operator.corefile.parse import Directive
from dnsserver.operator.corefile.zones import etcd, file, hosts, transfer

EVERYBODY: Final = ["0.0.0.0/0", "::/0"]

_ACTIONS: Final = {"allow": "allow", "block": "refuse", "drop": "drop"}


def acl(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    rules: list[dict[str, Any]] = []
    for option in directive.options:
        words = list(option.arguments)
        types, networks = _after(words, "type"), _after(words, "net")
        if option.name not in _ACTIONS:
            conversion.remark(option, "no counterpart; there is allow, refuse (block) and drop")
        elif not {"*", "ANY"}.issuperset(types):
            conversion.remark(option, "rules for some types have no counterpart; the rule is left out")
        else:
            everybody = not networks or "*" in networks
            found = EVERYBODY if everybody else [_network(text) for text in networks]
            rules.append({"networks": found, "action": _ACTIONS[option.name]})
    conversion.section(directive, "acl", rules)
    conversion.remark(
        directive, "its rules are for all zones, not only those of its block; zones[].acl has those of one"
    )


def _after(words: list[str], keyword: str) -> list[str]:
    """Return the words between a keyword and the next one."""
    if keyword not in words:
        return []
    rest = words[words.index(keyword) + 1 :]
    end = next((at for at, word in enumerate(rest) if word in ("type", "net")), len(rest))
    return rest[:end]


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text


def prometheus(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    _page(conversion, directive, "metrics", "localhost:9153")


def health(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    _page(conversion, directive, "health", ":8080")
    for option in directive.options:
        delay = seconds(option.arguments[0]) if option.name == "lameduck" and option.arguments else None
        if delay is None:
            conversion.remark(option, "no counterpart")
        else:
            conversion.section(option, "lameduck", min(round(delay), 300))


def ready(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    _page(conversion, directive, "ready", ":8181")


def _page(conversion: Conversion, directive: Directive, key: str, default: str) -> None:
    text = directive.arguments[0] if directive.arguments else default
    host, _, port = text.rpartition(":")
    host = {"": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host)
    try:
        ipaddress.ip_address(host.strip("[]"))
        conversion.section(directive, key, {"listen": f"{host}:{int(port)}"})
    except ValueError:
        conversion.remark(directive, f"{text}: expected ADDRESS:PORT; host names are not looked up")


def log(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    options = [each for each in directive.options if each.name == "class"]
    classes = {argument for option in options for argument in option.arguments} or {"all"}
    section = conversion.data.setdefault("log", {})
    chosen = classes.pop() if len(classes) == 1 else "all"
    if classes or section.setdefault("queries", chosen) != chosen:
        section["queries"] = "all"
        conversion.remark(
            directive, "there is one class for the whole server; queries of all classes are logged"
        )
    if directive.arguments not in ((), (".",)):
        conversion.remark(directive, "queries of all names are logged, in the common format")


def debug(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    conversion.data.setdefault("log", {})["level"] = "debug"


def loadbalance(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    if directive.arguments not in ((), ("round_robin",)):
        conversion.remark(directive, "addresses are always given out in turn, without weights")


def bufsize(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    if directive.arguments[:1] != ("1232",):
        conversion.remark(
            directive, "responses over UDP have at most 1232 octets, as what clients offer allows"
        )


def chaos(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    if directive.arguments:
        identity = conversion.data.setdefault("identity", {})
        identity.setdefault("version", directive.arguments[0])
    if len(directive.arguments) > 1:
        conversion.remark(directive, "authors.bind has no counterpart; version.bind has")


def nsid(conversion: Conversion, directive: Directive, zones: Sequence[str]) -> None:
    if directive.arguments:
        identity = conversion.data.setdefault("identity", {})
        identity.setdefault("id", " ".join(directive.arguments))
    else:
        conversion.remark(directive, "the host's name is not told by itself; set identity.id")


PLUGINS: Final[dict[str, Plugin]] = {
    "acl": acl,
    "bufsize": bufsize,
    "cache": cache,
    "chaos": chaos,
    "debug": debug,
    "etcd": etcd,
    "file": file,
    "forward": forward,
    "health": health,
    "hosts": hosts,
    "loadbalance": loadbalance,
    "log": log,
    "nsid": nsid,
    "prometheus": prometheus,
    "proxy": forward,
    "ready": ready,
    "transfer": transfer,
}
