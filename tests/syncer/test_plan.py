import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.diff import diff, json_lines
from syncer.endpoint import Endpoint, ObjectRef, target_order
from syncer.plan import Change, Current, Plan, plan

A1, A2 = "192.0.2.1", "192.0.2.2"
REF = ObjectRef("ingress", "default", "cheese")
OTHER = ObjectRef("service", "default", "nginx")


def endpoint(name="a.test", type_="A", targets=(A1,), ttl=0, resource=REF) -> Endpoint:
    return Endpoint(name=name, type=type_, targets=tuple(targets), ttl=ttl, resource=resource)


def held(name="a.test", type_="A", targets=(A1,), owner_id="me", resource=str(REF), **more) -> Current:
    return Current(
        name=name, type=type_, targets=tuple(targets), owner_id=owner_id, resource=resource, **more
    )


def applied(planned: Plan, current: list[Current]) -> list[Current]:
    changed = {(change.name, change.type) for change in planned.changes}
    kept = [r for r in current if r.owner_id != "me" or (r.name, r.type) not in changed]
    written = [
        Current(
            name=change.name,
            type=change.type,
            targets=change.after.targets,
            ttl=change.after.ttl,
            group=change.after.group,
            owner_id="me",
            resource=str(change.after.resource),
        )
        for change in planned.changes
        if change.after is not None
    ]
    return kept + written


DATA = {"A": [A1, A2, "192.0.2.3"], "AAAA": ["2001:db8::1", "2001:db8::2"], "CNAME": ["x.test", "y.test"]}
names = st.sampled_from(["a.test", "b.test"])
refs = st.sampled_from([REF, OTHER, ObjectRef("ingress", "default", "zebra")])


@st.composite
def endpoints(draw):
    type_ = draw(st.sampled_from(sorted(DATA)))
    size = 1 if type_ == "CNAME" else 2
    targets = draw(st.lists(st.sampled_from(DATA[type_]), min_size=1, max_size=size, unique=True))
    return Endpoint(
        name=draw(names),
        type=type_,
        targets=tuple(sorted(targets, key=target_order)),
        ttl=draw(st.sampled_from([0, 60])),
        resource=draw(refs),
    )


@st.composite
def currents(draw):
    of = draw(endpoints())
    return Current(
        name=of.name,
        type=draw(st.sampled_from([of.type, "TXT"])) if of.type == "CNAME" else of.type,
        targets=draw(st.sampled_from([of.targets, ()])),
        ttl=of.ttl,
        owner_id=draw(st.sampled_from(["me", "them", ""])),
        resource=str(of.resource),
        intact=draw(st.booleans()),
    )


def unique(records: list[Current]) -> list[Current]:
    ours = {(r.name, r.type, r.owner_id): r for r in records if r.type != "TXT" or r.owner_id != "me"}
    return list(ours.values())


tables = st.lists(currents(), max_size=6).map(unique)


@given(st.lists(endpoints(), max_size=6), tables)
def test_plan_converges_in_one_pass_and_is_empty_on_its_own_result(desired, current):
    after = applied(plan(desired, current, "me"), current)
    assert plan(desired, after, "me").changes == ()


@given(st.lists(endpoints(), max_size=6), tables)
def test_plan_spares_what_others_own(desired, current):
    for change in plan(desired, current, "me").changes:
        assert change.before is None or change.before.owner_id == "me"
        if change.before is None:
            beside = [r for r in current if r.name == change.name and r.owner_id != "me" and r.targets]
            assert all(r.type == "TXT" and change.type != "CNAME" for r in beside)


@given(st.lists(endpoints(), max_size=6), tables)
def test_no_name_gets_a_cname_beside_other_data(desired, current):
    legal = [r for r in current if r.type != "CNAME"]
    after = [r for r in applied(plan(desired, legal, "me", "upsert-only"), legal) if r.targets]
    for name in {r.name for r in after}:
        types = {r.type for r in after if r.name == name}
        assert types == {"CNAME"} or "CNAME" not in types


@given(st.lists(endpoints(), max_size=6), tables, st.permutations(range(6)))
def test_plan_does_not_depend_on_the_order_of_what_is_desired(desired, current, order):
    shuffled = [desired[i] for i in order if i < len(desired)]
    assert plan(shuffled, current, "me").changes == plan(desired, current, "me").changes


