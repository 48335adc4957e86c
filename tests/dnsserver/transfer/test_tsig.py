"""TSIG (RFC 8945): what a signed query is worth, and what its answer says. dnspython is the client."""

import ipaddress
import struct

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest

from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Tally
from dnsserver.transfer import tsig
from dnsserver.transfer.contents import Contents
from dnsserver.transfer.history import Journal
from dnsserver.transfer.serve import Peer, Served, Transfers
from dnsserver.wire.name import from_text
from tests.dnsserver.support import raising, table_of

NOW = 1_800_000_000
SECRET = b"0123456789abcdef0123456789abcdef"
NAME = from_text("Key.example.")
ALGORITHMS = ["hmac-sha256", "hmac-sha512"]
RECORDS = [
    {"name": "a", "type": "A", "data": "192.0.2.1"},
    *({"name": "long", "type": "TXT", "data": f'"{number:0>100}"'} for number in range(10)),
    *({"name": f"n{number}", "type": "TXT", "data": f'"{number:0>200}"'} for number in range(300)),
]


class Client:
    """Sends what it signs with a key, at a time of its own, and returns the response octets."""

    def __init__(self, algorithm="hmac-sha256", transport="udp") -> None:
        table = table_of([{"name": "example.", "records": RECORDS}])
        zone = table.zones[from_text("example.")]
        served = Served(
            zone,
            Journal(table, zone, Contents(table, zone)),
            [Peer(ipaddress.ip_network("127.0.0.1"), NAME)],
        )
        self.transport = transport
        self.tally = Tally()
        self.responder = Responder(table, self.tally, transport, raising, defers=True)
        self.transfers = Transfers(
            {zone.apex: served},
            {NAME: tsig.key(NAME, algorithm, SECRET)},
            {transport: self.responder},
            clock=lambda: NOW,
            on_fault=raising,
        )
        self.key = dns.tsig.Key("key.example.", SECRET, algorithm)

    def send(self, octets: bytes) -> bytes:
        assert self.responder.respond(octets) is None, "it is deferred"
        answer = self.transfers.over_udp if self.transport == "udp" else self.transfers.over_tcp
        return answer(octets, bytes((127, 0, 0, 1)), 53)


@pytest.fixture(params=ALGORITHMS)
def client(request):
    return Client(request.param)


def signed(key, name="a.example.", rdtype="A", *, at=NOW, edns=0, fudge=300, **options):
    query = dns.message.make_query(name, rdtype, use_edns=edns, **options)
    octets = query.to_wire()
    return query, sign(octets, key, at=at, fudge=fudge)


def sign(octets, key, *, at=NOW, fudge=300, error=0, mac=None):
    (ident,) = struct.unpack_from(">H", octets)
    rdata = dns.rdtypes.ANY.TSIG.TSIG(255, 250, key.algorithm, at, fudge, b"", ident, error, b"")
    rdata, _ = dns.tsig.sign(octets, key, rdata, at, b"")
    if mac:
        rdata = rdata.replace(mac=mac(rdata.mac))
    wire = rdata.to_wire()
    record = key.name.to_wire() + struct.pack(">HHIH", 250, 255, 0, len(wire)) + wire
    (count,) = struct.unpack_from(">H", octets, 10)
    return octets[:10] + struct.pack(">H", count + 1) + octets[12:] + record


def tsig_of(octets):
    """Return the response, not verified, with its TSIG."""
    message = dns.message.from_wire(octets, keyring=False)
    return message, message.tsig[0] if message.tsig else None


def mac_of(octets):
    return tsig_of(octets)[1].mac


def verify(response: bytes, key, request_mac: bytes, monkeypatch) -> dns.message.Message:
    monkeypatch.setattr("time.time", lambda: NOW)
    return dns.message.from_wire(response, keyring=key, request_mac=request_mac)


