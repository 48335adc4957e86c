"""What becomes of a question, whatever upstreams do: the right answer, or a failure in bounded time."""

import asyncio
import os
import resource
import socket
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from dnsserver.forward.cache import Cache, Entry
from dnsserver.forward.question import Asked, query, question_end
from dnsserver.forward.resolver import Resolver
from dnsserver.forward.response import Limits, reply_of
from dnsserver.forward.upstream import Upstream
from dnsserver.wire import const
from dnsserver.wire.name import from_text
from tests.dnsserver.forward.upstreams import (
    answer,
    failing,
    honest,
    referring,
    silent,
    truncating,
    upstream,
)
from tests.programs import until
from tools.embedded_etcd import free_port

ASKED = Asked(from_text("www.a-name-with-many-letters.test."), const.A, False, False)
TIMEOUT = 0.4
"""Seconds, where a test is about waiting; else it is long."""
LIMITS = Limits(3600, 900, 5)


@pytest.fixture
def faults():
    """Those that were told."""
    return []


@pytest.fixture
async def resolver(faults):
    """Makes a Resolver of addresses."""
    made = []

    def make(*addresses, timeout=4.0, deadline=9.0, failures=100, max_in_flight=1000):
        timing = {"timeout": timeout, "failures": failures, "interval": 0.05}
        upstreams = [Upstream(address, None, is_ours, **timing) for address in addresses]
        cache = Cache(1 << 20)
        bounds = {"deadline": deadline, "max_in_flight": max_in_flight}
        found = Resolver(upstreams, cache, LIMITS, **bounds, on_fault=faults.append)
        made.append(found)
        return found

    yield make
    for found in made:
        found.close()
        for one in found.upstreams:
            one.close()


def is_ours(name: bytes) -> bool:
    return name.endswith(b"\3k8s\5local\0")


def other(number: int) -> Asked:
    return ASKED._replace(name=from_text(f"n{number}.test."))


async def resolve(resolver: Resolver, asked: Asked = ASKED) -> Entry:
    done = asyncio.get_running_loop().create_future()
    assert resolver.resolve(asked, lambda entry, age: done.set_result(entry))
    return await asyncio.wait_for(done, 10)


def address_in(entry: Entry) -> str | None:
    """Return the address at the end of an entry; None in a failure."""
    return None if entry.rcode == const.SERVFAIL else socket.inet_ntoa(entry.body[-4:])


def kept(resolver: Resolver) -> list[tuple[Asked, int]]:
    return [(asked, entry.rcode) for asked, entry in resolver.cache._entries.items()]


async def test_an_honest_upstream_is_asked_once_and_its_answer_kept(resolver):
    async with upstream() as good:
        found = resolver(good.address)
        assert found.known(ASKED) is None
        entry = await resolve(found)
        assert address_in(entry) == "192.0.2.1"
        known, age = found.known(ASKED)
        assert known is entry
        assert 0 <= age < 5
        assert len(good.seen) == 1
        assert (found.misses, found.hits) == (1, {False: 1, True: 0})


def renamed(message: bytes) -> bytes:
    octets = bytearray(message)
    octets[13] ^= 1
    return bytes(octets)


def retyped(message: bytes) -> bytes:
    at = question_end(ASKED.name) - 3
    return message[:at] + b"\2" + message[at + 1 :]


LIES = {
    "another id": lambda message: bytes((message[0] ^ 1,)) + message[1:],
    "another name": renamed,
    "another type": retyped,
    "a query": lambda message: message[:2] + bytes((message[2] & 0x7F,)) + message[3:],
    "another opcode": lambda message: message[:2] + bytes((message[2] | 0x28,)) + message[3:],
    "a header": lambda message: message[:12],
    "octets": lambda message: b"\xff" * 700,
    "nothing": lambda message: b"",
}


def poisoned(query: bytes) -> bytes:
    return answer(query, address="192.0.2.66")


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_lie_is_ignored_and_the_answer_behind_it_taken(resolver, lie):
    async with upstream(lambda query: [lie(poisoned(query))] * 20 + [answer(query)]) as liar:
        found = resolver(liar.address)
        assert address_in(await resolve(found)) == "192.0.2.1"
        assert kept(found) == [(ASKED, const.NOERROR)]


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_nothing_but_lies_is_a_failure_in_time_and_nothing_of_it_is_kept(resolver, lie):
    async with upstream(lambda query: [lie(poisoned(query))]) as liar:
        found = resolver(liar.address, timeout=TIMEOUT)
        began = time.monotonic()
        assert address_in(await resolve(found)) is None
        assert time.monotonic() - began < 2 * TIMEOUT + 1
        assert kept(found) == [(ASKED, const.SERVFAIL)]


async def test_an_answer_from_another_port_is_not_received(resolver):
    async with upstream(silent) as quiet, upstream() as other:
        found = resolver(quiet.address, timeout=TIMEOUT)

        def forward_to_other(query: bytes) -> list[bytes]:
            other._datagrams.sendto(poisoned(query), ("127.0.0.1", quiet.seen[-1].port))
            return []

        quiet.udp = forward_to_other
        assert address_in(await resolve(found)) is None
        quiet.udp = lambda query: [*forward_to_other(query), answer(query)]
        assert address_in(await resolve(found)) == "192.0.2.1"


