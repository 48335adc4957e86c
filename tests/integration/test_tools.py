import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.tools import find_tool

CASES = """
import pytest
from tests.integration.tools import need_tool

@pytest.fixture
def tool(): return need_tool("no-such-program")

def test_in_a_fixture(tool): pass
def test_in_the_body(): need_tool("no-such-program")
def test_for_another_reason(): pytest.skip("not on this kernel")
def test_with_the_tool(): assert need_tool("sh")
"""


def outcome(tmp_path: Path, **env: str) -> str:
    (tmp_path / "test_cases.py").write_text(CASES)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.integration.tools",
        "-p",
        "no:cacheprovider",
    ]
    inherited = {k: v for k, v in os.environ.items() if k != "REQUIRE_ALL_TOOLS"}
    return subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)],
        env=inherited | {"PYTHONPATH": str(Path(__file__).parents[2])} | env,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_a_missing_tool_skips_its_test(tmp_path):
    assert "1 passed, 3 skipped" in outcome(tmp_path)


def test_a_missing_tool_fails_its_test_where_all_tools_are_required(tmp_path):
    said = outcome(tmp_path, REQUIRE_ALL_TOOLS="1")
    assert "missing tool: no-such-program (REQUIRE_ALL_TOOLS=1)" in said
    assert "1 failed, 1 passed, 1 skipped, 1 error" in said


def test_an_asset_named_by_envtest_variables_wins_over_path(tmp_path, monkeypatch):
    program = tmp_path / "sh"
    program.write_text("#!/bin/false\n")
    program.chmod(0o755)
    monkeypatch.delenv("TEST_ASSET_SH", raising=False)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert find_tool("sh") == str(program)
    monkeypatch.setenv("TEST_ASSET_SH", "/bin/sh")
    assert find_tool("sh") == "/bin/sh"


@pytest.mark.parametrize("variable", ["KUBEBUILDER_ASSETS", "TEST_ASSET_NO_SUCH_PROGRAM"])
def test_an_asset_that_is_not_there_is_missing(variable, monkeypatch):
    monkeypatch.setenv(variable, "/nonexistent")
    assert find_tool("no-such-program") is None
