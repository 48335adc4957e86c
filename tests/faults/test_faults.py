"""No fault of etcd loses a query or makes an answer wrong; two seconds after it the server is fresh."""

import pytest

from tests.faults.run import GROUPS, happen
from tests.integration.tools import need_tool


def all_happen(group, directory, subtests, *, long):
    need_tool("openssl")
    with group.scene(directory) as scene:
        for fault, inject in group.faults.items():
            with subtests.test(fault):
                assert happen(fault, inject, scene, long=long).failures() == []
        assert "Traceback" not in scene.server.log()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_nothing_is_lost_or_wrong_and_news_is_served_soon_after(group, tmp_path, subtests):
    all_happen(group, tmp_path, subtests, long=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_nothing_is_lost_or_wrong_after_a_minute_either(group, tmp_path, subtests):
    all_happen(group, tmp_path, subtests, long=True)
