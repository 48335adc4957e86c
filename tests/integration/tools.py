"""The rule on missing programs: a test says which one it lacks and is skipped; where all must be, it fails.

With REQUIRE_ALL_TOOLS=1, as in CI, a skip for a missing tool is a failure, so no run is green for having
tested nothing.
"""

import os
import shutil
import sysconfig
from collections.abc import Generator
from typing import NoReturn

import pytest

REASON = "missing tool:"


def all_tools_required() -> bool:
    return os.environ.get("REQUIRE_ALL_TOOLS") == "1"


def find_tool(name: str) -> str | None:
    """Return the path of `name`, where envtest looks first.

    TEST_ASSET_KUBE_APISERVER and the like name a file, KUBEBUILDER_ASSETS a directory; then PATH, then the
    programs of this Python environment.
    """
    asset = os.environ.get("TEST_ASSET_" + name.upper().replace("-", "_"))
    if asset:
        return shutil.which(asset)
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return (
        (assets and shutil.which(name, path=assets))
        or shutil.which(name)
        or shutil.which(name, path=sysconfig.get_path("scripts"))
    )


def need_tool(name: str) -> str:
    """Return the path of `name`, or skip the test for want of it."""
    return find_tool(name) or miss_tool(name)


def miss_tool(name: str) -> NoReturn:
    pytest.skip(f"{REASON} {name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    reason = str(call.excinfo.value) if call.excinfo else ""
    if report.skipped and reason.startswith(REASON) and all_tools_required():
        report.outcome = "failed"
        report.longrepr = f"{reason} (REQUIRE_ALL_TOOLS=1)"
    return report
