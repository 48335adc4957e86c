"""What measures workers works; its figures are for a machine without other work."""

from contextlib import closing

import pytest

from tests.bench.run import filled_etcd
from tests.bench.servers import START_TIMEOUT
from tests.bench.workers import CLIENTS, QUEUED, Clients, Workers, report
from tests.bench.workload import SMALL
from tests.integration.tools import need_tool
from tests.programs import eventually


@pytest.mark.alone
def test_each_worker_answers_its_share_of_what_was_queued_while_they_were_stopped(tmp_path):
    need_tool("taskset")
    with (
        filled_etcd(SMALL) as etcd,
        Workers(tmp_path, etcd, 2) as two,
        closing(Clients(two)) as clients,
    ):
        eventually(two.is_ready, START_TIMEOUT)
        two.place()
        before = two.shares()
        assert 0.5 < clients.cost() < 5000
        shares = [after - earlier for earlier, after in zip(before, two.shares(), strict=True)]
    assert len(shares) == 2
    assert min(shares) > 0
    assert sum(shares) == 2 * CLIENTS * QUEUED


def test_the_gain_is_of_rounds_that_follow_each_other():
    text = report([4.0, 5.0, 9.0], [4.0, 5.0, 6.0], [1.0, 3.0])
    assert [line.split() for line in text.splitlines()[1:3]] == [
        ["1", "5.00", "200,000", "1.00"],
        ["2", "5.00", "400,000", "2.00"],
    ]
    assert text.endswith("25%, 75%")
