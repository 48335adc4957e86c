"""Small worlds for properties: few labels, so that names meet, nest, and fall below cuts and wildcards."""

import dns.flags
import dns.message
from dns.edns import GenericOption, OptionType
from hypothesis import strategies as st

from dnsserver.answer.edns import KEEPALIVE
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.support import table_of

LABELS = ["a", "b", "long", "*"]
"""One is longer than those that may be asked for in a search."""
TYPES = [
    "A",
    "AAAA",
    "TXT",
    "CNAME",
    "MX",
    "SRV",
    "NS",
    "SOA",
    "DS",
    "PTR",
    "HTTPS",
    "TYPE97",
    "ANY",
    "TYPE65280",
]
ADDRESSES = [f"192.0.2.{number}" for number in range(1, 6)]
V6 = [f"2001:db8::{number}" for number in range(1, 4)]

relative = st.lists(st.sampled_from(LABELS), min_size=1, max_size=3).map(".".join)
absolute = st.one_of(relative.map(lambda name: f"{name}.example."), st.just("example."), st.just("out.test."))

addresses = st.sampled_from(ADDRESSES).map(lambda data: ("A", data))
record = st.one_of(
    addresses,
    addresses,
    st.sampled_from(V6).map(lambda data: ("AAAA", data)),
    st.sampled_from(["one", "two"]).map(lambda data: ("TXT", data)),
    st.sampled_from([("HTTPS", "1 ."), ("TYPE97", "\\# 1 00")]),  # types 65 and 97, `A` and `a`
    absolute.map(lambda target: ("MX", f"10 {target}")),
    absolute.map(lambda target: ("SRV", f"0 0 1 {target}")),
)
alias = absolute.map(lambda target: ("CNAME", target))
node = st.one_of(st.lists(record, min_size=1, max_size=3), alias.map(lambda item: [item]))
delegation = st.lists(absolute.map(lambda target: ("NS", target)), min_size=1, max_size=2)


@st.composite
def static_lines(draw, cuts: bool = True):
    names = draw(st.dictionaries(relative, node, max_size=5))
    if cuts and draw(st.booleans()):
        names |= draw(st.dictionaries(relative.filter(lambda name: "*" not in name), delegation, max_size=1))
    return [
        {"name": name, "type": kind, "data": data} for name, items in names.items() for kind, data in items
    ]


values = st.fixed_dictionaries(
    {},
    optional={
        "host": st.one_of(
            st.sampled_from(ADDRESSES), st.sampled_from(V6), absolute.map(lambda name: name.rstrip("."))
        ),
        "text": st.sampled_from(["note", "heritage=external-dns"]),
        "targetstrip": st.integers(0, 2),
        "group": st.sampled_from(["", "g", "h"]),
        "ttl": st.sampled_from([0, 5, 4294967295]),
        "port": st.integers(0, 2),
        "mail": st.booleans(),
    },
)
paths = st.one_of(
    st.lists(st.sampled_from([*LABELS, "A", "ns", "dns"]), max_size=4).map(
        lambda labels: "/".join(["example", *labels])
    ),
    st.just("test/out/a"),
)


@st.composite
def zones(draw):
    """Zones as in the YAML: example., at times with static names, and at times with a zone below it."""
    lookup = draw(st.sampled_from(["skydns", "exact"]))
    found = [{"name": "example.", "lookup": lookup, "records": draw(static_lines())}]
    if draw(st.integers(0, 3)) == 0:
        found.append({"name": "a.example.", "lookup": lookup, "records": draw(static_lines(cuts=False))})
    return found


tables = zones().map(lambda found: table_of(found))

cased = st.tuples(absolute, st.randoms(use_true_random=False)).map(
    lambda pair: "".join(pair[1].choice([char.lower(), char.upper()]) for char in pair[0])
)


cookies = st.sampled_from([8, 16, 24]).map(bytes).map(lambda data: GenericOption(OptionType.COOKIE, data))
client_subnets = st.just(GenericOption(OptionType.ECS, b"\0\1\x18\0\xc0\0\2"))
asking = st.sampled_from([OptionType.NSID, KEEPALIVE]).map(lambda kind: GenericOption(kind, b""))
options = st.one_of(
    st.just([]),
    cookies.map(lambda option: [option]),
    st.lists(st.one_of(cookies, client_subnets, asking), max_size=3),
)


@st.composite
def queries(draw) -> bytes:
    message = dns.message.make_query(
        draw(cased), draw(st.sampled_from(TYPES)), flags=0, id=draw(st.integers(0, 65535))
    )
    message.flags = draw(st.sampled_from([0, dns.flags.RD, dns.flags.RD | dns.flags.AD, 0x40]))
    size = draw(st.sampled_from([None, None, 512, 1232, 4096]))
    if size:
        message.use_edns(0, draw(st.sampled_from([0, dns.flags.DO])), size, options=draw(options))
    return message.to_wire()


def shape(table: ZoneTable) -> dict[bytes, tuple]:
    """Return the structure of a table: of each name its zone, records, children and speakers."""
    return {
        name: (
            node.zone.apex,
            [tuple(stored) for stored in node.records],
            node.children or set(),
            node.speakers or set(),
        )
        for name, node in table.nodes.items()
    }
