"""What a generated zone once showed to differ, each by itself; and where Knot and NSD are at odds."""

from pathlib import Path

import dns.name
import dns.rdatatype
import pytest

from tests.differential.compare import Outcome, compare
from tests.differential.exchange import Question
from tests.differential.peers import Knot, Nsd
from tests.differential.rules import Truth
from tests.differential.test_zone_files import served
from tests.differential.zone import Labels, Zone, escaped
from tests.programs import DnsServer

PARENT: Labels = (b"example",)
CHILD: Labels = (b"child", b"example")
OTHER: Labels = (b"other", b"example")


def zone(apex: Labels, *records: tuple[str, str, str]) -> Zone:
    made = Zone(apex)
    made.add(apex, "SOA", f"ns.{escaped(apex)} hostmaster.{escaped(apex)} 1 7200 1800 86400 30")
    made.add(apex, "NS", "ns.elsewhere.test.")
    for owner, kind, data in records:
        made.add((*dns.name.from_text(owner, None).labels, *apex), kind, data)
    return made


DIGEST = "1 13 2 " + "00" * 32

ZONES = [
    zone(
        PARENT,
        ("child", "NS", "ns.elsewhere.test."),
        ("child", "DS", DIGEST),
        ("other", "NS", "ns.elsewhere.test."),
        ("any", "A", "192.0.2.1"),
        ("*.in.any", "A", "192.0.2.2"),
        ("below.any", "A", "192.0.2.3"),
        ("*.wild", "CNAME", "any"),
        ("self", "CNAME", "self.example."),
        ("*.self", "CNAME", "*.self.example."),
        ("cut", "NS", "ns.cut.example."),
        ("ns.cut", "A", "192.0.2.4"),
        ("*.cut", "A", "192.0.2.5"),
        ("cut", "DS", DIGEST),
        ("deep.cut", "NS", "ns.elsewhere.test."),
        ("to-cut", "CNAME", "www.cut.example."),
        ("*.to-cut", "CNAME", "www.cut.example."),
        ("to-child", "CNAME", "child.example."),
    ),
    zone(CHILD, ("www", "A", "192.0.2.6")),
    zone(OTHER, ("www", "A", "192.0.2.7")),
]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    directory: Path = tmp_path_factory.mktemp("examples")
    texts = {each.domain: each.text for each in ZONES}
    with (
        Knot(directory, texts) as knot,
        Nsd(directory, texts) as nsd,
        DnsServer(directory, zones=served(ZONES, directory)) as ours,
    ):

        def outcome(names: str, kind: str) -> Outcome:
            number = int(dns.rdatatype.from_text(kind))
            asked = [
                Question(
                    dns.name.from_text(name, dns.name.Name((*PARENT, b""))).to_wire() or b"", number, **how
                )
                for name in names.split()
                for how in ({}, {"payload": 1232, "dnssec_ok": True}, {"tcp": True})
            ]
            return compare(ours.port, {"knot": knot.port, "nsd": nsd.port}, asked, Truth(ZONES))

        yield outcome


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        pytest.param("child", "DS", id="rfc4035-3.1.4.1-ds-of-a-child-served-beside-its-parent"),
        pytest.param("child", "SOA", id="rfc4035-3.1.4.1-other-types-are-the-childs"),
        pytest.param("other", "DS", id="rfc4035-3.1.4.1-no-ds-says-the-parent"),
        pytest.param("cut", "DS", id="rfc4035-3.1.4.1-ds-at-a-cut"),
        pytest.param("deep.cut", "DS", id="rfc4035-3.1.4.1-ds-at-a-cut-below-a-cut"),
        pytest.param("x.any", "A", id="rfc1034-4.3.2-any-is-an-ordinary-label"),
        pytest.param("x.in.any", "A", id="rfc4592-2.2.1-a-wildcard-below-the-label-any"),
        pytest.param("*.any", "A", id="rfc4592-2.2.1-an-asterisk-asked-for-where-none-is"),
        pytest.param("x.wild", "A", id="rfc4592-3.3.3-cname-of-a-wildcard"),
        pytest.param("self", "A", id="rfc1034-3.6.2-an-alias-of-itself"),
        pytest.param("x.self", "A", id="rfc4592-3.3.3-an-alias-of-its-asterisk"),
        pytest.param("www.cut", "A", id="rfc1034-4.2.1-glue-beside-an-occluded-wildcard"),
        pytest.param("to-cut", "A", id="rfc1034-4.3.2-an-alias-to-below-a-cut"),
        pytest.param("*.to-cut x.longer.to-cut", "A", id="rfc4592-3.3.3-a-wildcard-alias-to-below-a-cut"),
        pytest.param("to-child", "A", id="rfc1034-4.3.2-an-alias-into-another-zone-of-ours"),
    ],
)
def test_example_is_answered_as_knot_or_nsd_answer_it(ask, names, kind):
    ask(names, kind).check()
