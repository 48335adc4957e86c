"""The table as laws: what it holds depends on the last state of each key, never on the way there."""

import json

from hypothesis import given
from hypothesis import strategies as st

from dnsserver.answer.lookup import lookup
from dnsserver.wire import const, name
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.support import NO_ETCD, change, changes, filled, lines, parsed, responder, table_of
from tests.dnsserver.worlds import paths, queries, shape, values, zones

states = st.dictionaries(paths, values.map(json.dumps), max_size=6)
events = st.lists(
    st.dictionaries(paths, st.one_of(values.map(json.dumps), values.map(json.dumps), st.none()), max_size=4),
    max_size=6,
)


def final(state: dict, later: list[dict]) -> dict:
    for changed in later:
        state = state | changed
    return {path: value for path, value in state.items() if value is not None}


def answers(table: ZoneTable, asked: list[bytes]) -> list:
    for zone in table.zones.values():
        zone.serial = 1
        zone.negative.clear()
        table.drop(table.nodes[zone.apex])
    served = responder(table, "tcp")
    return [[sorted(lines(section)) for section in parsed(served.slow(query)).sections] for query in asked]


@given(zones(), states, events, st.lists(queries(), max_size=8))
def test_events_after_a_load_equal_a_load_of_the_final_state(found, state, later, asked):
    table = filled(found, state)
    for revision, changed in enumerate(later, 8):
        table.apply(changes(changed), revision)
    fresh = filled(found, final(state, later))
    assert shape(table) == shape(fresh)
    assert answers(table, asked) == answers(fresh, asked)


@given(zones(), states, events, states)
def test_a_new_list_replaces_whatever_there_was(found, state, later, listed):
    table = filled(found, state)
    for revision, changed in enumerate(later, 8):
        table.apply(changes(changed), revision)
    page = list(changes(listed))
    table.apply(page, 20)
    table.apply(table.retain({item.key for item in page}, list(table.nodes)), 20)
    assert shape(table) == shape(filled(found, listed))


@given(zones(), states)
def test_what_is_there_already_moves_no_serial(found, state):
    table = filled(found, state)
    serials = {apex: zone.serial for apex, zone in table.zones.items()}
    assert table.apply(changes(state), 99) == 0
    assert {apex: zone.serial for apex, zone in table.zones.items()} == serials


@given(zones(), states)
def test_all_that_came_goes_and_leaves_the_static_table(found, state):
    table = filled(found, state)
    table.apply(changes(dict.fromkeys(state)), 9)
    assert shape(table) == shape(table_of(found))


@given(zones(), states)
def test_every_name_hangs_on_its_apex(found, state):
    table = filled(found, state)
    for owner, node in table.nodes.items():
        assert table.zone_of(owner) is node.zone
        if owner != node.zone.apex:
            assert name.parent(owner) in table.nodes


@given(zones(), states, queries())
def test_nxdomain_is_for_names_with_nothing_at_or_below_and_no_wildcard(found, state, query):
    table = filled(found, state)
    asked = parsed(query[:2] + b"\x80" + query[3:]).question[0].name
    qname = name.from_text(asked.to_text())
    zone = table.zone_of(qname)
    if zone is None or zone.cut_above(qname) or b"\1*" in qname or b"\3any" in qname:
        return
    answer = lookup(table, qname, const.TYPES["HINFO"])
    if answer.answer:
        return  # an alias, whose end decides
    owned = [
        owner
        for owner, node in table.nodes.items()
        if node.records or owner in zone.static or owner == zone.apex
    ]
    exists = {
        above for owner in owned for above in (owner, *name.ancestors(owner)) if table.zone_of(above) is zone
    }
    encloser = next(above for above in (qname, *name.ancestors(qname)) if above in exists)
    denied = qname not in exists and name.Name(b"\1*" + encloser) not in exists
    assert answer.rcode == (const.NXDOMAIN if denied else const.NOERROR)


