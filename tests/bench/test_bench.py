"""The benchmark's parts work. What they measure on a machine with other work is nobody's yardstick."""

import re
import urllib.request

import pytest

from tests.bench import report
from tests.bench.__main__ import DELAY, main
from tests.bench.peers import Dnsserver
from tests.bench.results import HEADING, Results, Row, joined
from tests.bench.run import Effort, filled_etcd, groups, measure, measured, running
from tests.bench.servers import BenchError, Server, find_tool
from tests.bench.updates import delay, updating
from tests.bench.workload import LARGE, MIXES, SMALL
from tests.integration.tools import need_tool

MIX = {mix.name: mix for mix in MIXES}
COSTS = {"knot": 2.0, "plain": 3.0, "dnsserver": 4.0}


@pytest.mark.alone
def test_mixes_are_driven_against_all_servers_side_by_side_started_anew_each_round(tmp_path, monkeypatch):
    for tool in ("knotd", "nsd", "dnsperf", "gcc", "taskset"):
        need_tool(tool)
    started: list[str] = []
    enter = Server.__enter__
    monkeypatch.setattr(Server, "__enter__", lambda server: started.append(server.name) or enter(server))
    results, mixes = Results(tmp_path / "results"), [MIX["hot"], MIX["updates"], MIX["connections"]]
    for mix, rows in measured(SMALL, "", mixes, Effort(rounds=2, seconds=0.1)):
        results.replace(mix, rows)
    assert [mix for mix, _ in results.measured()] == mixes
    for mix, rows in results.measured():
        assert {"knot", "nsd", "dnsserver"} <= rows.keys()
        assert mix.floor or "floor" not in rows
        assert all(
            row.rate > 0 and 0.5 < cpu < 2000 for row in rows.values() for turns in row.cpu for cpu in turns
        )
        assert all(len(row.cpu) == 2 and row.p50 for row in rows.values())
        assert len({row.octets for row in rows.values() if row.server != "bind"}) == 1
    assert results.of(MIX["updates"])["dnsserver"].updates > 0
    assert started.count("dnsserver") == started.count("knot") == 2


@pytest.mark.alone
def test_how_soon_a_change_is_served_is_measured(tmp_path):
    need_tool("taskset")
    with filled_etcd(SMALL) as etcd, Dnsserver(tmp_path, SMALL, etcd) as server:
        assert 0 < delay(server, etcd, samples=3).p50 < 5000


@pytest.mark.alone
def test_settings_are_measured_beside_the_server_without_them(tmp_path):
    for tool in ("knotd", "dnsperf", "gcc", "taskset"):
        need_tool(tool)
    mix = MIX["forward"]
    with filled_etcd(SMALL) as etcd, running(tmp_path, SMALL, etcd, settings=mix.settings) as servers:
        rows = measure(servers, etcd, mix, tmp_path / "queries", 0.1)
        assert isinstance(servers[-1], Dnsserver)
        with urllib.request.urlopen(f"http://{servers[-1].pages}/metrics", timeout=10) as reply:
            metrics = reply.read().decode()
    assert [row.server for row in rows] == ["knot", "plain", "dnsserver"]
    assert "forward" not in (tmp_path / "plain" / "zone.yaml").read_text()
    assert re.search(r"^coredns_cache_misses_total 0\.0$", metrics, re.MULTILINE)


def test_a_mix_that_is_measured_again_replaces_its_rows_in_the_file(tmp_path):
    results = Results(tmp_path / "results")
    old = [Row(mix, "knot", [[1.0]], 1, 0, 55) for mix in ("hot", "tcp")]
    for row in old:
        results.replace(MIX[row.mix], [row])
    new = [
        Row("hot", "knot", [[2.0], [4.0], [5.0]], 9, 0, 55),
        Row("hot", "dnsserver", [[3.0], [4.0], [4.0]], 9, 0, 55),
    ]
    results.replace(MIX["hot"], new)
    again = Results(tmp_path / "results")
    assert sorted(again.rows) == sorted([old[1], *new])
    assert again.ratio(new[1]) == 1.0
    assert len(again.line(new[1])) == len(HEADING)


def test_rounds_of_a_mix_are_joined_with_the_last_ones_latencies():
    first = Row("hot", "knot", [[2.0]], 10, 1, 55, None, None, 900)
    rows = [
        first,
        first._replace(cpu=[[4.0]], rate=30),
        first._replace(cpu=[[3.0]], rate=20, p50=1.0, p99=2.0),
    ]
    assert joined(rows) == Row("hot", "knot", [[2.0], [4.0], [3.0]], 20, 3, 55, 1.0, 2.0, 900)


def test_the_least_and_the_largest_ratio_are_told_of_ours(tmp_path):
    results = Results(tmp_path / "results")
    rows = [
        Row("hot", "knot", [[2.0], [2.0], [4.0]], 9, 0, 55),
        Row("hot", "dnsserver", [[3.0], [2.0], [5.0]], 9, 0, 55),
    ]
    results.replace(MIX["hot"], rows)
    assert "| 3.00 (1.25; 1.00–1.50) | 2.00 |\n" in report.tables(results)


def test_tables_have_a_line_for_each_mix_and_a_column_for_each_server(tmp_path):
    results = Results(tmp_path / "results")
    results.replace(
        MIX["hot"], [Row("hot", "knot", [[2.0]], 9, 0, 55), Row("hot", "dnsserver", [[3.0]], 9, 7, 55)]
    )
    results.delays["idle"] = [1.0, 2.0, 3.0]
    text = report.tables(results)
    assert "| 10 000 names | ≤ 1.00 | 3.00 (1.50) | 2.00 |\n" in text
    assert "7 lost" in text
    settings = [Row("forward", name, [[cost]], 9, 0, 55) for name, cost in COSTS.items()]
    results.replace(MIX["forward"], settings)
    assert "| 4.00 (2.00; plain × 1.33) | 3.00 (1.50) | 2.00 |\n" in report.tables(results)
    assert results.line(settings[2]).split()[2:5] == ["4.00", "2.00", "1.33"]
    assert "| idle | 1.00 | 2.00 | 3.00 |\n" in text


def test_servers_are_started_once_for_all_mixes_that_they_serve_alike():
    found = list(groups(MIXES))
    assert [world for world, _, _ in found] == [SMALL] * (len(found) - 1) + [LARGE]
    assert len({(world, settings) for world, settings, _ in found}) == len(found)
    assert sorted(mix.name for _, _, mixes in found for mix in mixes) == sorted(MIX)


def test_no_updates_need_no_writer():
    with updating("http://127.0.0.1:1", 0) as reached:
        pass
    assert reached == []


def test_every_record_is_in_etcd_under_a_key_of_its_own():
    keys = [key for key, _ in SMALL.etcd_records()]
    assert len(keys) == len(set(keys)) == len(list(SMALL.records()))
    assert SMALL.change(7, "10.9.9.9")[0] in keys


def test_a_missing_program_is_told_in_one_line(monkeypatch, capsys, tmp_path):
    def missing(name):
        raise BenchError(f"missing tool: {name}")

    monkeypatch.setattr("tests.bench.__main__.find_tool", missing)
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None)
    assert main(["--results", str(tmp_path / "results"), "--mix", DELAY]) == 1
    assert capsys.readouterr().err == "bench: missing tool: knotd\n"


def test_a_program_that_is_nowhere_is_missing():
    with pytest.raises(BenchError, match="missing tool: no-such-program"):
        find_tool("no-such-program")
