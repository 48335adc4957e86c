"""What few records or many questions could make dear is bounded: size, work and memory."""

import time
import tracemalloc

import dns.message
import pytest

from dnsserver.answer.lookup import MAX_TARGETS
from dnsserver.wire import const, name
from dnsserver.zone.table import MAX_RECORDS
from tests.dnsserver.support import filled, parsed, responder, table_of

SLOWEST = 0.5
"""Seconds for an answer that is not compiled yet, on a busy machine."""


def query(name: str, rdtype: str) -> bytes:
    return dns.message.make_query(name, rdtype, use_edns=0, payload=65_535).to_wire()


@pytest.mark.parametrize(
    ("hosts", "told"), [(MAX_TARGETS, MAX_TARGETS), (MAX_TARGETS + 1, MAX_TARGETS), (500, 13)]
)
def test_the_addresses_of_thirteen_hosts_are_told_and_of_no_more(hosts, told):
    records = [{"name": f"h{n}", "type": "A", "data": "192.0.2.1"} for n in range(hosts)]
    records += [{"name": "@", "type": "MX", "data": f"10 h{n}"} for n in range(hosts)]
    served = responder(table_of([{"name": "example.", "records": records}]), "tcp")
    response = parsed(served.respond(query("example.", "MX")))
    assert len(response.answer) == hosts
    assert len(response.additional) == told


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("kind", ["A", "SRV", "ANY"])
def test_a_name_with_more_records_than_any_message_holds_is_answered_soon_and_within_its_limit(
    kind, transport
):
    values = {
        f"local/k8s/all/{n:05}": f'{{"host": "10.0.{n >> 8}.{n & 255}"}}' for n in range(MAX_RECORDS * 3)
    }
    table = filled([{"name": "k8s.local"}], values)
    served = responder(table, transport)
    assert len(table.answering(name.from_text("all.k8s.local"))) == MAX_RECORDS
    began = time.process_time()
    reply = served.respond(query("all.k8s.local.", kind))
    assert time.process_time() - began < SLOWEST * 4
    assert len(reply) <= (const.UDP_PAYLOAD if transport == "udp" else 65_535)
    assert reply[3] & 15 == const.NOERROR
    assert parsed(reply).question


def test_names_and_types_without_end_take_no_memory():
    """Nothing is kept for a name that is not there: what denies it is, once for all its like."""
    records = [
        {"name": "www", "type": "A", "data": "192.0.2.1"},
        {"name": "*.wild", "type": "A", "data": "192.0.2.2"},
        {"name": "alias", "type": "CNAME", "data": "www"},
    ]
    served = responder(table_of([{"name": "example.", "records": records}]))

    def flood(start: int, count: int) -> None:
        for n in range(start, start + count):
            name = b"%08x" % n
            for parent in (
                b"\7example",
                b"\4wild\7example",
                b"\3www\7example",
                b"\4" + name[4:] + b"\7example",
            ):
                served.respond(b"id\0\0\0\1\0\0\0\0\0\0" + b"\x08" + name + parent + b"\0\0\1\0\1")
            rdtype = (n % 65_536).to_bytes(2, "big")
            for owner in (b"\3wWw\7example", b"\5alias\7example"):
                served.respond(b"id\0\0\0\1\0\0\0\0\0\0" + owner + b"\0" + rdtype + b"\0\1")

    flood(0, 1000)
    tracemalloc.start()
    try:
        flood(1000, 1000)
        before = tracemalloc.get_traced_memory()[0]
        flood(2000, 4000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 150_000, f"{grown} octets for 24,000 questions"
