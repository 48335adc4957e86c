"""The reflector against a scripted API, with a clock that only moves when someone sleeps."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.kube.informer import Informer
from syncer.kube.reflector import LAST_PAUSE, Reflector
from syncer.kube.resource import ApiGone, ApiUnavailable, Event, Page


def objects(informer):
    return [obj for _, obj in informer.items()]


class Done(Exception):
    """The script is over."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Script:
    """Answers calls from a list: an exception, a Page, a list of Events, or seconds that a watch lives."""

    title = "cheeses"

    def __init__(self, *answers, clock: Clock) -> None:
        self._answers, self._clock = list(answers), clock
        self.calls: list[str] = []

    def _next(self, call: str):
        self.calls.append(call)
        if not self._answers:
            raise Done
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def page(self, token: str) -> Page:
        return self._next(f"list {token}".strip())

    @asynccontextmanager
    async def watch(self, resource_version: str) -> AsyncIterator[AsyncIterator[Event]]:
        answer = self._next(f"watch {resource_version}")

        async def events() -> AsyncIterator[Event]:
            for event in answer if isinstance(answer, list) else ():
                if isinstance(event, Exception):
                    raise event
                yield event
            if isinstance(answer, float):
                self._clock.now += answer

        yield events()


def cheese(name: str, version: int = 1):
    return {"metadata": {"name": name, "namespace": "default", "resourceVersion": str(version)}}


def name_of(raw) -> str:
    return f"{raw['metadata']['name']}@{raw['metadata']['resourceVersion']}"


def page(*items, version="10", token="") -> Page:
    return Page(list(items), version, token)


async def reflect(*answers, changed: Callable[[], None] = lambda: None):
    clock = Clock()
    api = Script(*answers, clock=clock)
    informer = Informer(name_of, changed)
    with pytest.raises(Done):
        await Reflector(api, informer, clock=clock, sleep=clock.sleep).run()
    return informer, api, clock


async def test_pages_are_put_together_and_watched_from_their_version():
    informer, api, _ = await reflect(
        page(cheese("a"), token="t1"), page(cheese("b"), version="12"), [Event("ADDED", cheese("c", 13))]
    )
    assert sorted(objects(informer)) == ["a@1", "b@1", "c@13"]
    assert api.calls == ["list", "list t1", "watch 12", "watch 13"]


async def test_events_are_applied_and_a_bookmark_moves_the_version():
    informer, api, _ = await reflect(
        page(cheese("a"), cheese("b")),
        [
            Event("MODIFIED", cheese("a", 11)),
            Event("DELETED", cheese("b", 12)),
            Event("BOOKMARK", {"metadata": {"resourceVersion": "20"}}),
        ],
    )
    assert objects(informer) == ["a@11"]
    assert api.calls[-1] == "watch 20"


async def test_an_object_that_went_during_a_gap_is_gone_after_the_next_list():
    informer, api, _ = await reflect(
        page(cheese("a"), cheese("b")), [ApiGone("too old")], page(cheese("b"), version="30")
    )
    assert objects(informer) == ["b@1"]
    assert api.calls == ["list", "watch 10", "list", "watch 30"]


async def test_a_broken_watch_goes_on_where_it_stood_and_keeps_the_objects():
    informer, api, _ = await reflect(
        page(cheese("a")), [Event("ADDED", cheese("b", 11)), ApiUnavailable("unreachable", "reset")]
    )
    assert sorted(objects(informer)) == ["a@1", "b@11"]
    assert api.calls == ["list", "watch 10", "watch 11"]


async def test_an_expired_token_starts_the_list_again():
    informer, api, _ = await reflect(page(cheese("a"), token="t1"), ApiGone("expired"), page(cheese("b")))
    assert objects(informer) == ["b@1"]
    assert api.calls == ["list", "list t1", "list", "watch 10"]