def test_the_longest_zone_has_a_name():
    table = table_of([{"name": "example."}, {"name": "sub.example."}, {"name": "test."}])
    for text, apex in (
        ("example.", "example."),
        ("a.example.", "example."),
        ("sub.example.", "sub.example."),
        ("a.b.sub.example.", "sub.example."),
        ("xsub.example.", "example."),
    ):
        assert table.zone_of(name.from_text(text)).apex == name.from_text(apex)
    assert table.zone_of(name.from_text("org.")) is None
    assert table.zone_of(name.ROOT) is None


def test_the_root_can_be_a_zone():
    table = filled(
        [{"name": ".", "soa": {"mname": "ns.", "rname": "me."}}], {"org/example": '{"host":"192.0.2.1"}'}
    )
    served = responder(table)
    for text, rcode in (("example.org.", 0), ("missing.", 3), (".", 0)):
        query = parsed_query(text)
        for way in (served.slow, served.respond, served.respond):
            response = parsed(way(query))
            assert response.rcode() == rcode
            owners = {rrset.name.to_text() for rrset in response.authority}
            assert owners <= {"."}


def parsed_query(text: str) -> bytes:
    import dns.message

    return dns.message.make_query(text, "A").to_wire()


def test_the_serial_follows_the_revision():
    table = filled([{"name": "example."}], {"example/a": '{"host":"192.0.2.1"}'}, 41)
    (zone,) = table.zones.values()
    assert zone.serial == 41
    table.apply([change("example/a", '{"host":"192.0.2.2"}')], 2**32 + 42)
    assert zone.serial == 42


def test_the_serial_still_rises_after_a_restored_backup():
    table = filled([{"name": "example."}], {"example/a": '{"host":"192.0.2.1"}'}, 1000)
    (zone,) = table.zones.values()
    table.apply([change("example/a", '{"host":"192.0.2.2"}')], 7)
    assert zone.serial == 1001


def test_a_change_in_one_zone_leaves_the_serial_of_another():
    table = table_of([{"name": "one."}, {"name": "two."}])
    table.apply([change("one/a", '{"host":"192.0.2.1"}')], 50)
    assert {name.to_text(apex): zone.serial for apex, zone in table.zones.items()} == {"one.": 50, "two.": 1}


def test_a_key_may_move_to_another_zone_by_its_targetstrip():
    found = [{"name": "example."}, {"name": "sub.example."}]
    table = filled(found, {"example/sub/a": '{"host":"192.0.2.1"}'}, 5)
    table.apply([change("example/sub/a", '{"host":"192.0.2.1","targetstrip":2}')], 6)
    assert shape(table) == shape(filled(found, {"example/sub/a": '{"host":"192.0.2.1","targetstrip":2}'}))
    assert [zone.serial for zone in table.zones.values()] == [6, 6]


def test_glue_below_a_zone_of_ours_is_not_its_data():
    parent = {
        "name": "example.",
        "records": [
            {"name": "sub", "type": "NS", "data": "ns.sub"},
            {"name": "ns.sub", "type": "A", "data": "192.0.2.1"},
        ],
    }
    served = responder(table_of([parent, {"name": "sub.example."}]))
    response = parsed(served.respond(parsed_query("ns.sub.example.")))
    assert response.rcode() == 3
    assert lines(response.authority)[0].startswith("sub.example. ")


def test_a_record_knows_since_when_it_is_as_it_is():
    table = table_of([{"name": "k8s.local"}], etcd=NO_ETCD)
    path, value = "local/k8s/www", '{"host":"10.0.0.1"}'

    def since() -> int:
        ((_, _, _, found),) = table.answering(name.from_text("www.k8s.local."))
        return found

    table.apply([change(path, value)], revision=1, now=100)
    table.mark_synced(1, now=100)
    assert since() == 0, "it may be older than this server"
    table.apply([change(path, value)], revision=2, now=200)
    assert since() == 0, "nothing has changed"
    table.apply([change(path, '{"host":"10.0.0.2"}')], revision=3, now=300)
    assert since() == 300
