"""SkyDNS keys made at random from a seed, and by the rules of `lookup` the zone file they amount to.

The rules are written down a second time here, from their description and not from the server's code. Left
out is what has no zone file: SRV, MX and PTR asked of a name that is an alias (SkyDNS views of the host),
and questions that search by the labels `*` and `any`.
"""

import ipaddress
import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import dns.rdatatype

from tests.differential.exchange import Question
from tests.differential.zone import Labels, Zone, escaped, octets, wire

Lookup = Literal["exact", "skydns"]

ZONE_TTL: Final = 120

ELEMENTS: Final = (
    *(
        b"a",
        b"b",
        b"c",
        b"www",
        b"x1",
        b"_tcp",
        b"a.b",
        b"sp ace",
        b"UPPER",
        b"x*",
        b"a*b",
        b"\xc3\xa4",
        b"0",
    ),
)
"""Labels of names; no slash, which separates elements of a key, and not `any`, which searches."""


class Entry(NamedTuple):
    """One key and its value."""

    labels: Labels
    """The key's, leftmost first."""
    value: Mapping[str, Any]

    @property
    def strip(self) -> int:
        return int(self.value.get("targetstrip", 0))

    @property
    def owner(self) -> Labels:
        return self.labels[self.strip :]

    def key(self, prefix: bytes) -> bytes:
        return prefix + b"/" + b"/".join(reversed(self.labels))

    def json(self) -> bytes:
        return json.dumps(self.value).encode()


def generate(seed: int, apex: Labels, lookup: Lookup, count: int = 150) -> list[Entry]:
    """Return entries of distinct keys, in key order."""
    rng = random.Random(f"{seed} {apex!r} {lookup}")
    names: list[Labels] = [apex]
    found: dict[bytes, Entry] = {}
    for index in range(count):
        base = rng.choice(names)
        if rng.random() < 0.75:
            base = (*(rng.choice(ELEMENTS) for _ in range(rng.choice((1, 1, 2, 3)))), *base)
        if rng.random() < 0.08 and b"*" not in base:
            base = (b"*", *base)
        stripped = base == apex or rng.random() < 0.7
        labels = (b"%08x" % rng.randrange(2**32), *base) if stripped else base
        value: dict[str, Any] = (
            {"host": _host(rng, names, apex)} if rng.random() < 0.85 else {"text": f"text {index}"}
        )
        if base == apex and not _is_address(value.get("host", "")):
            value = {"host": "10.9.9.9"}
        if rng.random() < 0.4:
            value["ttl"] = rng.choice((1, 30, 3600, 2**32 - 1))
        if stripped:
            value["targetstrip"] = 1
        if rng.random() < 0.2:
            value |= {
                "port": rng.randrange(65_536),
                "priority": rng.randrange(1, 4),
                "weight": rng.randrange(200),
            }
        if rng.random() < 0.1:
            value["mail"] = True
        if "host" in value and rng.random() < 0.1:
            value["text"] = '"heritage=external-dns,external-dns/owner=me"'
        if octets(labels) < 255:
            names.append(base)
            found.setdefault(b"/".join(reversed(labels)).lower(), Entry(labels, value))
    # Of two keys that differ in case only the first counts, and of these there are none.
    return sorted(found.values(), key=lambda entry: entry.key(b""))


