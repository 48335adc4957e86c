"""The search finds each name once, page by page, and looks at a bounded number of names for a page."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.status.find import FRESH, PAGE, SCAN, Finder, Found
from dnsserver.wire import name
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.support import NO_ETCD, change, filled, table_of
from tests.dnsserver.worlds import paths, values, zones


def pages(table: ZoneTable, zone: str, text: str) -> list[Found]:
    finder, start, found = Finder(lambda: 0.0), 0, []
    chosen = table.zones[name.from_text(zone)] if zone else None
    while True:
        found.append(finder.find(table, chosen, text, start))
        start = found[-1].next
        if not start:
            return found


def texts(found: list[Found]) -> list[str]:
    return [name.to_text(each) for page in found for each in page.names]


@given(zones(), st.dictionaries(paths, values.map(json.dumps), max_size=8))
def test_without_a_text_every_name_is_found_once(found, state):
    table = filled(found, state)
    assert sorted(texts(pages(table, "", ""))) == sorted(map(name.to_text, table.nodes))
    for apex, zone in table.zones.items():
        own = [name.to_text(each) for each, node in table.nodes.items() if node.zone is zone]
        assert texts(pages(table, name.to_text(apex), "")) == own


@given(
    zones(),
    st.dictionaries(paths, values.map(json.dumps), max_size=8),
    st.sampled_from(["a", "x.", ".a", "a.b", "example", "mple.", "*", "A.EX", "\\", "'", "é"]),
)
def test_a_part_of_names_finds_those_that_have_it(found, state, text):
    table = filled(found, state)
    part = text.strip("*").lower()
    below = [each for each in (text, f"{text}.example.", f"{text}.a.example.") if _exists(table, each)]
    if not below:
        expected = [each for each in map(name.to_text, table.nodes) if part in each]
        assert texts(pages(table, "", text)) == expected


def _exists(table: ZoneTable, text: str) -> bool:
    try:
        return any(name.from_text(text, origin) in table.nodes for origin in (name.ROOT, *table.zones))
    except name.NameFault:
        return False


KEYS = {
    "local/k8s/a/b/c": '{"host":"10.0.0.1"}',
    "local/k8s/a/d": '{"host":"10.0.0.2"}',
    "local/k8s/x/a": '{"host":"10.0.0.3"}',
    "local/k8s/1-a": '{"host":"10.0.0.4"}',
}


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("", "a.k8s.local", {"a.k8s.local.", "b.a.k8s.local.", "c.b.a.k8s.local.", "d.a.k8s.local."}),
        ("k8s.local.", "b.a", {"b.a.k8s.local.", "c.b.a.k8s.local."}),
        ("k8s.local.", "k8s.local.", {"k8s.local."} | {f"{each}.k8s.local." for each in ("a", "x", "1-a")}),
        ("", "1-", {"1-a.k8s.local."}),
        ("", "nothing", set()),
        ("", "a..b", set()),
    ],
)
def test_a_name_finds_itself_and_what_is_below_it(zone, text, expected):
    table = filled([{"name": "k8s.local"}], KEYS)
    found = set(texts(pages(table, zone, text)))
    assert found >= expected
    assert text.startswith("k8s") or found == expected


def many(count: int) -> ZoneTable:
    table = table_of([{"name": "k8s.local"}], etcd=NO_ETCD)
    table.apply((change(f"local/k8s/deep/n{number:06}", '{"host":"::1"}') for number in range(count)), 1)
    table.mark_synced(1)
    return table


@pytest.mark.parametrize("text", ["", "n059999", "no such name", "deep.k8s.local"])
def test_a_page_is_bounded_work_however_many_names_there_are(text):
    table = many(60_000)
    found = (
        pages(table, "k8s.local.", text)[:10]
        if text != "deep.k8s.local"
        else [Finder().find(table, None, text, start) for start in (0, 50, SCAN, 10**9)]
    )
    for page in found:
        assert len(page.names) <= PAGE
        assert page.looked_at <= SCAN + PAGE + 1
    if text == "n059999":
        assert texts(found) == ["n059999.deep.k8s.local."]


def test_the_list_of_names_is_taken_again_after_a_while_and_for_another_table():
    now = 0.0
    finder = Finder(lambda: now)
    table, other = filled([{"name": "k8s.local"}], KEYS), many(1)
    before = finder.find(table, None, "", 0).names
    table.apply([change("local/k8s/z", "{}")], 9)
    assert finder.find(table, None, "", 0).names == before
    now += FRESH + 1
    assert len(finder.find(table, None, "", 0).names) == len(before) + 1
    assert name.from_text("n000000.deep.k8s.local.") in finder.find(other, None, "", 0).names


def test_the_names_below_a_name_are_found_once_over_several_pages():
    found = pages(many(2 * PAGE + 5), "", "deep.k8s.local")
    assert [len(page.names) for page in found] == [PAGE, PAGE, 6]
    assert len(set(texts(found))) == 2 * PAGE + 6
