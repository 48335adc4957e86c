"""Knot and NSD follow zones of the server through changes in a real etcd; and what they do not show."""

import json
import socket
import threading
import time
from pathlib import Path

import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.xfr
import dns.zone
import pytest

from dnsserver.skydns.key import Key
from tests.programs import DnsServer, eventually
from tests.secondaries import ALGORITHMS, KEY, SECRET, Secondary, records, transferred
from tools.embedded_etcd import free_port

APEX = "k8s.local"


def put(store, prefix, values):
    """Write keys below the zone in one transaction and return its revision; None deletes."""
    keys = {Key(f"{prefix}/local/k8s/{path}".encode()): value for path, value in values.items()}
    return store.commit(
        puts={key: json.dumps(value).encode() for key, value in keys.items() if value is not None},
        deletes=[key for key, value in keys.items() if value is None],
        expected={},
    )


def address(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def zones(directory: Path, *, transfer: str, algorithm: str = "hmac-sha256") -> str:
    (directory / "secret").write_text(SECRET + "\n")
    return (
        f"tsig: [{{name: {KEY}, algorithm: {algorithm}, secret_file: secret}}]\n"
        f"zones:\n  - name: {APEX}\n    transfer: {transfer}\n"
        "    records: [{name: ns.dns, type: A, data: 127.0.0.1}, {name: '*.wild', type: TXT, data: any},\n"
        "      {name: sub, type: NS, data: ns.sub}, {name: ns.sub, type: A, data: 192.0.2.1}]\n"
    )


def served(server, kind, outcome):
    """Return how many transfers of the zone had an outcome."""
    label = f'dnsserver_transfers_total{{kind="{kind}",outcome="{outcome}",zone="{APEX}."}}'
    lines = server.page("/metrics")[1].splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(label))


def serial_of(server):
    return server.ask(APEX, "SOA").answer[0][0].serial


def same(server, secondary, revision):
    """Wait until both are at a revision of etcd, and compare what they have."""
    eventually(lambda: serial_of(server) == revision, 5, f"revision {revision}")
    secondary.wait_for_serial(serial_of(server))
    key = dns.tsig.Key(KEY, SECRET, secondary.algorithm)
    ours = records(transferred(server.port, APEX, keyring={key.name: key}, keyname=key.name))
    assert records(transferred(secondary.port, APEX)) == ours
    return ours


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("program", ["knot", "nsd"])
def test_a_secondary_follows_every_change_and_catches_up_after_a_restart(
    program, signed, etcd, store, prefix, tmp_path
):
    port = free_port()
    key = f", key: {KEY}" if signed else ""
    transfer = f"{{allow: [{{address: 127.0.0.0/8{key}}}], notify: [{{address: '127.0.0.1:{port}'{key}}}]}}"
    text = zones(tmp_path, transfer=transfer, algorithm=ALGORITHMS[program])
    at = put(
        store, prefix, {"a/x1": {"host": "10.0.0.1"}, "b": {"host": "web.test", "port": 80, "text": "note"}}
    )
    with (
        DnsServer(tmp_path, zones=text, etcd=etcd.endpoint, prefix=prefix) as server,
        Secondary(program, tmp_path, server.port, port=port, signed=signed, zone=APEX) as secondary,
    ):
        server.wait_ready()
        found = same(server, secondary, at)
        assert f"a.{APEX}. 300 A 10.0.0.1" in found
        assert f"b.{APEX}. 300 CNAME web.test." in found
        full = served(server, "axfr", "full") + served(server, "ixfr", "full")
        at = put(
            store, prefix, {"a/x1": {"host": "10.0.0.2"}, "c/x1": {"host": "10.0.0.3", "targetstrip": 1}}
        )
        assert f"c.{APEX}. 300 A 10.0.0.3" in same(server, secondary, at)
        at = put(store, prefix, {"a/x1": None, "dns/apex/x1": {"host": "10.0.0.4", "mail": True}})
        found = same(server, secondary, at)
        assert f"{APEX}. 300 A 10.0.0.4" in found
        assert not any(line.startswith(f"a.{APEX}.") for line in found)
        for start in range(0, 2000, 100):
            at = put(
                store,
                prefix,
                {f"n{i}/x1": {"host": address(i), "targetstrip": 1} for i in range(start, start + 100)},
            )
        assert len(same(server, secondary, at)) > 2000
        # Each `same` has one AXFR of its own.
        assert served(server, "axfr", "full") + served(server, "ixfr", "full") == full + 3
        assert served(server, "ixfr", "incremental") >= 3
        secondary.stop()
        at = put(store, prefix, {"n1/x1": None, "n2/x1": {"host": "10.9.9.9", "targetstrip": 1, "ttl": 60}})
        secondary.start()
        assert f"n2.{APEX}. 60 A 10.9.9.9" in same(server, secondary, at)
        assert "Traceback" not in server.log()
        assert SECRET not in server.log()


