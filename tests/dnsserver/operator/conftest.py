import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from dnsserver.__main__ import main


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def dnsserver(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The program in this process, with the logging of the tests left as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: str) -> Done:
        code = main(arguments)
        return Done(code, *capsys.readouterr())

    yield run
    root.handlers[:], root.level = handlers, level
