"""What a change costs the answers of others: none that it cannot concern."""

import dns.message
import pytest

from dnsserver.wire import name
from dnsserver.zone import dependents
from dnsserver.zone.dependents import Dependents
from dnsserver.zone.node import Node
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.support import changes, filled, responder
from tests.dnsserver.zone.test_table import parsed_query

ALIASES = 20
KEYS = {f"test/alias{number}": f'{{"host":"target{number}.test"}}' for number in range(ALIASES)} | {
    f"test/target{number}": '{"host":"192.0.2.1"}' for number in range(ALIASES)
}


def compiled(table: ZoneTable) -> set[int]:
    """Return the numbers of the aliases whose answers are kept."""
    return {
        number
        for number in range(ALIASES)
        if (node := table.nodes.get(name.from_text(f"alias{number}.test."))) and node.questions
    }


@pytest.fixture
def table() -> ZoneTable:
    found = filled([{"name": "test."}], KEYS)
    served = responder(found)
    for number in range(ALIASES):
        served.respond(parsed_query(f"alias{number}.test."))
    assert compiled(found) == set(range(ALIASES))
    return found


@pytest.mark.parametrize("key", ["test/target7", "test/target7/below", "test/alias7"])
def test_a_change_voids_the_aliases_that_lead_there_and_no_others(table, key):
    table.apply(changes({key: '{"host":"192.0.2.9"}'}), 9)
    assert compiled(table) == set(range(ALIASES)) - {7}


def test_a_name_that_nothing_leads_to_voids_no_alias(table):
    table.apply(changes({"test/other": '{"host":"192.0.2.9"}'}), 9)
    assert compiled(table) == set(range(ALIASES))


@pytest.mark.parametrize(
    ("keys", "asked", "kind", "change"),
    [
        ({"test/a": "any.wild.test", "test/wild/*": "192.0.2.1"}, "a.test.", "A", "test/wild/any"),
        ({"test/a": "any.wild.test", "test/wild/*": "192.0.2.1"}, "a.test.", "A", "test/wild/any/below"),
        ({"test/a": "any.wild.test", "test/wild/*": "192.0.2.1"}, "a.test.", "A", "test/wild/*"),
        ({"test/a": "b.test", "test/b": "c.test", "test/c": "192.0.2.1"}, "a.test.", "A", "test/c"),
        ({"test/a": "b.test", "test/b": "192.0.2.1"}, "a.test.", "AAAA", "test/other"),
        ({"test/a": "b.test"}, "a.test.", "A", "test/b"),
        ({"test/a": "b.test"}, "a.test.", "SRV", "test/b"),
        ({"test/a": "b.test", "test/b/below": "192.0.2.1"}, "a.test.", "A", "test/b"),
    ],
)
def test_an_answer_that_was_kept_is_what_it_would_be_after_a_change(keys, asked, kind, change):
    table = filled([{"name": "test."}], {key: f'{{"host":"{host}"}}' for key, host in keys.items()})
    served = responder(table)
    query = dns.message.make_query(asked, kind, id=0).to_wire()
    before = served.respond(query)
    table.apply(changes({change: '{"host":"192.0.2.9"}'}), 9)
    assert served.respond(query) == served.slow(query) != before


def test_notes_are_bounded(monkeypatch):
    monkeypatch.setattr(dependents, "MAX_NOTED", 10)
    nodes = [Node(None) for _ in range(11)]
    found = Dependents()
    target, other = name.from_text("target.test."), name.from_text("other.test.")
    for node in nodes[:10]:
        found.note(node, [target])
        found.note(node, [target])
    assert found.pop(other) == set()
    found.note(nodes[10], [target])
    assert found.pop(other) == set(nodes)
    assert found.pop(target) == set()