@pytest.mark.parametrize("edns", [False, 0])
def test_a_signed_query_is_answered_signed(client, edns, monkeypatch):
    query, octets = signed(client.key, edns=edns)
    response = verify(client.send(octets), client.key, mac_of(octets), monkeypatch)
    assert response.had_tsig
    assert (response.id, response.rcode()) == (query.id, 0)
    assert response.answer[0][0].to_text() == "192.0.2.1"
    assert response.edns == (0 if edns == 0 and edns is not False else -1)


@pytest.mark.parametrize("late", [-300, 300])
def test_a_query_at_the_edge_of_the_window_is_answered(client, late):
    message, _ = tsig_of(client.send(signed(client.key, at=NOW + late)[1]))
    assert message.answer


@pytest.mark.parametrize("late", [-301, 301, -(10**9)])
def test_a_query_out_of_time_is_badtime_signed_with_the_server_time(client, late, monkeypatch):
    _, octets = signed(client.key, at=NOW + late)
    response = client.send(octets)
    message, found = tsig_of(response)
    assert (message.rcode(), message.answer) == (dns.rcode.NOTAUTH, [])
    assert (found.error, int.from_bytes(found.other, "big"), found.time_signed) == (18, NOW, NOW + late)
    ctx = dns.tsig.get_context(client.key)
    ctx.update(struct.pack(">H", len(mac_of(octets))) + mac_of(octets))
    assert found.mac
    with pytest.raises(dns.tsig.PeerBadTime):
        verify(response, client.key, mac_of(octets), monkeypatch)


def test_an_unknown_key_is_badkey_and_not_signed(client):
    for key in (
        dns.tsig.Key("other.example.", SECRET, client.key.algorithm),
        dns.tsig.Key("key.example.", SECRET, "hmac-sha1"),
    ):
        message, found = tsig_of(client.send(signed(key)[1]))
        assert (message.rcode(), message.answer) == (dns.rcode.NOTAUTH, [])
        assert (found.error, found.mac) == (17, b"")


def flipped(mac):
    return bytes((mac[0] ^ 1,)) + mac[1:]


def test_a_bad_signature_is_badsig_and_not_signed(client):
    octets = dns.message.make_query("a.example.", "A").to_wire()
    good = sign(octets, client.key)
    for forged in (
        sign(octets, client.key, mac=flipped),
        sign(octets, dns.tsig.Key("key.example.", b"x" * 32, client.key.algorithm)),
        good[:12] + good[12:].replace(b"\1a", b"\1b", 1),
    ):
        message, found = tsig_of(client.send(forged))
        assert (message.rcode(), message.answer) == (dns.rcode.NOTAUTH, [])
        assert (found.error, found.mac) == (16, b"")


