"""How one flag works: repeated ones, switches, and values with a unit."""

import argparse
from typing import Any, Never

from syncer.duration import parse_duration


class ConfigError(Exception):
    """Arguments that cannot be used. The text says which; exit status 2."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise ConfigError(message)


class Repeated(argparse.Action):
    """Collects values; the first one given replaces those of the environment."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        known = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*(() if known is self.default else known), values])


def repeated(group: argparse._ArgumentGroup, flag: str, metavar: str, help_: str, **more: Any) -> None:
    group.add_argument(flag, action=Repeated, metavar=metavar, help=f"{help_}; may be repeated", **more)


def switch(group: argparse._ArgumentGroup, flag: str, help_: str, *, default: bool = False) -> None:
    """Add `--flag`, `--flag=true`, `--flag=false` and `--no-flag`."""
    name = flag.removeprefix("--").replace("-", "_")
    group.add_argument(
        flag, nargs="?", const=True, default=default, type=_boolean, metavar="BOOL", dest=name, help=help_
    )
    group.add_argument(
        f"--no-{flag[2:]}", action="store_const", const=False, dest=name, help=argparse.SUPPRESS
    )


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return known[text.lower()]


def duration(text: str) -> float:
    return 0.0 if text in ("0", "0s") else positive_duration(text)


def share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; expected 0 to 1, as 0.3")
    return share


def positive_duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < seconds < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive duration")
    return seconds
