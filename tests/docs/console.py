"""The commands of a document: `console` blocks, each command with the output that the document shows.

    ```console
    $ dig @127.0.0.1 +short stilton.k8s.local
    172.22.132.10
    ```

All blocks of a document run in one shell, one after the other. Lines of output must come in the order shown,
others may stand between; `…` stands for anything. Lines after a command that begins a here-document
belong to it. Blocks marked `console not run: REASON` are not run.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COPIED = ("config", "docs")
"""What a document may change; the rest of the checkout is linked to."""

TIMEOUT = 100
_BLOCK = re.compile(
    r"^```console(?: not run: (?P<reason>[^\n]+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_HERE = re.compile(r"<<-?\s*'?(\w+)'?")


class Command(NamedTuple):
    text: str
    output: tuple[str, ...]


class Block(NamedTuple):
    commands: tuple[Command, ...]
    reason: str
    """Why it is not run; empty if it is."""


def blocks(document: str) -> list[Block]:
    return [
        Block(tuple(_commands(match["body"].splitlines())), match["reason"] or "")
        for match in _BLOCK.finditer(document)
    ]


def _commands(lines: list[str]) -> list[Command]:
    found: list[Command] = []
    ends: str | None = None
    for line in lines:
        if ends is not None or (found and found[-1].text.endswith("\\")):
            found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line}")
            ends = None if line == ends else ends
        elif line.startswith("$ "):
            found.append(Command(line[2:], ()))
            here = _HERE.search(line)
            ends = here[1] if here else None
        else:
            found[-1] = found[-1]._replace(output=(*found[-1].output, line))
    return found


def run(commands: list[Command], directory: Path) -> list[tuple[int, str]]:
    """Run commands in one shell in a fresh copy of the checkout; return the exit codes and outputs.

    The shell has a network and processes of its own: every port is free, and what it leaves running ends
    with it.
    """
    for entry in ROOT.iterdir():
        if entry.name in COPIED:
            shutil.copytree(entry, directory / entry.name)
        elif entry.name not in (".git", ".hypothesis"):
            (directory / entry.name).symlink_to(entry)
    script = ["ip link set lo up", "set +m"]
    for number, command in enumerate(commands):
        script += [f"printf '\\036%d\\n' {number}", command.text, "printf '\\037%d\\n' $?"]
    file = directory / "commands.sh"
    file.write_text("\n".join(script) + "\n")
    bin_directory = Path(sys.executable).parent
    inside = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        inside[1:1] = ["--map-root-user"]
    done = subprocess.run(
        [*inside, "bash", str(file)],
        cwd=directory,
        env={
            "PATH": f"{bin_directory}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(directory),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    found = re.findall(r"\x1e\d+\n(.*?)\x1f(\d+)\n", done.stdout, re.DOTALL)
    return [(int(code), output) for output, code in found]


def missing(expected: tuple[str, ...], output: str) -> str | None:
    """Return the first line that the output has not, after those before it; None if it has all."""
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    for line in expected:
        pattern = re.compile(".*".join(map(re.escape, " ".join(line.split()).split("…"))))
        if not any(pattern.fullmatch(each) for each in lines):
            return line
    return None
