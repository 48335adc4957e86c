"""The same zone files in our server, in Knot and in NSD: the same questions, the same answers.

Zones and questions come from seeds. With other seeds, and more of both:

    .venv/bin/python -m pytest tests/differential -m slow --timeout 3600
    DIFFERENTIAL_SEEDS=1000:1010 .venv/bin/python -m pytest tests/differential -m slow --timeout 3600

A failure names each question as arguments of kdig, and what the peers say.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.differential import questions
from tests.differential.compare import compare
from tests.differential.peers import Knot, Nsd
from tests.differential.rules import Truth
from tests.differential.zone import Zone
from tests.differential.zones import family
from tests.programs import DnsServer

SEEDS: Final = (1, 2)
QUESTIONS: Final = 2000
"""Of each zone, twice."""

FIRST, _, END = os.environ.get("DIFFERENTIAL_SEEDS", "10:22").partition(":")
MORE_SEEDS: Final = range(int(FIRST), int(END))
MORE_QUESTIONS: Final = 6000


def served(zones: Sequence[Zone], directory: Path) -> str:
    """Write zone files and return the configuration that serves them."""
    for index, zone in enumerate(zones):
        (directory / f"{index}.zone").write_text(zone.text)
    return "zones:\n" + "".join(
        f"  - {{name: '{zone.domain}', file: '{index}.zone'}}\n" for index, zone in enumerate(zones)
    )


def check_seed(seed: int, count: int, directory: Path) -> None:
    zones = family(seed)
    texts = {zone.domain: zone.text for zone in zones}
    with (
        Knot(directory, texts) as knot,
        Nsd(directory, texts) as nsd,
        DnsServer(directory, zones=served(zones, directory)) as ours,
    ):
        ports = {"knot": knot.port, "nsd": nsd.port}
        for zone in zones:
            asked = questions.generate(seed, zone, count)
            compare(ours.port, ports, asked, Truth(zones)).check()


@pytest.mark.parametrize("seed", SEEDS)
def test_zone_files_are_answered_as_knot_or_nsd_answer_them(seed, tmp_path):
    check_seed(seed, QUESTIONS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_many_zone_files_are_answered_as_knot_or_nsd_answer_them(seed, tmp_path):
    check_seed(seed, MORE_QUESTIONS, tmp_path)