async def test_who_floods_with_guesses_makes_us_ask_over_tcp(resolver):
    def guesses(query: bytes) -> list[bytes]:
        return [bytes((ident, ident)) + poisoned(query)[2:] for ident in range(120) if query[0] != ident]

    async with upstream(guesses) as flooded:
        found = resolver(flooded.address)
        assert address_in(await resolve(found)) == "192.0.2.1"
        assert len(flooded.over("tcp")) == 1


async def test_an_answer_that_spells_the_name_otherwise_is_asked_for_again_over_tcp(resolver):
    async with upstream(lambda query: [poisoned(query[:12] + query[12:].lower())]) as folding:
        found = resolver(folding.address)
        assert address_in(await resolve(found)) == "192.0.2.1"
        assert [seen.transport for seen in folding.seen] == ["udp", "tcp"]


async def test_ids_ports_and_spellings_are_new_for_each_query(resolver):
    async with upstream() as good:
        found = resolver(good.address)
        for number in range(40):
            await resolve(found, ASKED._replace(type=300 + number))
        assert len({seen.query[:2] for seen in good.seen}) >= 39
        assert len({seen.port for seen in good.seen}) >= 38
        assert len({seen.query[12:40] for seen in good.seen}) == 40


async def test_a_truncated_answer_is_asked_for_over_tcp(resolver):
    async with upstream(truncating) as cutting:
        found = resolver(cutting.address)
        assert address_in(await resolve(found)) == "192.0.2.1"
        assert [seen.transport for seen in cutting.seen] == ["udp", "tcp"]


async def test_a_huge_answer_comes_whole_over_tcp(resolver):
    message = dns.message.make_response(dns.message.from_wire(query(ASKED, 0, ASKED.name)))
    addresses = [f"10.{number >> 8}.{number & 255}.1" for number in range(4000)]
    message.answer = [dns.rrset.from_text(message.question[0].name, 300, "IN", "A", *addresses)]
    octets = message.to_wire(max_size=65_535)

    def huge(query: bytes) -> list[bytes]:
        return [query[:2] + octets[2:]]

    async with upstream(truncating, huge) as big:
        entry = await resolve(resolver(big.address))
        ((_, rrset),) = reply_of(ASKED, entry, 0).answer
        assert len(rrset.rdatas) == 4000


@pytest.mark.parametrize(
    "says",
    [
        silent,
        truncating,
        failing(dns.rcode.SERVFAIL),
        failing(dns.rcode.REFUSED),
        failing(dns.rcode.FORMERR),
        failing(dns.rcode.NOTIMP),
        referring,
        lambda query: [answer(query)[:-7]],
        lambda query: [answer(query)[:12] + query[12:-11]],
    ],
    ids=[
        "silent",
        "cut, and silent over TCP",
        "SERVFAIL",
        "REFUSED",
        "FORMERR",
        "NOTIMP",
        "a referral",
        "broken",
        "counts lie",
    ],
)
async def test_where_one_upstream_fails_the_next_is_asked(resolver, says):
    async with upstream(says, silent) as bad, upstream() as good:
        found = resolver(bad.address, good.address, timeout=TIMEOUT)
        began = time.monotonic()
        assert address_in(await resolve(found)) == "192.0.2.1"
        assert time.monotonic() - began < TIMEOUT + 1
        assert len(bad.over("udp")) == 1


async def test_where_nobody_listens_the_next_is_asked_at_once(resolver):
    async with upstream() as good:
        found = resolver(good.address._replace(port=free_port()), good.address)
        began = time.monotonic()
        assert address_in(await resolve(found)) == "192.0.2.1"
        assert time.monotonic() - began < 2


async def test_a_slow_upstream_costs_its_timeout_and_all_of_them_the_deadline(resolver):
    async with upstream() as one, upstream() as two:
        one.delay = two.delay = 30
        found = resolver(one.address, two.address, timeout=TIMEOUT, deadline=2.5 * TIMEOUT)
        began = time.monotonic()
        assert address_in(await resolve(found)) is None
        took = time.monotonic() - began
        assert 2.5 * TIMEOUT <= took < 2.5 * TIMEOUT + 1
        assert [len(one.seen), len(two.seen)] == [2, 1]


async def test_a_datagram_that_was_lost_is_sent_again(resolver):
    async with upstream(silent) as lossy:
        lossy.udp = lambda query: [] if len(lossy.seen) == 1 else honest(query)
        assert address_in(await resolve(resolver(lossy.address, timeout=TIMEOUT))) == "192.0.2.1"


async def test_a_failure_is_kept_for_seconds_so_that_nobody_is_asked_again(resolver):
    async with upstream(failing(dns.rcode.SERVFAIL)) as bad:
        found = resolver(bad.address)
        await resolve(found)
        entry, _ = found.known(ASKED)
        assert (entry.rcode, entry.expires - entry.stored) == (const.SERVFAIL, 5)
        assert len(bad.seen) == 1


