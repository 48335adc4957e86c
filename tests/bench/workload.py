"""The zone that is served and the queries that are asked of it, the same for every server."""

import random
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Final, NamedTuple

from dnsserver.skydns.key import Key, key_of, prefix_of
from dnsserver.skydns.record import Record, encode

ZONE: Final = "bench.test"
PREFIX: Final = "/skydns"

HOSTS: Final = 10_000
POOLS: Final = 500
POOL: Final = 10
"""Addresses of one pool name."""

LINES: Final = 200_000
"""Queries of a mix before dnsperf begins anew, for names that are made up."""


def _address(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def _host(number: int) -> str:
    return f"host-{number:05}"


def _records() -> Iterator[tuple[str, str]]:
    """Yield names relative to the zone, with an address; some have several."""
    yield "ns.dns", "127.0.0.1"
    yield "*.wild", "10.255.0.1"
    for number in range(HOSTS):
        yield _host(number), _address(number)
    for number in range(POOLS * POOL):
        yield f"pool-{number // POOL:03}", _address(1 << 16 | number)


RECORDS: Final = tuple(_records())

FIRST: Final = f"{_host(0)}.{ZONE}"
"""A name to ask for until the server is ready."""


def zone_file() -> str:
    head = f"$ORIGIN {ZONE}.\n$TTL 300\n@ SOA ns.dns hostmaster 1 7200 1800 86400 30\n@ NS ns.dns\n"
    return head + "".join(f"{name} A {address}\n" for name, address in RECORDS)


def zone_yaml(*, static: bool) -> str:
    """Return dnsserver's configuration but for what flags say; its default TTLs are those of `zone_file`."""
    head = f"zones:\n- name: {ZONE}\n"
    if not static:
        return head
    lines = (f'  - {{name: "{name}", type: A, data: {address}}}\n' for name, address in RECORDS)
    return head + "  records:\n" + "".join(lines)


def etcd_records() -> dict[Key, bytes]:
    """Return the records as ExternalDNS would write them: an address a key, below the name it answers."""
    records = {}
    for number, (name, address) in enumerate(RECORDS):
        labels = f"{name}.{ZONE}".encode().split(b".")
        below = [] if name.startswith("*") else [b"%06x" % number]
        records[key_of([*below, *labels], prefix_of(PREFIX))] = encode(
            Record(host=address, targetstrip=len(below))
        )
    return records


class Mix(NamedTuple):
    name: str
    rcode: str
    """That of every response."""
    names: Callable[[random.Random], Iterator[str]]
    """Relative to the zone, without an end."""
    lines: int
    flags: tuple[str, ...] = ()
    """For dnsperf."""

    def queries(self) -> str:
        """Return dnsperf's input."""
        names = islice(self.names(random.Random(self.name)), self.lines)
        return "".join(f"{name} A\n" for name in names)


def _hosts(dice: random.Random) -> Iterator[str]:
    numbers = list(range(HOSTS))
    dice.shuffle(numbers)
    return cycle([f"{_host(number)}.{ZONE}" for number in numbers])


def _pools(dice: random.Random) -> Iterator[str]:
    return cycle([f"pool-{number:03}.{ZONE}" for number in range(POOLS)])


def _absent(dice: random.Random) -> Iterator[str]:
    while True:
        yield f"{dice.randbytes(4).hex()}.{ZONE}"


def _below_wildcard(dice: random.Random) -> Iterator[str]:
    while True:
        yield f"{dice.randbytes(4).hex()}.wild.{ZONE}"


def _random_case(dice: random.Random) -> Iterator[str]:
    for name in _hosts(dice):
        yield "".join(dice.choice((letter, letter.upper())) for letter in name)


MIXES: Final = (
    Mix("hot", "NOERROR", _hosts, HOSTS),
    Mix("edns-do", "NOERROR", _hosts, HOSTS, ("-D",)),
    Mix("nxdomain", "NXDOMAIN", _absent, LINES),
    Mix("random-case", "NOERROR", _random_case, HOSTS * 2),
    Mix("wildcard", "NOERROR", _below_wildcard, LINES),
    Mix("10-addresses", "NOERROR", _pools, POOLS),
    Mix("tcp", "NOERROR", _hosts, HOSTS, ("-m", "tcp", "-c", "4")),
)
