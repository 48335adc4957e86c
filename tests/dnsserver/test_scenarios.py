"""Behaviour as data: tests/scenarios/*.yaml, each case in memory and again over real UDP and TCP.

A file has `zones` as in the zone YAML, `skydns` (keys below the prefix with their values) and `cases`:

    ask: NAME TYPE [CLASS] [rd ad cd aa tc ra z] [edns[=SIZE] do version=N option=CODE:HEX opcode=N]
    raw: hexadecimal octets, instead of `ask`
    reply: RCODE [aa tc rd] [edns do ede=CODE] [header], or `none`; flags not named must be clear
    answer, authority, additional: RRs as `NAME TTL TYPE [DATA]`, left out: empty

Without DATA any will do. `header` is a response without the question. A case may have `udp` or `tcp` with
what differs there, or `only: udp`. Every response must also echo the id, the opcode and the question
octet for octet, have its OPT record exactly where `edns` says so, and fit its transport.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest
import yaml

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key, prefix_of
from dnsserver.skydns.store import Store
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.support import NO_ETCD, filled, lines, parsed, responder, table_of
from tests.programs import DnsServer
from tools.embedded_etcd import EmbeddedEtcd

DIRECTORY = Path(__file__).parent.parent / "scenarios"
TRANSPORTS = ("udp", "tcp")
FLAGS = {flag: getattr(dns.flags, flag.upper()) for flag in ("aa", "tc", "rd", "ra", "ad", "cd")} | {
    "z": 0x40
}


class Case(NamedTuple):
    file: Path
    body: dict[str, Any]
    transport: str

    @property
    def query(self) -> bytes:
        return bytes.fromhex(self.body["raw"]) if "raw" in self.body else asked(self.body["ask"])

    def expected(self) -> dict[str, Any]:
        return {**self.body, **self.body.get(self.transport, {})}


def asked(text: str) -> bytes:
    """Return the query of an `ask` line."""
    name, kind, *words = text.split()
    classes = [words.pop(0)] if words and words[0].isupper() else ["IN"]
    options = dict(word.partition("=")[::2] for word in words if not word.startswith("option="))
    message = dns.message.make_query(name, kind, classes[0], flags=0, id=0x1234)
    message.flags = sum(FLAGS[word] for word in options if word in FLAGS)
    message.set_opcode(dns.opcode.Opcode(int(options.get("opcode", 0))))
    if {"edns", "do", "version"} & options.keys() or "option=" in text:
        codes = [
            word.removeprefix("option=").partition(":")[::2] for word in words if word.startswith("option=")
        ]
        message.use_edns(
            int(options.get("version", 0)),
            dns.flags.DO if "do" in options else 0,
            int(options.get("edns") or 1232),
            options=[dns.edns.GenericOption(int(code), bytes.fromhex(data)) for code, data in codes],
        )
    return message.to_wire()


def documents() -> dict[Path, dict[str, Any]]:
    return {file: yaml.safe_load(file.read_text("utf-8")) for file in sorted(DIRECTORY.glob("*.yaml"))}


DOCUMENTS = documents()
CASES = [
    pytest.param(Case(file, body, transport), id=f"{file.stem}-{body['id']}-{transport}")
    for file, document in DOCUMENTS.items()
    for body in document["cases"]
    for transport in (TRANSPORTS if "only" not in body else (body["only"],))
]


def test_case_ids_are_unique_in_a_file():
    for document in DOCUMENTS.values():
        ids = [body["id"] for body in document["cases"]]
        assert len(ids) == len(set(ids)), ids


@pytest.mark.parametrize("case", CASES)
def test_scenario_in_memory(case: Case):
    served = responder(table_in_memory(case.file), case.transport)
    for way in (served.slow, served.respond, served.respond):
        check(case, way(case.query))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_scenarios_of_a_file_one_after_the_other_in_memory(file: Path, transport: str):
    """What one question leaves compiled must not show in the answer to another."""
    table = table_in_memory(file)
    served = responder(table, transport)
    cases = [found for case in CASES if (found := case.values[0])[::2] == (file, transport)]
    for case in cases * 2:
        check(case, served.respond(case.query))


def table_in_memory(file: Path) -> ZoneTable:
    document = DOCUMENTS[file]
    if "skydns" in document:
        return filled(document["zones"], document["skydns"])
    return table_of(document["zones"], etcd=NO_ETCD if document.get("etcd") == "down" else "")


class Running:
    """The server process of one file at a time."""

    def __init__(self, etcd: str, directory: Path) -> None:
        self._etcd, self._directory = etcd, directory
        self._file: Path | None = None
        self._stack = ExitStack()

    def server(self, file: Path) -> DnsServer:
        if file != self._file:
            self._stack.close()
            self._server = self._stack.enter_context(self._start(file, DOCUMENTS[file]))
            self._file = file
        return self._server

    def _start(self, file: Path, document: dict[str, Any]) -> DnsServer:
        prefix, etcd = f"/{file.stem}/skydns", ""
        if document.get("etcd") == "down":
            etcd = NO_ETCD
        elif "skydns" in document:
            etcd = self._etcd
            with closing(Store(EtcdAddress(endpoints=(etcd,)))) as store:
                for path, value in document["skydns"].items():
                    key = Key(prefix_of(prefix) + path.encode())
                    store.commit(puts={key: value.encode()}, deletes=(), expected={})
        zones = yaml.safe_dump({"zones": document["zones"]})
        server = DnsServer(self._directory, zones=zones, etcd=etcd, prefix=prefix)
        if etcd != NO_ETCD:
            server.wait_ready()
        return server

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def running(etcd: EmbeddedEtcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with closing(Running(etcd.endpoint, tmp_path_factory.mktemp("scenarios"))) as processes:
        yield processes


PROBE = bytes.fromhex("aaaa 0000 0001 0000 0000 0000 00 0001 0001")
"""A query that always has a response, sent behind each case: where it comes first, the case has none."""


@pytest.mark.parametrize("case", CASES)
def test_scenario_over_sockets(case: Case, running: Running):
    port = running.server(case.file).port
    send = over_udp if case.transport == "udp" else over_tcp
    replies = send(port, (case.query, PROBE))
    assert not replies or replies[-1][:2] == PROBE[:2] or case.expected()["reply"] != "none"
    check(case, next((reply for reply in replies if reply[:2] != PROBE[:2]), None))


def over_udp(port: int, queries: tuple[bytes, ...]) -> list[bytes]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        for query in queries:
            sock.send(query)
        replies = [sock.recv(65_535)]
        while replies[-1][:2] != PROBE[:2]:
            replies.append(sock.recv(65_535))
        return replies


def over_tcp(port: int, queries: tuple[bytes, ...]) -> list[bytes]:
    """Return the responses until the server closes, which it does when it has answered all."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(b"".join(len(query).to_bytes(2, "big") + query for query in queries))
        sock.shutdown(socket.SHUT_WR)
        octets = b"".join(iter(lambda: sock.recv(65_535), b""))
    replies = []
    while octets:
        length = 2 + int.from_bytes(octets[:2], "big")
        replies.append(octets[2:length])
        octets = octets[length:]
    return replies


