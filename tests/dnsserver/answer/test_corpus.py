"""Recorded and crafted packets, one a file, from the directory that DNS_CORPUS names; none is kept here.

Each is asked as it is, as a query (QR cleared), and with the question of our zone before its rest.
"""

import os
import time
from pathlib import Path

import pytest

from tests.dnsserver.answer.test_respond import QUERY, ZONES, check
from tests.dnsserver.support import responder, table_of

DIRECTORY = os.environ.get("DNS_CORPUS", "")
SLOWEST = 0.25
"""Seconds for one packet, on a busy machine; 64 KiB of the worst kind take some hundredths."""


@pytest.mark.skipif(not DIRECTORY, reason="DNS_CORPUS names no directory of packets")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_every_packet_of_the_corpus_gets_a_response_or_none(transport):
    files = [file for file in sorted(Path(DIRECTORY).rglob("*")) if file.is_file()]
    assert files
    served = responder(table_of(ZONES), transport)
    for file in files:
        octets = file.read_bytes()[:65_535]
        as_query = octets[:2] + bytes([octets[2] & 0x7F]) + octets[3:] if len(octets) > 2 else octets
        for query in (octets, as_query, octets[2:], as_query[:12] + QUERY[12:] + octets[12:]):
            began = time.perf_counter()
            reply = served.respond(query)
            assert time.perf_counter() - began < SLOWEST, file
            check(query, reply, transport)
    alive = served.respond(QUERY)
    assert alive
    assert alive[3] & 15 == 0
