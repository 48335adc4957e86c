"""Completions of both programs, as bash offers them."""

import subprocess
import sys

import pytest

from dnsserver.ops.completion import SHELLS


def script(program: str, shell: str) -> str:
    command = [sys.executable, "-m", program, "--print-completion", shell]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def offered(program: str, *words: str) -> set[str]:
    """Return what bash offers for the last of some words after the program."""
    listed = " ".join(f"'{word}'" for word in (program, *words))
    asked = f"""
        COMP_WORDS=({listed}); COMP_CWORD={len(words)}
        _shtab_{program} {program} "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script(program, "bash") + asked],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_bash_completes_commands_flags_and_choices():
    assert {"explain", "records", "import-corefile"} <= offered("dnsserver", "")
    assert "--etcd-endpoints" in offered("dnsserver", "explain", "--etcd")
    assert offered("dnsserver", "records", "--output", "") == {"text", "json", "zonefile"}
    assert {"--source", "--source-status"} & offered("syncer", "--sou")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("program", "word"), [("dnsserver", "explain"), ("syncer", "domain-filter")])
def test_every_shell_gets_a_script_for_both_programs(program, shell, word):
    assert word in script(program, shell)
