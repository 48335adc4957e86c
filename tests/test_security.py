"""SECURITY.md and docs/vulnerabilities.md promise no more than tests hold."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("SECURITY.md", "docs/vulnerabilities.md")


@pytest.fixture(scope="module")
def tests() -> set[str]:
    return {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES)
def test_each_test_and_file_that_a_page_names_is_there(page, tests):
    named = set(re.findall(r"`([^`\s]+)`", (ROOT / page).read_text()))
    wanted = {name for name in named if name.startswith("test_")}
    files = {name for name in named if re.match(r"(tests|docs)/|\w+\.toml$|Dockerfile$", name)}
    assert wanted
    assert wanted <= tests, wanted - tests
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_each_promise_and_each_class_of_fault_names_what_holds_it():
    promises = (ROOT / "SECURITY.md").read_text().split("## What is promised")[1].split("\n## ")[0]
    for promise in re.findall(r"^- .*?(?=\n- |\n\n)", promises, re.MULTILINE | re.DOTALL):
        assert "`test" in promise, promise
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs/vulnerabilities.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    assert len(rows) > 30
    for row in rows:
        kind, _, here, held_by = row
        assert here, kind
        assert held_by.startswith("`") or held_by == "held by", kind
