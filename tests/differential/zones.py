"""Zones made at random from a seed: every feature of RFC 1034 and RFC 4592 in each, at random places.

Left out is what no RFC defines: NS at a wildcard (RFC 4592 §4.2), a CNAME beside other data (RFC 1034
§3.6.2), records of one RRset with different TTLs (RFC 2181 §5.2).
"""

import random
from collections.abc import Callable
from typing import Final

from tests.differential.zone import Labels, Zone, escaped, octets

PLAIN: Final = (
    b"a",
    b"b",
    b"c",
    b"www",
    b"mail",
    b"db",
    b"_tcp",
    b"_25",
    b"x1",
    b"any",
    b"dns",
    b"xn--4ca",
    b"0",
)
ODD: Final = (
    b"a.b", b"a/b", b"/", b".", b"\0", b"a\0b", b"\xff", b"\xc3\xa4", b"sp ace", b'"', b"\\", b";x", b"(",
    b"@", b"$TTL", b"UPPER", b"MiXed", b"*x", b"x*", b"a*b", b"**", b"\xe2\x84\xaa", b"[", b"{", b"`", b"@[",
    b"\x1f", b"\x7f",
)  # fmt: skip
LONGEST: Final = b"l" * 63

BIG: Final = {"just over 512 octets": 32, "just over 1232 octets": 76, "thousands of octets": 400}
"""A records of the RRsets that do not fit."""


