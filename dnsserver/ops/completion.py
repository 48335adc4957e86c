"""`--print-completion SHELL`: a script that completes flags and commands, made by shtab from the parser."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, Final

SHELLS: Final = ("bash", "zsh", "fish")


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Give a parser the flag. It needs shtab, which nothing else does."""
    parser.add_argument(
        "--print-completion",
        choices=SHELLS,
        action=_Print,
        nargs=None,
        help="print a script of completions for a shell, and exit",
    )


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)


class _Print(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            import shtab
        except ImportError:
            parser.error(f"{option_string} needs shtab: pip install 'etcd-dns[completion]'")
        for action in _actions(parser):
            if action.metavar in ("FILE", "DIR"):
                action.complete = shtab.FILE if action.metavar == "FILE" else shtab.DIRECTORY  # type: ignore[attr-defined]
        print(shtab.complete(parser, shell=str(values)))
        parser.exit()