@given(st.lists(endpoints(), max_size=6), tables)
def test_upsert_only_never_deletes_and_create_only_never_updates(desired, current):
    assert all(change.after for change in plan(desired, current, "me", "upsert-only").changes)
    for change in plan(desired, current, "me", "create-only").changes:
        assert change.after
        assert change.before is None or not change.before.targets


def test_an_absent_name_is_created_and_an_unwanted_one_deleted():
    old = held("b.test")
    assert plan([endpoint()], [old], "me").changes == (
        Change("a.test", "A", None, endpoint()),
        Change("b.test", "A", old, None),
    )


def test_a_ttl_that_is_no_longer_asked_for_is_cleared():
    old = held(ttl=60)
    assert plan([endpoint()], [old], "me").changes == (Change("a.test", "A", old, endpoint()),)


def test_keys_that_are_not_intact_are_written_again():
    old = held(intact=False)
    assert plan([endpoint()], [old], "me").changes == (Change("a.test", "A", old, endpoint()),)


OLD, YOUNG = REF._replace(created="2024-01-01T00:00:00Z"), OTHER._replace(created="2025-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("older", "younger"),
    [
        (endpoint(targets=[A1, A2], resource=OLD), endpoint(resource=YOUNG)),
        (
            endpoint(targets=[A1, A2], resource=OLD),
            endpoint(type_="CNAME", targets=["x.test"], resource=YOUNG),
        ),
        (endpoint(type_="CNAME", targets=["x.test"], resource=OLD), endpoint(resource=YOUNG)),
        (endpoint(targets=[A2], resource=REF), endpoint(targets=[A1], resource=OTHER)),
    ],
)
def test_a_name_goes_to_the_older_object_whoever_holds_it_now(older, younger):
    holder = held(type_=younger.type, targets=younger.targets, resource=str(younger.resource))
    for current in ([], [holder]):
        planned = plan([younger, older], current, "me")
        assert [change.after for change in planned.changes if change.after] == [older]
        [rejection] = planned.rejections
        assert (rejection.resource, rejection.reason) == (str(younger.resource), "conflict")


def test_objects_that_ask_for_the_same_have_no_conflict():
    planned = plan([endpoint(), endpoint(resource=OTHER)], [], "me")
    assert (len(planned.changes), planned.rejections) == (1, [])


def test_addresses_win_over_a_cname():
    planned = plan([endpoint(), endpoint(type_="CNAME", targets=["x.test"])], [], "me")
    assert [change.type for change in planned.changes] == ["A"]
    assert str(planned.rejections[0]) == (
        "ingress/default/cheese: a.test CNAME x.test is not written: the name has other data too"
    )


def test_a_name_of_a_stranger_is_left_alone_and_reported():
    planned = plan([endpoint()], [held(targets=[A2], owner_id="")], "me")
    assert planned.changes == ()
    assert planned.rejections[0].reason == "foreign"


def test_nothing_is_deleted_or_taken_over_before_its_source_has_synced():
    def unsettled(resource: str) -> bool:
        return not resource.startswith("ingress/")

    assert plan([], [held()], "me", settled=unsettled).changes == ()
    assert plan([endpoint(targets=[A2], resource=OTHER)], [held()], "me", settled=unsettled).changes == ()
    assert len(plan([endpoint(targets=[A2])], [held()], "me", settled=unsettled).changes) == 1


def test_a_pending_name_is_not_touched():
    assert plan([], [held()], "me", pending={"a.test"}).changes == ()


def test_diff_reads_as_lines():
    planned = plan([endpoint(ttl=300), endpoint("c.test")], [held(), held("c.test", intact=False)], "me")
    assert diff(planned) == [
        "- a.test A 192.0.2.1 (ingress/default/cheese)",
        "+ a.test A 192.0.2.1 ttl 300 (ingress/default/cheese)",
        "~ c.test A (ingress/default/cheese)",
    ]


def test_a_plan_is_an_object_of_json_for_each_name_and_type():
    old = held("b.test", ttl=60)
    planned = plan([endpoint(ttl=300)], [old], "me")
    made, gone = map(json.loads, json_lines(planned))
    data = {"targets": [A1], "ttl": 300, "group": "", "resource": "ingress/default/cheese"}
    assert made == {"operation": "create", "name": "a.test", "type": "A", "before": None, "after": data}
    assert gone == {
        "operation": "delete",
        "name": "b.test",
        "type": "A",
        "before": data | {"ttl": 60},
        "after": None,
    }
