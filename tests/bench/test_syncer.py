"""The benchmark of syncer works, with limits that hold on a machine with other work."""

from tests.bench.syncer import HEADING, measure, report


async def test_changes_arrive_while_hundreds_of_ingresses_exist():
    figures = await measure(300, idle=5, rate=20, seconds=2)
    assert (len(figures.idle.latencies), len(figures.busy.latencies)) == (5, 40)
    assert sorted(figures.idle.latencies)[2] < 2
    assert max(figures.busy.latencies) < 20
    assert figures.resident < 200 * 1024
    lines = list(report(figures))
    assert len(lines[1]) == len(HEADING)
    assert lines[3].startswith("first sync of 300 Ingresses: ")
