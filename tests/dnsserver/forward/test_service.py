"""What is for the forwarder among the messages that a responder has no response for."""

import ipaddress

import dns.flags
import dns.message
import dns.opcode
import dns.tsig
import pytest

from dnsserver.answer.tally import Tally
from dnsserver.forward.cache import Cache
from dnsserver.forward.resolver import Resolver
from dnsserver.forward.response import Limits
from dnsserver.forward.service import ForwardService
from tests.dnsserver.support import parsed, raising, responder, table_of

ALLOWED, STRANGER = (ipaddress.ip_address(text).packed for text in ("127.0.0.1", "192.0.2.1"))
INNER = b"the response of another handle"


def forwarder(on_fault):
    """Return the handle of a forwarder that waits for no upstream, so that a query for it is a SERVFAIL."""
    table, tally = table_of([{"name": "k8s.local."}]), Tally()
    resolver = Resolver([], Cache(0), Limits(1, 1, 1), deadline=1, max_in_flight=0, on_fault=on_fault)
    service = ForwardService(table, tally, resolver, [ipaddress.ip_network("127.0.0.0/8")], on_fault)
    return service.before(lambda *_: INNER, responder(table, forwards=True, defers=True), "udp")


@pytest.fixture
async def handle():
    return forwarder(raising)


def rcode(response) -> str:
    """Return the rcode of a response, whether it comes at once or later."""
    if callable(response):
        replies = []
        response(replies.append)
        (response,) = replies
    return dns.rcode.to_text(parsed(response).rcode())


def changed(**attributes) -> bytes:
    message = dns.message.make_query("www.test.", "A")
    for name, value in attributes.items():
        setattr(message, name, value)
    return message.to_wire()


def signed() -> bytes:
    message = dns.message.make_query("www.test.", "A")
    message.use_tsig(dns.tsig.Key("key.", b"0123456789abcdef", "hmac-sha256"))
    return message.to_wire()


def query(**options) -> bytes:
    return dns.message.make_query(**{"qname": "www.test.", "rdtype": "A"} | options).to_wire()


@pytest.mark.parametrize(
    "message",
    [
        changed(flags=0),
        changed(flags=dns.flags.RD | dns.flags.QR),
        changed(flags=dns.flags.RD | dns.opcode.to_flags(dns.opcode.NOTIFY)),
        query(rdtype="AXFR"),
        query(rdtype="IXFR"),
        query(rdtype="TYPE249"),
        query(rdclass="CH"),
        query(use_edns=1),
        signed(),
        query()[:4] + b"\0\2" + query()[6:],
        query()[:-1],
        query()[:11],
        b"",
    ],
    ids=[
        "no RD",
        "a response",
        "NOTIFY",
        "AXFR",
        "IXFR",
        "TKEY",
        "class CH",
        "EDNS version 1",
        "TSIG",
        "two questions",
        "cut short",
        "no header",
        "nothing",
    ],
)
async def test_what_is_no_question_for_data_is_for_others(handle, message):
    assert handle(message, ALLOWED, 5) == INNER


@pytest.mark.parametrize("options", [{}, {"use_edns": 0}, {"rdtype": "ANY"}, {"rdtype": "TYPE65280"}])
async def test_a_question_for_data_is_forwarded_for_those_allowed_alone(handle, options):
    assert rcode(handle(query(**options), ALLOWED, 5)) == "SERVFAIL"
    assert rcode(handle(query(**options), STRANGER, 5)) == "REFUSED"


async def test_a_fault_here_is_told_and_answered_with_servfail(monkeypatch):
    monkeypatch.setattr("dnsserver.forward.service.followed", lambda *_: 1 / 0)
    faults = []
    assert rcode(forwarder(faults.append)(query(), ALLOWED, 5)) == "SERVFAIL"
    assert [type(fault) for fault in faults] == [ZeroDivisionError]
