"""How many CPUs this process may use: those of its affinity, and no more than its cgroup's quota."""

import os
from pathlib import Path


def usable(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Return the whole CPUs that are there for us, one at least.

    A quota of one and a half is one: two workers would be stopped by turns, each time for many milliseconds.
    """
    return max(1, min([len(os.sched_getaffinity(0)), *_quotas(root, membership)]))


def _quotas(root: Path, membership: Path) -> list[int]:
    """Return the quotas in whole CPUs of our group and of all above it (cgroup v2, cpu.max)."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    paths = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    quotas = []
    for path in paths:
        group = root / path
        for place in (group, *group.parents):
            if not place.is_relative_to(root):
                break
            try:
                quota, period = (place / "cpu.max").read_text().split()
                quotas.append(int(quota) // int(period))
            except (OSError, ValueError):  # no such file at the root, or `max`
                continue
    return quotas
