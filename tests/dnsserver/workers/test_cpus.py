"""How many workers `auto` is."""

import os

import pytest

from dnsserver.workers.cpus import usable

CPUS = len(os.sched_getaffinity(0))


def groups(tmp_path, quotas):
    """Make a cgroup for each quota, one below the other, and return the root and a membership in the last."""
    place = tmp_path
    for number, quota in enumerate(quotas):
        place = place / f"g{number}"
        place.mkdir()
        if quota:
            (place / "cpu.max").write_text(quota + "\n")
    membership = tmp_path / "membership"
    membership.write_text(f"0::/{place.relative_to(tmp_path)}\n")
    return tmp_path, membership


@pytest.mark.parametrize(
    ("quotas", "count"),
    [
        ((), CPUS),
        (("max 100000",), CPUS),
        (("100000 100000",), 1),
        (("150000 100000",), 1),
        (("50000 100000",), 1),
        (("6400000 100000",), CPUS),
        (("100000 100000", "max 100000"), 1),
        (("max 100000", "", "100000 100000"), 1),
        (("nonsense",), CPUS),
    ],
)
def test_the_least_quota_of_all_groups_above_counts_in_whole_cpus(tmp_path, quotas, count):
    assert usable(*groups(tmp_path, quotas)) == count


def test_without_cgroups_the_affinity_counts(tmp_path):
    assert usable(tmp_path, tmp_path / "none") == CPUS
    (tmp_path / "v1").write_text("3:cpu:/docker/abc\n")
    assert usable(tmp_path, tmp_path / "v1") == CPUS
