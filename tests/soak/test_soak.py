"""Under changes, reloads and crashes of etcd nothing grows, and no answer is wrong or missing."""

import pytest

from tests.soak.run import soak
from tests.soak.verdict import Row, Verdict


@pytest.mark.alone
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("minutes", [0.5, pytest.param(15, marks=pytest.mark.slow)])
def test_nothing_grows_and_nothing_is_wrong_or_lost(minutes):
    verdict = Verdict(minutes)
    for row in soak(minutes):
        print(row)
        verdict.add(row)
    assert verdict.failures() == []


GOOD = Row(
    minute=0,
    queries=100,
    retried=1,
    lost=0,
    wrong=[],
    slowest=0.1,
    updates=5,
    fresh=0.1,
    memory=100_000,
    descriptors=20,
)


def judged(minutes: float, *rows: Row) -> list[str]:
    verdict = Verdict(minutes)
    for number, row in enumerate(rows, 1):
        verdict.add(row._replace(minute=number * minutes / len(rows)))
    return verdict.failures()


GROWN = GOOD._replace(memory=102_000)


@pytest.mark.parametrize(
    ("minutes", "rows", "failures"),
    [
        (15, [GOOD] * 5, []),
        (15, [GOOD._replace(memory=50_000, descriptors=10)] + [GOOD] * 9, []),
        (15, [GOOD] * 4 + [GROWN._replace(memory=101_999)], []),
        (15, [GOOD] * 4 + [GROWN], ["memory grew by 2.0%, and may by 2%"]),
        (0.5, [GOOD] * 4 + [GROWN], []),
        (0.5, [GOOD] * 4 + [GOOD._replace(memory=110_001)], ["memory grew by 10.0%, and may by 10%"]),
        (
            1,
            [GOOD, GOOD, GOOD._replace(descriptors=21), GOOD, GOOD],
            ["20 files open after the warm-up, 21 after 0.6 minutes"],
        ),
        (1, [GOOD._replace(lost=1)] + [GOOD] * 4, ["1 of 500 queries lost"]),
        (1, [GOOD] * 4 + [GOOD._replace(wrong=["a: no"])], ["a: no"]),
        (1, [GOOD], ["it ended within the warm-up"]),
        (1, [], ["it ended within the warm-up"]),
    ],
)
def test_the_verdict_is_of_all_after_the_warm_up_and_of_every_query(minutes, rows, failures):
    assert judged(minutes, *rows) == failures
