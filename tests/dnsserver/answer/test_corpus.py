"""Recorded and crafted packets, one a file, from the directory that DNS_CORPUS names; none is kept here.

Each is asked as it is, as a query (QR cleared), and with the question of our zone before its rest; in memory,
and as it is over real sockets.
"""

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest
import yaml

from tests.dnsserver.answer.test_respond import QUERY, ZONES, check
from tests.dnsserver.support import responder, table_of
from tests.programs import DnsServer

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


@pytest.mark.skipif(not DIRECTORY, reason="DNS_CORPUS names no directory of packets")
def test_a_server_that_got_every_packet_over_udp_and_tcp_still_answers(tmp_path):
    files = [file for file in sorted(Path(DIRECTORY).rglob("*")) if file.is_file()]
    with DnsServer(tmp_path, zones=yaml.safe_dump({"zones": ZONES})) as server:
        address = ("127.0.0.1", server.port)
        for file in files:
            octets = file.read_bytes()
            with socket.socket(type=socket.SOCK_DGRAM) as datagrams, contextlib.suppress(OSError):
                datagrams.sendto(octets, address)  # some are too long
            whole = octets[:65_535]
            with socket.create_connection(address, timeout=2) as stream, contextlib.suppress(OSError):
                stream.sendall(len(whole).to_bytes(2, "big") + whole)  # some are closed for their framing
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(65_536):
                    pass
            began = time.perf_counter()
            assert server.data("www.example.") == {"192.0.2.1"}, file
            assert time.perf_counter() - began < 1, file
        assert server.metric("dnsserver_faults_total") == 0
        assert "Traceback" not in server.log()