class Maker:
    """Makes one zone."""

    def __init__(self, rng: random.Random, zone: Zone) -> None:
        self.rng = rng
        self.zone = zone

    def apex(self) -> None:
        apex, rng = self.zone.apex, self.rng
        ns = escaped((b"ns", *apex))
        self.zone.add(apex, "SOA", f"{ns} hostmaster.{ns} 1 7200 1800 86400 {rng.choice((30, 600))}", 300)
        self.zone.add(apex, "NS", ns)
        self.zone.add(apex, "NS", "ns.elsewhere.example.")
        self.zone.add((b"ns", *apex), "A", "192.0.2.53")

    def label(self) -> bytes:
        return self.rng.choice(ODD if self.rng.random() < 0.2 else PLAIN)

    def below(self, labels: Labels, depth: int) -> Labels:
        return (*(self.label() for _ in range(depth)), *labels)

    def anywhere(self) -> Labels:
        """Return the name of something that exists, or of one of its ancestors."""
        labels = self.rng.choice(list(self.zone.names.values()))
        up = self.rng.randint(0, len(labels) - len(self.zone.apex))
        return labels[up:]

    def fresh(self, depth: int = 2) -> Labels:
        return self.below(self.anywhere(), self.rng.randint(1, depth))

    def target(self) -> str:
        """Return a name to point at: there, not there, outside."""
        draw = self.rng.random()
        if draw < 0.6:
            return escaped(self.rng.choice(list(self.zone.names.values())))
        if draw < 0.8:
            return escaped(self.below(self.zone.apex, 2))
        return self.rng.choice(("www.elsewhere.example.", "Elsewhere.Example.", "."))

    def address(self) -> str:
        return f"10.{self.rng.randrange(256)}.{self.rng.randrange(256)}.{self.rng.randrange(256)}"

    def data(self, kind: str) -> str:
        rng, number = self.rng, self.rng.randrange
        make: dict[str, Callable[[], str]] = {
            "A": self.address,
            "AAAA": lambda: f"2001:db8::{number(65536):x}:{number(65536):x}",
            "NS": self.target,
            "CNAME": self.target,
            "PTR": self.target,
            "TXT": lambda: rng.choice(
                ('"a text"', '"" "b\\"\\\\"', f'"{"t" * 255}" "u"', '"\\000\\255;"', "plain")
            ),
            "MX": lambda: f"{number(100)} {self.target()}",
            "SRV": lambda: f"{number(9)} {number(9)} {number(65536)} {self.target()}",
            "CAA": lambda: f'{rng.choice((0, 128))} issue "ca{number(9)}.example"',
            "TLSA": lambda: f"3 1 1 {rng.randbytes(32).hex()}",
            "SSHFP": lambda: f"4 2 {rng.randbytes(32).hex()}",
            "NAPTR": lambda: f'{number(99)} 50 "s" "SIP+D2U" "" {self.target()}',
            "DS": lambda: f"{number(65536)} 13 2 {rng.randbytes(32).hex()}",
            "HTTPS": lambda: f'{1 + number(9)} . alpn="h2,h3" port={number(65536)} ipv4hint={self.address()}',
            "SVCB": lambda: f"{rng.choice((0, 1))} {self.target()}",
            "HINFO": lambda: f'"cpu{number(9)}" "OS"',
            "TYPE65280": lambda: rf"\# 4 {rng.randbytes(4).hex()}",
        }
        return make[kind]()

    def rrset(self, owner: Labels, kind: str, count: int = 0) -> None:
        ttl = self.rng.choice((0, 1, 60, 300, 3600, 2**31 - 1))
        for _ in range(count or self.rng.choice((1, 1, 2, 3))):
            # Owners are names, not texts: the same in another case is the same RRset.
            written = tuple(label.upper() for label in owner) if self.rng.random() < 0.1 else owner
            self.zone.add(written, kind, self.data(kind), ttl)

    def rrsets(self, owner: Labels) -> None:
        for kind in self.rng.sample(KINDS, self.rng.choice((1, 1, 2, 4))):
            self.rrset(owner, kind)

    def leaves(self, count: int) -> None:
        for _ in range(count):
            self.rrsets(self.fresh())

    def empty_non_terminals(self) -> None:
        self.rrsets(self.below(self.anywhere(), self.rng.randint(3, 5)))

    def wildcard(self) -> None:
        parent = self.rng.choice((self.anywhere(), self.fresh(), self.zone.apex))
        self.rrsets((b"*", *parent))
        if self.rng.random() < 0.5:
            self.rrsets(self.below(parent, 1))
        if self.rng.random() < 0.3:
            self.rrsets((*self.below((), self.rng.randint(1, 2)), b"*", *parent))
        if self.rng.random() < 0.2:
            self.rrsets((b"*", b"*", *parent))

    def alias(self) -> None:
        self.zone.add(self.fresh(), "CNAME", self.target(), self.rng.choice((5, 300)))

    def wildcard_alias(self) -> None:
        parent = self.fresh()
        target = self.rng.choice((self.target(), escaped((b"x", *parent)), escaped((b"*", *parent))))
        self.zone.add((b"*", *parent), "CNAME", target)

    def chain(self) -> None:
        parent, length = self.fresh(), self.rng.randint(2, 9)
        links = [(b"c%d" % index, *parent) for index in range(length)]
        end = self.rng.choice(
            (self.target(), escaped(links[0]), escaped(links[-1]), escaped((b"gone", *parent)))
        )
        for index, link in enumerate(links):
            self.zone.add(link, "CNAME", escaped(links[index + 1]) if index + 1 < length else end)

    def delegation(self) -> None:
        cut = self.fresh()
        if cut[0] != b"*":
            self.zone_cut(cut)

    def zone_cut(self, cut: Labels) -> None:
        near, below = (b"ns1", *cut), (b"ns", b"deep", *cut)
        sibling = (b"ns", *self.rng.choice(self.zone.cuts or [cut]))
        servers = [near, below, sibling, (b"ns", *self.zone.apex), (b"nowhere", *cut), cut]
        for server in self.rng.sample(servers, self.rng.randint(1, 3)):
            self.zone.add(cut, "NS", escaped(server), 600)
        if self.rng.random() < 0.3:
            self.zone.add(cut, "NS", "ns.elsewhere.example.", 600)
        for server in (near, below):
            if self.rng.random() < 0.8:
                self.rrset(server, "A")
            if self.rng.random() < 0.5:
                self.rrset(server, "AAAA")
        if self.rng.random() < 0.5:
            self.rrset(cut, "DS")
        for owner in (cut, self.below(cut, 1), (b"*", *cut), self.below(cut, 2)):
            if self.rng.random() < 0.4:
                self.rrsets(owner)
        if self.rng.random() < 0.3:
            self.zone.add(self.below(cut, 1), "NS", "ns.elsewhere.example.")
            self.zone.add(self.below(cut, 1), "CNAME", self.target())
        # What points below the cut leads to a referral.
        self.zone.add(self.fresh(), "CNAME", escaped(self.rng.choice((cut, near, self.below(cut, 1)))))

    def long_names(self) -> None:
        self.rrsets((LONGEST, *self.anywhere()))
        room = 255 - octets(self.zone.apex)
        labels: list[bytes] = []
        while room > 1:
            labels.append(b"n" * min(63, room - 1))
            room -= len(labels[-1]) + 1
        self.rrsets((*labels, *self.zone.apex))
        self.zone.add((*labels[1:], *self.zone.apex), "TXT", '"long"')
        self.rrsets((b"*", b"deep" * 15, *self.zone.apex))
        many = (b"m",) * ((254 - octets(self.zone.apex)) // 2)
        self.rrsets((*many, *self.zone.apex))

    def big_rrsets(self) -> None:
        for index, count in enumerate(BIG.values()):
            self.rrset((b"big%d" % index, *self.zone.apex), "A", count)
            # No MX: Knot 3.2.6 loops for ever over some RRsets of many exchanges.
            self.rrset((b"*", b"wild%d" % index, *self.zone.apex), self.rng.choice(("A", "AAAA")), count)
        self.rrset((b"fits", *self.zone.apex), "A", 28)
        self.zone.add((b"to-big", *self.zone.apex), "CNAME", escaped((b"big1", *self.zone.apex)))
        cut = (b"crowded", *self.zone.apex)
        for index in range(self.rng.choice((8, 30))):
            server = (b"server%d" % index, *cut)
            self.zone.add(cut, "NS", escaped(server))
            self.rrset(server, "A")

    def every_type(self) -> None:
        owner = self.fresh()
        for kind in KINDS:
            self.rrset(owner, kind)


KINDS: Final = (
    "A", "AAAA", "TXT", "MX", "SRV", "PTR", "CAA", "TLSA", "SSHFP", "NAPTR", "HTTPS", "SVCB", "HINFO",
    "TYPE65280",
)  # fmt: skip


def generate(seed: int, apex: Labels) -> Zone:
    """Return the zone of a seed: the same names, types and data each time."""
    make = Maker(random.Random(f"{seed} {apex!r}"), Zone(apex))
    make.apex()
    make.every_type()
    make.leaves(12)
    steps = [
        make.empty_non_terminals,
        make.wildcard,
        make.alias,
        make.wildcard_alias,
        make.chain,
        make.delegation,
    ]
    steps = steps * 4
    make.rng.shuffle(steps)
    for step in steps:
        step()
    make.long_names()
    make.big_rrsets()
    make.leaves(12)
    return make.zone


def family(seed: int) -> list[Zone]:
    """Return zones to be served together: two, a child of the first that is served beside it, a reverse one.

    The parent has nothing below the child's apex that the child has not: NSD keeps one tree of names for all
    zones and would take it for the child's.
    """
    parent, child = (b"z%d" % (seed % 100), b"test"), (b"child", b"z%d" % (seed % 100), b"test")
    apexes = [parent, (b"odd/zone", b"test"), child, (b"2", b"0", b"192", b"in-addr", b"arpa")]
    zones = [generate(seed, apex) for apex in apexes]
    make = Maker(random.Random(seed), zones[0])
    zones[0].add(child, "NS", escaped((b"ns", *child)))
    zones[0].add((b"ns", *child), "A", "192.0.2.53")
    zones[0].add((b"to-child", *parent), "CNAME", escaped((b"ns", *child)))
    if seed % 2:
        make.rrset(child, "DS")
    return zones
