"""Every command in the documents is run, or stands here with the reason why not."""

import re
from pathlib import Path

import pytest

from tests.docs.console import ROOT, Command, _commands, blocks, missing, run
from tests.integration.tools import need_tool

DOCUMENTS = [file for file in sorted((ROOT / "docs").glob("**/*.md")) + sorted(ROOT.glob("*.md"))]
FOUND = {str(file.relative_to(ROOT)): blocks(file.read_text("utf-8")) for file in DOCUMENTS}
RUN = {
    name: [c for block in found if not block.reason for c in block.commands] for name, found in FOUND.items()
}

NOT_RUN = {
    ("docs/migration.md", "it needs a cluster"),
}
"""Documents with blocks that are not run, and why."""


@pytest.mark.parametrize("name", [name for name, commands in RUN.items() if commands])
def test_the_commands_of_a_document_do_what_it_says(name: str, tmp_path: Path):
    for tool in ("unshare", "ip", "dig", "curl", "etcdctl", "prometheus"):
        need_tool(tool)
    commands = RUN[name]
    done = run(commands, tmp_path / "checkout" if (tmp_path / "checkout").mkdir() is None else tmp_path)
    told = "\n".join(
        f"$ {c.text}\n{output}[{code}]" for c, (code, output) in zip(commands, done, strict=False)
    )
    assert len(done) == len(commands), told
    for command, (code, output) in zip(commands, done, strict=True):
        assert code == 0, f"{command.text}: exit code {code}\n{told}"
        assert missing(command.output, output) is None, (
            f"{command.text}: no line {missing(command.output, output)!r}\n{told}"
        )


def test_what_is_not_run_is_listed_with_its_reason():
    assert {
        (name, block.reason) for name, found in FOUND.items() for block in found if block.reason
    } == NOT_RUN


def test_output_must_come_in_order_and_an_ellipsis_stands_for_anything():
    output = "one\n  two   2\nthree\n"
    assert missing(("one", "two …", "three"), output) is None
    assert missing(("two …", "one"), output) == "one"
    assert missing(("tw",), output) == "tw"


def test_a_here_document_and_a_continued_line_belong_to_their_command():
    assert _commands(["$ cat > x <<'END'", "$ no command", "END", "$ echo \\", "  a", "a"]) == [
        Command("cat > x <<'END'\n$ no command\nEND", ()),
        Command("echo \\\n  a", ("a",)),
    ]


def test_every_link_between_documents_leads_somewhere():
    for file in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", file.read_text("utf-8")):
            assert (file.parent / target).exists(), f"{file.relative_to(ROOT)}: {target}"
