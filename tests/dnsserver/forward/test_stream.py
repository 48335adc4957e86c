"""Upstreams over TLS: only who the certificate is for, and one connection for many queries."""

import asyncio

import pytest

from dnsserver.config.forward import tls_context
from dnsserver.forward.question import Asked
from dnsserver.forward.stream import Tls
from dnsserver.forward.upstream import Upstream, UpstreamError
from dnsserver.wire import const
from dnsserver.wire.name import from_text
from tests.dnsserver.forward.upstreams import (
    Certificate,
    answer,
    certificate,
    honest,
    silent,
    upstream,
)
from tests.programs import until


def asked(number: int = 0) -> Asked:
    return Asked(from_text(f"n{number}.test."), const.A, False, False)


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("ours"), "DNS:dns.test", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("others"), "DNS:dns.test", "IP:127.0.0.1")


def over_tls(address, trusted: Certificate, name="dns.test", timeout=5.0) -> Upstream:
    tls = Tls(tls_context(str(trusted.file)), name)
    return Upstream(address, tls, lambda name: False, timeout=timeout, failures=100, interval=60)


@pytest.mark.parametrize("name", ["dns.test", "127.0.0.1"])
async def test_an_upstream_with_the_right_certificate_is_asked_over_tls_alone(ours, name):
    async with upstream(tls=ours.context()) as good:
        found = over_tls(good.address, ours, name)
        assert len((await found.ask(asked())).answer) == 1
        assert [seen.transport for seen in good.seen] == ["tcp"]
        found.close()


@pytest.mark.parametrize("name", ["other.test", "127.0.0.2"])
async def test_a_certificate_for_another_name_is_an_error_and_nothing_is_asked(ours, name):
    async with upstream(tls=ours.context()) as other:
        with pytest.raises(UpstreamError, match="certificate"):
            await over_tls(other.address, ours, name).ask(asked())
        assert not other.seen


async def test_a_certificate_of_another_authority_is_an_error_and_nothing_is_asked(ours, others):
    async with upstream(tls=others.context()) as other:
        with pytest.raises(UpstreamError, match="certificate"):
            await over_tls(other.address, ours).ask(asked())
        assert not other.seen


async def test_who_speaks_no_tls_is_an_error_and_nothing_is_asked(ours):
    async with upstream() as plain:
        with pytest.raises(UpstreamError):
            await over_tls(plain.address, ours, timeout=0.5).ask(asked())
        assert not plain.seen


async def test_many_queries_share_a_connection_and_each_gets_its_own_answer(ours):
    held: list[bytes] = []

    def all_at_last(query: bytes) -> list[bytes]:
        held.append(query)
        return [answer(one) for one in reversed(held)] if len(held) == 50 else []

    async with upstream(tcp=all_at_last, tls=ours.context()) as good:
        found = over_tls(good.address, ours)
        replies = await asyncio.gather(*(found.ask(asked(number)) for number in range(50)))
        assert [reply.answer[0][0] for reply in replies] == [asked(number).name for number in range(50)]
        assert len({seen.port for seen in good.seen}) == 1
        assert len({query[:2] for query in held}) == 50
        found.close()


async def test_a_connection_that_the_upstream_has_closed_is_made_again(ours):
    async with upstream(tls=ours.context()) as good:
        found = over_tls(good.address, ours)
        await found.ask(asked(1))
        good.hang_up()
        await found.ask(asked(2))
        assert len({seen.port for seen in good.seen}) == 2
        found.close()


async def test_a_response_to_another_question_is_waited_past(ours):
    async with upstream(tls=ours.context()) as liar:
        liar.tcp = lambda query: [
            answer(query.replace(b"\2n1", b"\2n2"), address="192.0.2.66"),
            bytes((query[0] ^ 1,)) + answer(query, address="192.0.2.66")[1:],
            answer(query),
        ]
        found = over_tls(liar.address, ours)
        assert (await found.ask(asked(1))).answer[0][1].rdatas == (b"\xc0\0\2\1",)
        found.close()


async def test_a_connection_gone_silent_is_given_up_and_a_slow_answer_is_not_the_end_of_others(ours):
    async with upstream(tls=ours.context()) as good:
        found = over_tls(good.address, ours, timeout=0.4)
        await found.ask(asked(1))
        good.tcp = lambda query: silent(query) if b"\2n2" in query else honest(query)
        slow = asyncio.create_task(found.ask(asked(2)))
        await until(lambda: len(good.seen) == 2)
        await found.ask(asked(3))
        with pytest.raises(UpstreamError):
            await slow
        await found.ask(asked(4))
        assert len({seen.port for seen in good.seen}) == 1
        with pytest.raises(UpstreamError):
            await found.ask(asked(2))
        await found.ask(asked(5))
        assert len({seen.port for seen in good.seen}) == 2
        found.close()


async def test_a_message_too_short_for_a_header_ends_the_connection(ours):
    async with upstream(tls=ours.context()) as mad:
        mad.tcp = lambda query: [b"\0\0\0"]
        found = over_tls(mad.address, ours)
        with pytest.raises(UpstreamError, match="closed"):
            await found.ask(asked())