def _host(rng: random.Random, names: Sequence[Labels], apex: Labels) -> str:
    draw = rng.random()
    if draw < 0.5:
        return f"10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(256)}"
    if draw < 0.7:
        return rng.choice(("2001:db8::", "::ffff:10.7.0.")) + str(rng.randrange(100))
    if draw < 0.8:
        return rng.choice(("www.elsewhere.example", "Elsewhere.Example."))
    # Hosts are text without escapes: a label with a dot cannot be said.
    labels = rng.choice([name for name in names if not any(b"." in label for label in name)] or [apex])
    return b".".join(labels).decode() if draw < 0.95 else f"gone.{b'.'.join(apex).decode()}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def zone_of(apex: Labels, entries: Iterable[Entry], lookup: Lookup, serial: int) -> Zone:
    """Return the zone file that the entries amount to."""
    zone = Zone(apex)
    domain = escaped(apex)
    zone.add(apex, "SOA", f"ns.dns.{domain} hostmaster.{domain} {serial} 7200 1800 86400 30", ZONE_TTL)
    zone.add(apex, "NS", f"ns.dns.{domain}", ZONE_TTL)
    zone.add((b"ns", b"dns", *apex), "A", "127.0.0.1", ZONE_TTL)
    answering: dict[bytes, list[Entry]] = {}
    owners: dict[bytes, Labels] = {}
    for entry in entries:
        owners.setdefault(wire(entry.owner).lower(), entry.owner)
        answering.setdefault(wire(entry.owner).lower(), []).append(entry)
    owned = set(answering) | {wire((b"ns", b"dns", *apex))}
    for entry in entries if lookup == "skydns" else ():
        above = entry.owner
        if entry.strip:
            continue
        while above[0] != b"*" and len(above) > len(apex) + 1:
            above = above[1:]
            name = wire(above).lower()
            if above[0] != b"*" and name not in owned:
                owners.setdefault(name, above)
                answering.setdefault(name, []).append(entry)
    for name, those in answering.items():
        _add(zone, owners[name], those)
    return zone


def _add(zone: Zone, owner: Labels, entries: Sequence[Entry]) -> None:
    """Add what the entries, in key order, amount to at a name."""
    hosts = [entry for entry in entries if entry.value.get("host")]
    solid = any(_is_address(entry.value["host"]) for entry in hosts) or len(hosts) < len(entries)
    found: dict[str, list[tuple[str, int]]] = {}
    sums: dict[int, int] = {}
    for entry in entries:
        priority = entry.value.get("priority") or 10
        sums[priority] = sums.get(priority, 0) + (entry.value.get("weight") or 100)
    for entry in entries:
        value = entry.value
        ttl = min(value.get("ttl") or ZONE_TTL, 2**31 - 1)
        host = value.get("host", "")
        if not host:
            found.setdefault("TXT", []).append((f'"{value["text"]}"', ttl))
            continue
        if _is_address(host):
            address = ipaddress.ip_address(host)
            mapped = address.ipv4_mapped if address.version == 6 else address
            found.setdefault("A" if mapped else "AAAA", []).append((str(mapped or address), ttl))
            target = escaped(entry.owner)
        else:
            target = escaped(tuple(label.encode() for label in host.removesuffix(".").split(".")))
            if not solid and "CNAME" not in found:
                found["CNAME"] = [(target, ttl)]
        if not solid:
            continue  # views beside an alias cannot be written down
        priority = value.get("priority") or 10
        weight = max(math.floor(100.0 / sums[priority] * (value.get("weight") or 100)), 1)
        found.setdefault("SRV", []).append((f"{priority} {weight} {value.get('port', 0)} {target}", ttl))
        if value.get("mail"):
            found.setdefault("MX", []).append((f"{priority} {target}", ttl))
        if not _is_address(host) and not entry.strip:
            found.setdefault("PTR", []).append((target, ttl))
    for kind, records in found.items():
        for data, _ in records:
            zone.add(owner, kind, data, min(ttl for _, ttl in records))


VIEWS: Final = {int(dns.rdatatype.SRV), int(dns.rdatatype.MX), int(dns.rdatatype.PTR)}


def has_zone_file(question: Question, answer_types: Iterable[int], lookup: Lookup) -> bool:
    """Say whether a question, answered by a peer with RRs of these types, means the same to a zone file."""
    if question.type in VIEWS and int(dns.rdatatype.CNAME) in answer_types:
        return False
    name = question.name.lower()
    return lookup == "exact" or not (b"\1*" in name or b"\3any" in name)
