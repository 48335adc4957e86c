"""Questions about a zone, made at random from a seed: at, above, below and beside all that it holds."""

import random
from collections.abc import Sequence
from typing import Final

import dns.rdatatype

from tests.differential.exchange import AD, CD, RD, Question
from tests.differential.zone import Labels, Zone, octets, wire
from tests.differential.zones import ODD, PLAIN

TYPES: Final = (
    *("A", "AAAA", "NS", "CNAME", "SOA", "TXT", "MX", "SRV", "PTR", "CAA", "TLSA", "SSHFP", "NAPTR", "DS"),
    *("HTTPS", "SVCB", "HINFO", "TYPE65280"),
)
ABSENT: Final = ("DNSKEY", "NSEC", "RRSIG", "LOC", "SPF", "DNAME", "TYPE300", "TYPE65279", "TYPE65534")
"""Types that no zone here has."""

ANY: Final = 255

PAYLOADS: Final = (512, 513, 700, 1231, 1232, 1233, 1400, 4096, 65_535)


def _label(rng: random.Random) -> bytes:
    return rng.choice((rng.choice(PLAIN), rng.choice(ODD), b"*", b"nothing", b"q%d" % rng.randrange(99)))


def _name(rng: random.Random, zone: Zone, names: Sequence[Labels], special: Sequence[Labels]) -> Labels:
    labels = rng.choice(special if special and rng.random() < 0.4 else names)
    draw = rng.random()
    if draw < 0.35:
        return labels
    if draw < 0.5:
        return labels[rng.randint(0, len(labels) - len(zone.apex)) :]
    if draw < 0.6:
        return (_label(rng), *labels[1:])
    above = labels[1:] if labels[0] == b"*" and draw < 0.85 else labels
    return (*(_label(rng) for _ in range(rng.choice((1, 1, 2, 4)))), *above)


def _outside(rng: random.Random, zone: Zone) -> Labels:
    first, *rest = zone.apex
    joined = b".".join(zone.apex)
    return rng.choice(
        (tuple(rest), (b"x" + first, *rest), (*zone.apex, b"example"), (joined,), (b"elsewhere",))
    )


def _in_some_case(rng: random.Random, name: bytes) -> bytes:
    if rng.random() < 0.6:
        return name
    # Length octets are below the letters.
    return bytes(
        rng.choice((octet, ord(chr(octet).upper()))) if 97 <= octet < 123 else octet for octet in name
    )


def generate(seed: int, zone: Zone, count: int, *, any_type: bool = True) -> list[Question]:
    """Return `count` questions about a zone; every 60th asks for a name beside it, every 40th for ANY."""
    rng = random.Random(f"{seed} {zone.apex!r} questions")
    names = list(zone.names.values())
    special = zone.cuts + zone.wildcards
    found = []
    for index in range(count):
        labels = _outside(rng, zone) if index % 60 == 0 else _name(rng, zone, names, special)
        if octets(labels) > 255 or not labels or not labels[0]:
            labels = zone.apex
        kind = dns.rdatatype.from_text(rng.choice(ABSENT if rng.random() < 0.08 else TYPES))
        owned = sorted(zone.types.get(wire(labels).lower(), ()))
        if owned and rng.random() < 0.5:
            kind = rng.choice(owned)
        if any_type and index % 40 == 1:
            kind = ANY
        found.append(
            Question(
                _in_some_case(rng, wire(labels)),
                kind,
                payload=rng.choice((None, 1232, rng.choice(PAYLOADS))),
                dnssec_ok=rng.random() < 0.3,
                tcp=rng.random() < 0.25,
                flags=rng.choice((0, 0, RD, RD | AD, CD)),
            )
        )
    return found