def xfr(port, rdtype=dns.rdatatype.AXFR, *, serial=None, udp=False, keyring=None, source="127.0.0.1"):
    """Return the messages of a transfer, or the rcode of its refusal."""
    query = dns.message.make_query(APEX, rdtype)
    if serial is not None:
        soa = f"{APEX}. 0 IN SOA . . {serial} 0 0 0 0"
        query.authority.append(dns.rrset.from_text(*soa.split(maxsplit=4)[:4], soa.split(maxsplit=4)[4]))
    if keyring:
        query.use_tsig(keyring)
    if udp:
        return [dns.query.udp(query, "127.0.0.1", port=port, timeout=5)]
    found, soas = [], 0
    with socket.create_connection(("127.0.0.1", port), 5, (source, 0)) as sock:
        dns.query.send_tcp(sock, query.to_wire())
        while soas < 2:
            size = int.from_bytes(exactly(sock, 2), "big")
            message = dns.message.from_wire(
                exactly(sock, size), one_rr_per_rrset=True, xfr=True, keyring=False
            )
            found.append(message)
            if message.rcode():
                break
            soas += sum(rrset.rdtype == dns.rdatatype.SOA for rrset in message.answer)
            if serial is not None and len(found) == soas == 1 and len(message.answer) == 1:
                break
    return found


def exactly(sock, size):
    octets = b""
    while len(octets) < size:
        part = sock.recv(size - len(octets))
        assert part, "closed in the middle"
        octets += part
    return octets


def test_who_is_not_allowed_gets_nothing(tmp_path):
    allow = f"{{allow: [{{address: 127.0.0.2}}, {{address: 127.0.0.3, key: {KEY}}}]}}"
    key = dns.tsig.Key(KEY, SECRET)
    text = zones(tmp_path, transfer=allow) + "  - name: other.test\n"
    with DnsServer(tmp_path, zones=text) as server:
        for kind, serial in ((dns.rdatatype.AXFR, None), (dns.rdatatype.IXFR, 0)):
            for source, keyring, rcode in (
                ("127.0.0.1", None, dns.rcode.REFUSED),
                ("127.0.0.1", key, dns.rcode.REFUSED),
                ("127.0.0.2", None, dns.rcode.NOERROR),
                ("127.0.0.2", key, dns.rcode.NOERROR),
                ("127.0.0.3", None, dns.rcode.REFUSED),
                ("127.0.0.3", key, dns.rcode.NOERROR),
                ("127.0.0.3", dns.tsig.Key(KEY, "AAAA"), dns.rcode.NOTAUTH),
                ("127.0.0.3", dns.tsig.Key("other-key", SECRET), dns.rcode.NOTAUTH),
            ):
                answer = xfr(server.port, kind, serial=serial, keyring=keyring, source=source)
                assert answer[0].rcode() == rcode, (kind, source, keyring)
                assert bool(answer[0].answer) == (rcode == 0)
        query = dns.message.make_query("other.test", "AXFR")
        assert dns.query.tcp(query, "127.0.0.1", port=server.port, timeout=5).rcode() == dns.rcode.REFUSED


OPEN = "{allow: [{address: 127.0.0.1}]}"


def test_a_large_zone_comes_in_many_messages_of_one_state_while_it_changes(etcd, store, prefix, tmp_path):
    """Pairs of names change together in one transaction: no transfer shows one of them alone."""
    for start in range(0, 4000, 100):
        put(
            store,
            prefix,
            {f"fill{i}/x1": {"host": address(i), "targetstrip": 1} for i in range(start, start + 100)},
        )
    stop = threading.Event()

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            host = None if number % 7 == 0 else {"host": address(number), "targetstrip": 1}
            pair = number % 20
            put(store, prefix, {f"a{pair}/x1": host, f"z{pair}/x1": host})

    with DnsServer(
        tmp_path, zones=zones(tmp_path, transfer=OPEN), etcd=etcd.endpoint, prefix=prefix
    ) as server:
        server.wait_ready()
        writer = threading.Thread(target=change)
        writer.start()
        try:
            copy = dns.zone.Zone(APEX, relativize=False)
            serials = []
            began = time.monotonic()
            while time.monotonic() - began < 5:
                messages = xfr(server.port)
                rrsets = [rrset for message in messages for rrset in message.answer]
                assert len(messages) > 5
                assert all(len(message.to_wire()) < 20_000 for message in messages)
                assert rrsets[0] == rrsets[-1]
                assert len([rrset for rrset in rrsets if ".fill" in f".{rrset.name}"]) == 4000
                check_pairs({str(rrset.name): rrset[0].to_text() for rrset in rrsets})
                dns.query.inbound_xfr("127.0.0.1", copy, port=server.port, lifetime=10)
                check_pairs({str(name): rdata.to_text() for name, _, rdata in copy.iterate_rdatas("A")})
                serials.append(copy.get_soa().serial)
        finally:
            stop.set()
            writer.join()
        assert serials == sorted(serials)
        assert served(server, "ixfr", "incremental") >= len(set(serials)) - 1 > 1
        dns.query.inbound_xfr("127.0.0.1", copy, port=server.port, lifetime=10)
        eventually(lambda: serial_of(server) == copy.get_soa().serial or reload(server, copy), 5)
        assert records(copy) == records(transferred(server.port, APEX))