async def test_nothing_counts_before_the_last_page():
    changes = []
    informer, _, _ = await reflect(
        page(cheese("a"), token="t1"), ApiUnavailable("403", "no"), changed=lambda: changes.append(1)
    )
    assert not informer.has_synced
    assert changes == []


async def test_watches_that_end_at_once_are_repeated_ever_more_slowly():
    _, api, clock = await reflect(page(), *[[] for _ in range(12)])
    assert len(api.calls) == 14
    assert clock.pauses[0] >= 0.25
    assert all(LAST_PAUSE / 2 <= pause <= LAST_PAUSE for pause in clock.pauses[-4:])


async def test_events_on_watches_that_end_at_once_do_not_make_it_hurry():
    _, _, clock = await reflect(page(), *[[Event("MODIFIED", cheese("a", n))] for n in range(10)])
    assert clock.pauses[-1] >= LAST_PAUSE / 2


async def test_a_watch_that_lived_is_followed_at_once_and_forgives():
    _, _, clock = await reflect(page(), [], [], [], 120.0, 120.0)
    assert len(clock.pauses) == 3
    _, _, clock = await reflect(page(), *[[] for _ in range(8)], 120.0, [])
    assert clock.pauses[-1] <= 0.5


async def test_failures_are_repeated_with_back_off_and_logged_once_each_way(caplog):
    caplog.set_level(logging.INFO)
    refused, unreachable = ApiUnavailable("403", "cheeses: HTTP 403"), ApiUnavailable("unreachable", "down")
    _, _, clock = await reflect(refused, refused, refused, unreachable, unreachable, page(), 120.0, refused)
    assert [(record.levelname, record.getMessage().split(";")[0]) for record in caplog.records] == [
        ("WARNING", "cheeses: HTTP 403"),
        ("WARNING", "down"),
        ("INFO", "cheeses are watched again"),
        ("WARNING", "cheeses: HTTP 403"),
    ]
    assert sum(clock.pauses[:5]) > 5


async def test_the_same_object_again_is_no_change():
    changes = []
    await reflect(page(cheese("a")), [Event("MODIFIED", cheese("a"))], changed=lambda: changes.append(1))
    assert len(changes) == 1


events = st.lists(
    st.tuples(st.sampled_from(["ADDED", "MODIFIED", "DELETED"]), st.sampled_from("abc"), st.integers(1, 5)),
    max_size=8,
)


@given(events, st.sampled_from("abc"))
def test_events_after_a_list_equal_a_list_of_the_final_state(happened, listed):
    final = {listed: cheese(listed)}
    for type_, name, version in happened:
        final.pop(name, None) if type_ == "DELETED" else final.update({name: cheese(name, version)})
    stream = [Event(type_, cheese(name, version)) for type_, name, version in happened]
    watched, _, _ = asyncio.run(reflect(page(cheese(listed)), stream))
    replaced, _, _ = asyncio.run(reflect(page(*final.values())))
    assert sorted(objects(watched)) == sorted(objects(replaced))


async def test_an_outage_counts_from_the_last_sign_of_life_until_the_watch_stands_again():
    clock = Clock()
    down = ApiUnavailable("unreachable", "down")
    api = Script(page(), 100.0, [Event("ADDED", cheese("a")), down], down, down, [], clock=clock)
    reflector = Reflector(api, Informer(name_of, lambda: None), clock=clock, sleep=clock.sleep)
    with pytest.raises(Done):
        await reflector.run()
    assert reflector.outage == pytest.approx(sum(clock.pauses[:3]))
    assert reflector.fault == ""
    assert clock.now > 100


async def test_an_outage_that_lasts_grows_and_says_what_is_wrong():
    clock = Clock()
    api = Script(page(), ApiUnavailable("403", "no"), clock=clock)
    reflector = Reflector(api, Informer(name_of, lambda: None), clock=clock, sleep=clock.sleep)
    with pytest.raises(Done):
        await reflector.run()
    clock.now += 500
    assert reflector.outage >= 500
    assert reflector.fault == "cheeses are not watched: 403"