@pytest.mark.parametrize("ttl", [0, 2**31])
async def test_an_answer_without_a_ttl_is_given_and_not_kept(resolver, ttl):
    def says(query: bytes) -> list[bytes]:
        octets = answer(query, ttl=7)
        return [octets.replace(b"\0\1\0\1\0\0\0\7", b"\0\1\0\1" + ttl.to_bytes(4, "big"))]

    async with upstream(says) as careless:
        found = resolver(careless.address)
        entry = await resolve(found)
        assert address_in(entry) == "192.0.2.1"
        assert [rrset.ttl for _, rrset in reply_of(ASKED, entry, 0).answer] == [0]
        assert kept(found) == []


async def test_what_was_not_asked_is_neither_given_nor_kept(resolver):
    def says(query: bytes) -> list[bytes]:
        message = dns.message.from_wire(answer(query))
        poison = dns.rrset.from_text("bank.test.", 86_400, "IN", "A", "192.0.2.66")
        message.answer.append(poison)
        message.authority.append(dns.rrset.from_text("test.", 86_400, "IN", "NS", "bank.test."))
        message.additional.append(poison)
        return [message.to_wire()]

    async with upstream(says) as sly:
        found = resolver(sly.address)
        entry = await resolve(found)
        assert address_in(entry) == "192.0.2.1"
        assert b"bank" not in entry.body
        assert kept(found) == [(ASKED, const.NOERROR)]


async def test_who_asks_the_same_at_a_time_waits_for_one_query(resolver):
    async with upstream() as good:
        good.delay = 0.1
        found = resolver(good.address)
        with_do = ASKED._replace(dnssec_ok=True)
        entries = await asyncio.gather(*[resolve(found) for _ in range(50)], resolve(found, with_do))
        assert {address_in(entry) for entry in entries} == {"192.0.2.1"}
        assert len(good.seen) == 2
        assert sorted(
            bool(dns.message.from_wire(seen.query).ednsflags & dns.flags.DO) for seen in good.seen
        ) == [
            False,
            True,
        ]


async def test_more_than_may_wait_are_turned_away_and_room_is_made_again(resolver):
    async with upstream() as good:
        good.delay = 0.1
        found = resolver(good.address, max_in_flight=3)
        waiting = [asyncio.create_task(resolve(found)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not found.resolve(ASKED, lambda entry, age: None)
        assert not found.resolve(other(1), lambda entry, age: None)
        assert found.rejected == 2
        await asyncio.gather(*waiting)
        assert address_in(await resolve(found)) == "192.0.2.1"


async def test_an_upstream_that_fails_is_left_out_until_it_answers_a_probe(resolver):
    async with upstream(silent) as first, upstream() as second:
        found = resolver(first.address, second.address, timeout=TIMEOUT, failures=2)
        for number in (1, 2):
            await resolve(found, other(number))
        assert [one.health.is_down for one in found.upstreams] == [True, False]
        before = len(first.seen)
        assert address_in(await resolve(found)) == "192.0.2.1"
        names = {dns.message.from_wire(seen.query).question[0].name for seen in first.seen[before:]}
        assert all(len(name.labels) == 2 for name in names)
        await until(lambda: found.upstreams[0].health.failed_probes)
        first.udp = honest
        await until(lambda: not found.upstreams[0].health.is_down)
        before = len(second.seen)
        await resolve(found, other(3))
        assert len(second.seen) == before


async def test_where_all_upstreams_are_left_out_all_are_asked(resolver):
    async with upstream(silent) as one, upstream(silent) as two:
        found = resolver(one.address, two.address, timeout=TIMEOUT, failures=1)
        assert address_in(await resolve(found)) is None
        assert [each.health.is_down for each in found.upstreams] == [True, True]
        two.udp = honest
        assert address_in(await resolve(found, ASKED._replace(checking_disabled=True))) == "192.0.2.1"


async def test_a_fault_here_is_told_and_a_failure_for_all_who_wait(resolver, faults, monkeypatch):
    async with upstream() as good:
        found = resolver(good.address)
        monkeypatch.setattr(found.upstreams[0], "ask", lambda asked: 1 / 0)
        entries = await asyncio.gather(resolve(found), resolve(found))
        assert [address_in(entry) for entry in entries] == [None, None]
        assert [type(fault) for fault in faults] == [ZeroDivisionError]


async def test_a_fault_of_one_who_waits_is_told_and_costs_the_others_nothing(resolver, faults):
    async with upstream() as good:
        found = resolver(good.address)
        assert found.resolve(ASKED, lambda entry, age: 1 / 0)
        assert address_in(await asyncio.wait_for(resolve(found), 5)) == "192.0.2.1"
        assert [type(fault) for fault in faults] == [ZeroDivisionError]


async def test_where_there_is_no_file_descriptor_left_no_upstream_is_blamed(resolver):
    async with upstream() as good:
        found = resolver(good.address, failures=1)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.close(free := os.dup(0))  # the lowest that is free
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            assert address_in(await resolve(found)) is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert not found.upstreams[0].health.is_down
        assert address_in(await resolve(found, other(1))) == "192.0.2.1"