def test_a_truncated_mac_is_badtrunc_and_one_of_no_legal_length_formerr(client):
    octets = dns.message.make_query("a.example.", "A").to_wire()
    whole = len(mac_of(sign(octets, client.key)))
    for length in (whole // 2, whole - 1):
        message, found = tsig_of(client.send(sign(octets, client.key, mac=lambda mac, n=length: mac[:n])))
        assert (message.rcode(), found.error, found.mac) == (dns.rcode.NOTAUTH, 22, b"")
    for change in (lambda mac: mac[: whole // 2 - 1], lambda mac: b"", lambda mac: mac + b"\0"):
        forged = sign(octets, client.key, mac=change) if change(b"x" * whole) else None
        if forged:
            message, found = tsig_of(client.send(forged))
            assert (message.rcode(), found) == (dns.rcode.FORMERR, None)


def test_a_tsig_twice_or_not_last_or_elsewhere_is_formerr(client):
    octets = dns.message.make_query("a.example.", "A").to_wire()
    once = sign(octets, client.key)
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    record = once[len(octets) :]
    for forged in (
        sign(once, client.key),
        once[:10] + b"\0\2" + once[12:] + opt,
        octets[:6] + b"\0\1\0\0\0\0" + octets[12:] + record,
        octets[:8] + b"\0\1\0\0" + octets[12:] + record,
    ):
        response = client.responder.respond(forged)
        assert dns.message.from_wire(response).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize("broken", ["class", "ttl", "rdata", "error"])
def test_a_broken_tsig_is_formerr(client, broken):
    octets = dns.message.make_query("a.example.", "A").to_wire()
    forged = sign(octets, client.key, error=16 if broken == "error" else 0)
    fixed = len(octets) + len(client.key.name.to_wire())
    if broken == "class":
        forged = forged[: fixed + 2] + b"\0\1" + forged[fixed + 4 :]
    if broken == "ttl":
        forged = forged[: fixed + 4] + b"\0\0\0\1" + forged[fixed + 8 :]
    if broken == "rdata":
        forged = forged[: fixed + 8] + b"\0\3" + forged[fixed + 10 :]
    message, found = tsig_of(client.send(forged))
    assert (message.rcode(), found) == (dns.rcode.FORMERR, None)


def test_a_signed_response_fits_the_datagram_with_its_signature(client):
    """The ten texts fit 1232 octets, but not with a signature."""
    assert (
        not dns.message.from_wire(
            client.responder.respond(dns.message.make_query("long.example.", "TXT", payload=1232).to_wire())
        ).flags
        & dns.flags.TC
    )
    response = client.send(signed(client.key, "long.example.", "TXT", payload=1232)[1])
    message, found = tsig_of(response)
    assert message.flags & dns.flags.TC
    assert found.mac
    assert len(response) <= 1232


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_message_of_a_transfer_is_signed_after_the_one_before(algorithm, monkeypatch):
    client = Client(algorithm, "tcp")
    _, octets = signed(client.key, "example.", "AXFR")
    monkeypatch.setattr("time.time", lambda: NOW)
    context, found = None, []
    messages = [message for message in client.send(octets) if message]
    assert len(messages) > 3
    for octets_ in messages:
        message = dns.message.from_wire(
            octets_,
            keyring=client.key,
            request_mac=mac_of(octets),
            xfr=True,
            multi=True,
            tsig_ctx=context,
            one_rr_per_rrset=True,
        )
        assert message.had_tsig
        context = message.tsig_ctx
        found += message.answer
    assert found[0] == found[-1]
    assert len(found) == 2 + 1 + len(RECORDS)
    options = {"keyring": client.key, "request_mac": mac_of(octets), "xfr": True, "multi": True}
    context = dns.message.from_wire(messages[0], **options).tsig_ctx
    with pytest.raises(dns.tsig.BadSignature):
        dns.message.from_wire(messages[2], tsig_ctx=context, **options)


def test_a_transfer_that_wants_a_key_is_refused_without_it_and_the_refusal_is_signed_for_who_has_it():
    client = Client(transport="tcp")
    unsigned = dns.message.make_query("example.", "AXFR").to_wire()
    assert dns.message.from_wire(client.send(unsigned)).rcode() == dns.rcode.REFUSED
    message, found = tsig_of(client.send(signed(client.key, "other.test.", "AXFR")[1]))
    assert (message.rcode(), found.error) == (dns.rcode.REFUSED, 0)
    assert found.mac


def test_an_ixfr_without_a_serial_is_formerr():
    client = Client(transport="tcp")
    message, _ = tsig_of(client.send(signed(client.key, "example.", "IXFR")[1]))
    assert message.rcode() == dns.rcode.FORMERR


def test_any_change_of_a_signed_query_is_no_answer(client):
    """Whatever octet is other than what was signed, the data is not told to the key's owner's name."""
    query = dns.message.make_query("a.example.", "A", id=0x1234).to_wire()
    octets = sign(query, client.key)
    for at in range(2, len(octets)):
        forged = octets[:at] + bytes((octets[at] ^ 0x21,)) + octets[at + 1 :]
        response = client.responder.respond(forged)
        if response is None:
            response = client.transfers.over_udp(forged, bytes((127, 0, 0, 1)), 53)
        if response is None or len(response) <= 12:
            continue
        _, found = tsig_of(response)
        # Where the case of the key's or the algorithm's name is another, it is still the same name.
        folded = forged.lower() == octets.lower()
        assert folded or not (found and found.mac and not found.error), at
