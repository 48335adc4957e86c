"""The query log with a real descriptor: what is written, and what is rather lost than waited for."""

import os
import time

import pytest

from dnsserver.querylog import log
from dnsserver.querylog.entry import coredns
from dnsserver.querylog.log import Choice, QueryLog
from tests.dnsserver.answer.test_respond import TABLE
from tests.dnsserver.support import responder
from tests.programs import eventually

CLIENT = bytes((127, 0, 0, 1)), 53


class Logged:
    """A responder whose queries are logged into a pipe."""

    def __init__(self, classes="all", sample=1, rate=0) -> None:
        self.end, descriptor = os.pipe()
        self.descriptor = descriptor
        self.log = QueryLog(Choice(classes, sample, rate), coredns, descriptor)
        respond = responder(TABLE).respond
        self.handle = self.log.around(lambda message, *_: respond(message), "udp")

    def ask(self, *names: str) -> None:
        for name in names:
            assert self.handle(make(name), *CLIENT)

    def names(self) -> list[str]:
        """Return the names in what is written until the end."""
        self.log.close()
        os.close(self.descriptor)
        with open(self.end, "rb") as file:
            return [line.split()[6].decode() for line in file]


def make(name: str) -> bytes:
    labels = b"".join(bytes((len(part),)) + part.encode() for part in name.split("."))
    return b"\0\7\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\1\0\1"


def test_every_query_has_a_line_in_order():
    logged = Logged()
    logged.log.start()
    asked = [f"n{number}.example." for number in range(500)]
    logged.ask(*asked)
    assert logged.names() == asked
    assert (logged.log.written, logged.log.lost, logged.log.limited) == (500, 0, 0)


def test_lines_are_written_while_nobody_asks_on():
    logged = Logged()
    logged.log.start()
    for number in range(3):
        logged.ask("www.example.")
        eventually(lambda number=number: logged.log.written == number + 1, 10)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [("success", ["www.example."]), ("denial", ["nope.example."]), ("error", ["x.test."])],
)
def test_only_the_class_asked_for_is_logged(classes, expected):
    logged = Logged(classes)
    logged.log.start()
    logged.ask("www.example.", "nope.example.", "x.test.")
    assert logged.names() == expected


def test_one_of_so_many_is_logged():
    logged = Logged(sample=10)
    logged.log.start()
    logged.ask(*["www.example."] * 95)
    assert len(logged.names()) == 9


def test_no_more_lines_a_second_are_written_than_allowed():
    logged = Logged(rate=100)
    logged.log.start()
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < 2.2:
        logged.ask("www.example.")
    lines = len(logged.names())
    assert 200 <= lines <= 100 * (took + 1)
    assert logged.log.limited > 0


def test_a_reader_who_does_not_read_costs_lines_and_delays_no_query():
    logged = Logged()
    logged.log.start()
    began = time.perf_counter()
    logged.ask(*["www.example."] * (log.QUEUE + 10_000))
    assert time.perf_counter() - began < 5
    assert len(logged.log._queue) <= log.QUEUE
    assert logged.log.lost > 0
    began = time.perf_counter()
    logged.log.close()
    assert time.perf_counter() - began < 5, "nor the end"
    os.close(logged.end)


def test_a_descriptor_that_is_gone_costs_lines_alone():
    logged = Logged()
    logged.log.start()
    os.close(logged.end)
    logged.ask(*["www.example."] * 10)
    eventually(lambda: logged.log.lost == 10, 10)


def test_what_comes_later_is_logged_when_it_comes():
    logged = Logged()
    logged.log.start()
    replies, sent = [], []
    handle = logged.log.around(lambda *_: replies.append, "tcp")
    query = make("late.example.")
    handle(query, *CLIENT)(sent.append)
    handle(make("never.example."), *CLIENT)(sent.append)
    answer = responder(TABLE).respond(query)
    replies[1](None)
    replies[0](answer)
    assert sent == [None, answer]
    assert logged.names() == ["late.example."]


def test_what_has_no_response_has_no_line():
    logged = Logged()
    logged.log.start()
    assert logged.handle(b"\0\7\x80" + bytes(9), *CLIENT) is None
    assert logged.names() == []
