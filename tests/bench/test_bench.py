"""The benchmark's parts work. What they measure on a machine with other work is nobody's yardstick."""

import pytest

from tests.bench.queries import HEADING, compare, main, running
from tests.bench.servers import BenchError, find_tool
from tests.bench.workload import MIXES, RECORDS, etcd_records
from tests.integration.tools import need_tool


@pytest.mark.alone
def test_mixes_are_driven_against_both_servers(tmp_path):
    for tool in ("knotd", "dnsperf", "taskset"):
        need_tool(tool)
    with running(tmp_path, etcd=False) as servers:
        results = list(compare(servers, MIXES[:2], tmp_path, rounds=1, seconds=0.3))
    for result, mix in zip(results, MIXES[:2], strict=True):
        assert result.mix == mix
        loads = [load for (load,) in result.loads.values()]
        assert all(load.answered > 100 and 0.5 < load.cpu < 500 for load in loads)
        assert len({load.octets for load in loads}) == 1
        assert [len(row) for row in result.rows()] == [len(HEADING)] * 2


def test_every_record_is_in_etcd_under_a_key_of_its_own():
    assert len(etcd_records()) == len(RECORDS)


def test_a_missing_program_is_told_in_one_line(monkeypatch, capsys):
    def missing(name):
        raise BenchError(f"missing tool: {name}")

    monkeypatch.setattr("tests.bench.queries.find_tool", missing)
    assert main([]) == 1
    assert capsys.readouterr().err == "bench: missing tool: knotd\n"


def test_a_program_that_is_nowhere_is_missing():
    with pytest.raises(BenchError, match="missing tool: no-such-program"):
        find_tool("no-such-program")