def check(case: Case, reply: bytes | None) -> None:
    expected, query = case.expected(), case.query
    if expected["reply"] == "none":
        assert reply is None
        return
    assert reply is not None
    rcode, *words = expected["reply"].split()
    response = parsed(reply)
    text = response.to_text()
    assert dns.rcode.to_text(response.rcode()) == rcode, text
    assert reply[:2] == query[:2]
    assert reply[2] & 0x78 == query[2] & 0x78, "the opcode comes back"
    flags = {name for name, bit in FLAGS.items() if response.flags & bit}
    assert flags == set(words) & FLAGS.keys(), text
    if "header" in words:
        assert len(reply) == 12 + 11 * ("edns" in words), text
    else:
        end = end_of_question(query)
        assert (reply[4:6], reply[12:end]) == (b"\0\1", query[12:end]), text
    assert len(reply) <= limit_of(query, case.transport)
    assert (response.edns == 0) == ("edns" in words), text
    if "edns" in words:
        assert response.payload == 1232
        assert response.ednsflags & 0xFFFF == (dns.flags.DO if "do" in words else 0)
        errors = [f"ede={int(getattr(option, 'code', -1))}" for option in response.options]
        assert errors == [word for word in words if word.startswith("ede=")], text
    for name in ("answer", "authority", "additional"):
        compare(lines(getattr(response, name)), expected.get(name, []), text)


def end_of_question(query: bytes) -> int:
    at = 12
    while query[at]:
        at += query[at] + 1
    return at + 5


def limit_of(query: bytes, transport: str) -> int:
    if transport == "tcp":
        return 65_535
    try:
        message = dns.message.from_wire(query, ignore_trailing=True)
    except dns.exception.DNSException:
        return 512
    return min(max(message.payload, 512), 1232) if message.edns >= 0 else 512


def compare(found: list[str], expected: list[str], text: str) -> None:
    """Compare RRs; within an RRset any order will do, RRsets stand in order."""
    wanted = [normal(line) for line in expected]
    trimmed = [" ".join(line.split(" ")[:4]) for line in found]
    heads = [" ".join(line.split(" ")[:4]) for line in wanted]
    assert list(dict.fromkeys(trimmed)) == list(dict.fromkeys(heads)), text
    bare = {line for line in wanted if line.count(" ") == 3}
    assert sorted(
        head if head in bare else line for head, line in zip(trimmed, found, strict=True)
    ) == sorted(wanted), text


def normal(line: str) -> str:
    """Return an expected RR as dnspython writes it; without data only owner, TTL, class and type."""
    name, ttl, kind, *data = line.split(maxsplit=3)
    if not data:
        return f"{name} {ttl} IN {kind}"
    return dns.rrset.from_text(name, int(ttl), "IN", kind, *data).to_text()
