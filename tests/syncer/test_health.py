import asyncio
import time
from contextlib import suppress

import pytest

from dnsserver.ops.http import Page
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Fence
from syncer.health import STUCK, Health
from syncer.metrics import Statistics


class Loop:
    def __init__(self) -> None:
        self.statistics, self.turned = Statistics(is_store_up=True), time.monotonic()


class Candidate:
    def __init__(self, fence=None, holder="", is_store_up=True) -> None:
        self.fence, self.holder, self.is_store_up = fence, holder, is_store_up


class Watch:
    def __init__(self, fault="") -> None:
        self.fault = fault


LEADING = Candidate(Fence(Key(b"/x"), 7), "me")


def health(loop=None, election=LEADING, unseen=()):
    return Health(loop or Loop(), 60.0, election, lambda: list(unseen))


def test_a_leader_is_ready_when_all_is_seen_and_etcd_answers():
    assert health().ready() == Page(200, b"OK\nleader: this one, term 7\n")


def test_one_that_stands_by_is_ready_too_and_names_the_leader():
    page = health(election=Candidate(holder="other")).ready()
    assert (page.status, page.body) == (200, b"OK\nleader: other; this one stands by\n")


@pytest.mark.parametrize(
    ("election", "unseen", "line"),
    [
        (LEADING, ["ingress"], b"not every ingress was seen yet"),
        (Candidate(holder="other", is_store_up=False), [], b"etcd is not available"),
        (Candidate(), [], b"nobody leads yet"),
    ],
)
def test_what_is_missing_is_said_and_makes_it_unready_but_not_dead(election, unseen, line):
    page = health(election=election, unseen=unseen).ready()
    assert page.status == 503
    assert line in page.body.splitlines()
    assert health(election=election, unseen=unseen).alive().status == 200


def test_a_leader_whose_last_write_failed_is_unready():
    loop = Loop()
    loop.statistics.is_store_up = False
    assert health(loop).ready().status == 503


def test_a_watch_that_was_lost_is_shown_and_its_known_objects_still_count():
    one = health()
    one.reflectors = (Watch(), Watch("ingresses are not watched: 403"))
    page = one.ready()
    assert page.status == 200
    assert b"ingresses are not watched: 403" in page.body.splitlines()


async def test_a_task_that_ended_makes_it_dead():
    running, ended = (asyncio.create_task(asyncio.sleep(pause)) for pause in (60, 0))
    one = health()
    one.tasks = {"watch 1 of 1": running}
    assert one.alive().status == 200
    await ended
    one.tasks = {"watch 1 of 1": running, "the election": ended}
    page = one.alive()
    assert (page.status, page.body) == (503, b"the election has stopped\n")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def test_a_loop_that_does_not_turn_makes_it_dead_long_after_any_call_has_ended():
    loop = Loop()
    loop.turned -= 60 + STUCK - 1
    assert health(loop).alive().status == 200
    loop.turned -= 2
    assert health(loop).alive().status == 503
