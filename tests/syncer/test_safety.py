import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.plan import Change, Current, Plan
from syncer.safety import FEW, Grace, is_kept, limit_deletions
from tests.syncer.test_plan import endpoint, held

CHEESE, BREAD = "ingress/default/cheese", "ingress/default/bread"


def see(grace, now, *waiting, is_served=False):
    return grace.see(now, "a.test", waiting, is_served=is_served)


def test_a_claim_without_targets_is_in_grace_for_the_period_and_no_longer():
    grace = Grace(300)
    assert see(grace, 1000, CHEESE)
    assert grace.remaining(1000) == 300
    assert (grace.running(1299.9, "a.test"), grace.over(1299.9)) == ([CHEESE], set())
    assert (grace.running(1300, "a.test"), grace.over(1300)) == ([], {"a.test"})
    assert not see(grace, 1300, CHEESE)
    assert (grace.remaining(1300), grace.over(1300)) == (None, set())


def test_targets_that_came_back_start_the_next_grace_anew():
    grace = Grace(300)
    see(grace, 0, CHEESE)
    assert not see(grace, 299)
    assert grace.remaining(299) is None
    assert see(grace, 301, CHEESE)
    assert grace.remaining(301) == 300


def test_each_object_has_a_grace_of_its_own():
    grace = Grace(300)
    see(grace, 0, CHEESE)
    see(grace, 200, CHEESE, BREAD)
    assert (grace.over(300), grace.running(300, "a.test")) == ({"a.test"}, [BREAD])
    assert grace.remaining(300) == 200
    assert grace.over(500) == {"a.test"}


def test_a_name_that_another_object_has_targets_for_needs_no_grace():
    assert not see(Grace(300), 0, CHEESE, is_served=True)


def test_no_grace_is_none():
    assert not see(Grace(0), 0, CHEESE)


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, True),
        ({"resource": ""}, True),
        ({"resource": "ingress/default/gone"}, False),
        ({"owner_id": "them"}, False),
        ({"targets": ()}, False),
    ],
)
def test_only_records_of_the_object_that_still_claims_them_are_kept(more, kept):
    assert is_kept([CHEESE], [held(**more)], "me") == kept
    assert not is_kept([], [held(**more)], "me")


def deletions(count):
    return Plan(tuple(Change(f"n{i}.test", "A", held(f"n{i}.test"), None) for i in range(count)))


def names(count):
    return [held(f"n{i}.test") for i in range(count)]


@pytest.mark.parametrize(
    ("gone", "of", "is_refused"),
    [(FEW, FEW, False), (FEW + 1, FEW + 1, True), (30, 100, False), (31, 100, True), (100, 100, True)],
)
def test_a_deletion_over_the_share_and_over_a_few_names_is_refused(gone, of, is_refused):
    limited = limit_deletions(deletions(gone), names(of), "me", 0.3)
    assert len(limited.refused) == gone * is_refused
    assert len(limited.plan.changes) == gone * (not is_refused)
    assert limited.held == of


def test_a_share_of_one_allows_everything():
    assert limit_deletions(deletions(100), names(100), "me", 1).refused == ()


def test_creates_and_updates_beside_a_refused_deletion_are_carried_out():
    kept = (
        Change("new.test", "A", None, endpoint("new.test")),
        Change("n0.test", "A", held("n0.test"), endpoint("n0.test", targets=["192.0.2.9"])),
    )
    planned = Plan(kept + deletions(100).changes[1:])
    assert limit_deletions(planned, names(100), "me", 0.3).plan.changes == kept


def test_a_name_that_changes_its_type_does_not_vanish():
    changes = tuple(
        change
        for i in range(20)
        for change in (
            Change(f"n{i}.test", "A", held(f"n{i}.test"), None),
            Change(f"n{i}.test", "CNAME", None, endpoint(f"n{i}.test", "CNAME", ["x.test"])),
        )
    )
    assert limit_deletions(Plan(changes), names(20), "me", 0.3).refused == ()


def test_what_others_hold_does_not_make_a_share_look_small():
    others = [held(f"o{i}.test", owner_id="them") for i in range(1000)]
    assert len(limit_deletions(deletions(20), names(20) + others, "me", 0.3).refused) == 20


def test_names_that_are_not_in_question_count_too():
    assert len(limit_deletions(deletions(20), names(20), "me", 0.3, 46).refused) == 20
    assert limit_deletions(deletions(20), names(20), "me", 0.3, 47).refused == ()


def test_leftovers_without_targets_may_always_go():
    leftovers = [held(f"n{i}.test", targets=()) for i in range(50)]
    planned = Plan(tuple(Change(r.name, "A", r, None) for r in leftovers))
    assert limit_deletions(planned, leftovers, "me", 0.3).plan == planned


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0, 1))
def test_either_all_vanishing_names_go_or_none(gone, stay, share):
    current: list[Current] = names(gone + stay)
    limited = limit_deletions(deletions(gone), current, "me", share)
    assert len(limited.plan.changes) + len(limited.refused) == gone
    assert not (limited.plan.changes and limited.refused)
