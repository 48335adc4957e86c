import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.plan import Change, Current, Plan
from syncer.safety import FEW, Claim, Grace, limit_deletions, names_kept
from tests.syncer.test_plan import endpoint, held

CLAIM = Claim("a.test", "ingress/default/cheese")


def test_a_claim_without_targets_is_in_grace_for_the_period_and_no_longer():
    grace = Grace(300)
    assert grace.step(1000, [CLAIM], []) == {CLAIM}
    assert grace.remaining(1000) == 300
    assert grace.step(1299.9, [CLAIM], []) == {CLAIM}
    assert grace.step(1300, [CLAIM], []) == frozenset()
    assert grace.remaining(1300) is None


def test_targets_that_came_back_start_the_next_grace_anew():
    grace = Grace(300)
    grace.step(0, [CLAIM], [])
    assert grace.step(299, [], ["a.test"]) == frozenset()
    assert grace.step(301, [CLAIM], []) == {CLAIM}


def test_a_name_that_another_object_has_targets_for_needs_no_grace():
    assert Grace(300).step(0, [CLAIM], ["a.test"]) == frozenset()


def test_a_clock_that_stands_still_lets_no_grace_run_out():
    grace = Grace(300)
    assert all(grace.step(5, [CLAIM], []) for _ in range(1000))


def test_no_grace_is_none():
    assert Grace(0).step(0, [CLAIM], []) == frozenset()


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, {"a.test"}),
        ({"resource": "ingress/default/gone"}, set()),
        ({"owner_id": "them"}, set()),
        ({"targets": ()}, set()),
        ({"name": "b.test"}, set()),
    ],
)
def test_only_records_of_the_object_that_still_claims_them_are_kept(more, kept):
    assert names_kept([CLAIM], [held(**more)], "me") == kept


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