def reload(server, copy):
    dns.query.inbound_xfr("127.0.0.1", copy, port=server.port, lifetime=10)


def check_pairs(addresses):
    for pair in range(20):
        one, other = (addresses.get(f"{letter}{pair}.{APEX}.") for letter in "az")
        assert one == other, (pair, one, other)


def test_ixfr_over_udp_is_the_difference_or_the_soa_alone(etcd, store, prefix, tmp_path):
    with DnsServer(
        tmp_path, zones=zones(tmp_path, transfer=OPEN), etcd=etcd.endpoint, prefix=prefix
    ) as server:
        server.wait_ready()
        first = xfr(server.port)[0].answer[0][0].serial
        revision = put(store, prefix, {"a/x1": {"host": "10.0.0.1", "targetstrip": 1}})
        eventually(lambda: serial_of(server) == revision, 5)
        (reply,) = xfr(server.port, dns.rdatatype.IXFR, serial=first, udp=True)
        found = [rdata.to_text() for rrset in reply.answer for rdata in rrset if rrset.rdtype == 1]
        assert found == ["10.0.0.1"]
        (reply,) = xfr(server.port, dns.rdatatype.IXFR, serial=serial_of(server), udp=True)
        assert [rrset.rdtype for rrset in reply.answer] == [dns.rdatatype.SOA]
        revision = put(store, prefix, {f"n{i}/x1": {"host": address(i), "targetstrip": 1} for i in range(30)})
        eventually(lambda: serial_of(server) == revision, 5)
        (reply,) = xfr(server.port, dns.rdatatype.IXFR, serial=first, udp=True)
        assert [rdata.serial for rrset in reply.answer for rdata in rrset] == [serial_of(server)]
        assert served(server, "ixfr", "truncated") == 1
        assert xfr(server.port, udp=True)[0].rcode() == dns.rcode.REFUSED


def test_a_signed_notify_is_repeated_until_it_is_answered_and_changes_are_told_at_most_once_a_second(
    etcd, store, prefix, tmp_path
):
    key = dns.tsig.Key(KEY, SECRET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as secondary:
        secondary.bind(("127.0.0.1", 0))
        secondary.settimeout(5)
        port = secondary.getsockname()[1]
        text = zones(
            tmp_path,
            transfer="{allow: [{address: 127.0.0.1}], "
            f"notify: [{{address: '127.0.0.1:{port}', key: {KEY}}}]}}",
        )

        def take():
            octets, peer = secondary.recvfrom(65_535)
            notify = dns.message.from_wire(octets, keyring=key)
            assert (notify.opcode(), notify.had_tsig) == (dns.opcode.NOTIFY, True)
            assert notify.question[0].to_text() == f"{APEX}. IN SOA"
            return notify, peer

        def answer(notify, peer, ident=None, signed=True):
            response = dns.message.make_response(notify)
            if not signed:
                response.tsig, response.want_tsig_sign = None, False
            if ident is not None:
                response.id = ident
            secondary.sendto(response.to_wire(), peer)

        with DnsServer(tmp_path, zones=text, etcd=etcd.endpoint, prefix=prefix) as server:
            first, _ = take()
            began = time.monotonic()
            second, peer = take()
            assert 0.7 < time.monotonic() - began < 1.6
            assert first.id != second.id
            answer(second, peer, ident=second.id ^ 1)
            answer(second, peer, signed=False)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(dns.message.make_response(second).to_wire(), peer)
            began = time.monotonic()
            third, peer = take()
            assert 1.6 < time.monotonic() - began < 2.6, "none of the answers counted"
            answer(third, peer)
            server.wait_for("answers NOTIFY again", 2)
            told = []
            began = time.monotonic()
            secondary.settimeout(0.1)
            number = 0
            while time.monotonic() - began < 2.5:
                number += 1
                put(store, prefix, {"a/x1": {"host": address(number), "targetstrip": 1}})
                try:
                    notify, peer = take()
                except TimeoutError:
                    continue
                answer(notify, peer)
                told.append(notify.answer[0][0].serial)
            assert 2 <= len(told) <= 4
            assert told == sorted(set(told))
            assert server.metric("dnsserver_notifies_total") >= len(told) + 3
