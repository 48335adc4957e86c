"""Pages as headless Chromium has them: as text of the DOM, and as a picture."""

import os
import subprocess
import tempfile
from pathlib import Path

from tests.integration.tools import need_tool

TIMEOUT = 60


def dom(url: str) -> str:
    """Return the DOM of a page, written out, after its scripts have run if it has any."""
    return _chromium("--dump-dom", url)


def picture(url: str, file: Path, *, width: int = 1200, height: int = 1000, dark: bool = False) -> None:
    """Write a picture of a page as PNG."""
    scheme = 0 if dark else 1
    _chromium(
        f"--screenshot={file}",
        f"--window-size={width},{height}",
        f"--blink-settings=preferredColorScheme={scheme}",
        "--hide-scrollbars",
        url,
    )


def _chromium(*arguments: str) -> str:
    program = need_tool("chromium")
    # A container has no namespaces for its sandbox; what is read here is our own.
    rootless = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory() as profile:
        command = [
            program,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={profile}",
            *rootless,
        ]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
        return done.stdout
