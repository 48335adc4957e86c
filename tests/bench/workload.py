"""The zones that are served and the queries that are asked of them, the same for every server."""

import random
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Final, NamedTuple

from dnsserver.skydns.key import Key, key_of, prefix_of
from dnsserver.skydns.record import Record, encode

PREFIX: Final = "/skydns"

HOSTS: Final = 10_000
MILLION: Final = 1_000_000
POOLS: Final = 500
POOL: Final = 10
"""Addresses of one pool name."""

LINES: Final = 20_000
"""Queries of a mix before it begins anew, for names that are made up: so few that they stay in the caches of
the load's CPU. What streams through those that both share would cost the servers."""


def _address(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


class World(NamedTuple):
    """What is served: one zone."""

    zone: str
    hosts: int
    others: tuple[tuple[str, str], ...] = ()

    def host(self, number: int) -> str:
        return f"host-{number:0{len(str(self.hosts))}}"

    def records(self) -> Iterator[tuple[str, str]]:
        """Yield names relative to the zone, with an address; some have several."""
        yield "ns.dns", "127.0.0.1"
        for number in range(self.hosts):
            yield self.host(number), _address(number)
        yield from self.others

    @property
    def first(self) -> str:
        """A name to ask for until the server is ready."""
        return f"{self.host(0)}.{self.zone}"

    def zone_file(self) -> str:
        head = f"$ORIGIN {self.zone}.\n$TTL 300\n@ SOA ns.dns hostmaster 1 7200 1800 86400 30\n@ NS ns.dns\n"
        return head + "".join(f"{name} A {address}\n" for name, address in self.records())

    def etcd_records(self) -> Iterator[tuple[Key, bytes]]:
        """Yield the records as ExternalDNS would write them: an address a key, below the name it answers."""
        for number, (name, address) in enumerate(self.records()):
            yield self._entry(number, name, address)

    def change(self, number: int, address: str) -> tuple[Key, bytes]:
        """Return a host's key, and its value when it has another address."""
        return self._entry(number + 1, self.host(number), address)

    def _entry(self, number: int, name: str, address: str) -> tuple[Key, bytes]:
        below = [] if name.startswith("*") else [b"%06x" % number]
        labels = [*below, *f"{name}.{self.zone}".encode().split(b".")]
        return key_of(labels, prefix_of(PREFIX)), encode(Record(host=address, targetstrip=len(below)))


SMALL: Final = World(
    "bench.test",
    HOSTS,
    (
        ("*.wild", "10.255.0.1"),
        *((f"pool-{number // POOL:03}", _address(1 << 16 | number)) for number in range(POOLS * POOL)),
    ),
)
LARGE: Final = World("million.test", MILLION)


class Mix(NamedTuple):
    """What is asked, how, and meanwhile."""

    name: str
    what: str
    """In a few words, for the table."""
    names: Callable[[random.Random], Iterator[str]]
    """Those asked for, without an end."""
    lines: int
    rcode: str = "NOERROR"
    """That of every response."""
    flags: tuple[str, ...] = ()
    """For dnsperf."""
    opt: Callable[[random.Random], bytes] | None = None
    """The OPT record of a query."""
    target: float | None = None
    """CPU time per query that is wanted, as a ratio to Knot's."""
    world: World = SMALL
    rate: int | None = None
    """Queries a second; None: as many as there are answers for."""
    updates: int = 0
    """Changes a second that are made in etcd meanwhile."""
    settings: str = ""
    """What else dnsserver's configuration has, as YAML; then it is compared with Knot and the plain one."""
    connects: bool = False
    """Each query goes over a TCP connection of its own."""
    floor: bool = False
    """The floor is measured too."""

    def queries(self) -> Iterator[bytes]:
        """Yield those asked before it begins anew, each behind its length."""
        dice = random.Random(self.name)
        for name in islice(self.names(dice), self.lines):
            yield framed(query(name, self.opt(dice) if self.opt else b""))

    @property
    def saturates(self) -> bool:
        """Whether it is asked by batches, over UDP, as much as there are answers for."""
        return self.rate is None and not self.flags and not self.connects

    @property
    def options(self) -> tuple[str, ...]:
        rate = ("-Q", str(self.rate)) if self.rate else ()
        return (*self.flags, *rate)


def query(name: str, opt: bytes = b"") -> bytes:
    """Return a query for addresses, of id 0."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return b"\0\0\0\0\0\1\0\0\0\0\0" + bytes((bool(opt),)) + labels + b"\0\0\1\0\1" + opt


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def _hosts(dice: random.Random, world: World = SMALL) -> Iterator[str]:
    numbers = list(range(world.hosts))
    dice.shuffle(numbers)
    return cycle([f"{world.host(number)}.{world.zone}" for number in numbers])


def _all_hosts(dice: random.Random) -> Iterator[str]:
    return _hosts(dice, LARGE)


def _pools(dice: random.Random) -> Iterator[str]:
    return cycle([f"pool-{number:03}.{SMALL.zone}" for number in range(POOLS)])


def _absent(dice: random.Random) -> Iterator[str]:
    while True:
        yield f"{dice.randbytes(4).hex()}.{SMALL.zone}"


def _below_wildcard(dice: random.Random) -> Iterator[str]:
    while True:
        yield f"{dice.randbytes(4).hex()}.wild.{SMALL.zone}"


def _random_case(dice: random.Random) -> Iterator[str]:
    for name in _hosts(dice):
        yield "".join(dice.choice((letter, letter.upper())) for letter in name)


def _cookie(dice: random.Random) -> bytes:
    """Return an OPT record with DO and a client's cookie (RFC 7873)."""
    return b"\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08" + dice.randbytes(8)


ACL: Final = "acl: [{networks: [192.0.2.0/24, 198.51.100.0/24], action: refuse}]\n"
RRL: Final = "rrl: {responses_per_second: 1000000}\n"
COOKIES: Final = "cookies: {secret_file: secret}\n"
SECRET: Final = "000102030405060708090a0b0c0d0e0f"
"""What the secret of cookies is, in a file beside the configuration."""

PAGES: Final = "PAGES"
"""Stands in settings for the address of the HTTP pages."""

FORWARD: Final = (
    "forward: {upstreams: ['127.0.0.1:9'], cache: {size: 16777216}}\n"
    f"metrics: {{listen: {PAGES}}}\nhealth: {{listen: {PAGES}}}\nready: {{listen: {PAGES}}}\n"
)
"""Nobody is at the upstream's port: what is asked of it fails, and so the mix."""

TCP: Final = ("-m", "tcp", "-c", "4")

MIXES: Final = (
    Mix("hot", "10 000 names", _hosts, HOSTS, target=1.0, floor=True),
    Mix("5k", "the same, 5 000 queries/s", _hosts, HOSTS, rate=5_000, floor=True),
    Mix("20k", "the same, 20 000 queries/s", _hosts, HOSTS, rate=20_000, floor=True),
    Mix("50k", "the same, 50 000 queries/s", _hosts, HOSTS, rate=50_000, floor=True),
    Mix("edns", "EDNS, DO, random cookies", _hosts, LINES, opt=_cookie, target=1.0),
    Mix("0x20", "random letter case", _random_case, LINES, target=1.0),
    Mix("nxdomain", "unique names that do not exist", _absent, LINES, "NXDOMAIN", target=1.1),
    Mix("wildcard", "unique names below a wildcard", _below_wildcard, LINES, target=1.1),
    Mix("pool", "10 addresses a name, rotated", _pools, POOLS, target=1.1),
    Mix("million", "1 000 000 names, uniform", _all_hosts, MILLION, world=LARGE, target=1.1),
    Mix("updates", "during 1 000 updates/s in etcd", _hosts, HOSTS, updates=1_000, target=1.25),
    Mix("log", "with the query log on", _hosts, HOSTS, settings="log: {queries: all}\n", target=1.25),
    Mix("acl", "with an access list", _hosts, HOSTS, settings=ACL),
    Mix("rrl", "with response rate limiting", _hosts, HOSTS, settings=RRL),
    Mix("cookies", "with server cookies", _hosts, LINES, opt=_cookie, settings=COOKIES),
    Mix("forward", "with forwarding, cache and metrics", _hosts, HOSTS, settings=FORWARD, target=1.0),
    Mix("tcp", "TCP, 4 connections, pipelined", _hosts, HOSTS, flags=TCP, target=0.5),
    Mix("connections", "TCP, a connection a query", _hosts, HOSTS, connects=True),
)
