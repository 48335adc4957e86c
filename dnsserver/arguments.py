"""What can be typed: flags and environment variables, each with its help."""

import argparse
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from dnsserver.config import Override
from dnsserver.ops.metrics import build_version

DEFAULT_CONFIG: Final = "config/zone.yaml"


class Setting(NamedTuple):
    """A single value of the YAML that a flag or the environment may replace."""

    path: tuple[str, ...]
    is_list: bool
    help: str

    @property
    def flag(self) -> str:
        words = self.path[:-1] if self.path[-1] == "listen" and len(self.path) > 1 else self.path
        suffix = "-listen" if words != self.path else ""
        return "--" + "-".join(words).replace("_", "-") + suffix

    @property
    def variable(self) -> str:
        return "DNSSERVER_" + self.flag.removeprefix("--").replace("-", "_").upper()


SETTINGS: Final = (
    Setting(("listen",), True, "ADDRESS:PORT for UDP and TCP; several by commas"),
    Setting(("etcd", "endpoints"), True, "URLs of etcd's members; several by commas"),
    Setting(("etcd", "prefix"), False, "where the records are in etcd"),
    Setting(("etcd", "username"), False, "user of etcd"),
    Setting(("etcd", "password_file"), False, "file with the password of etcd"),
    Setting(("etcd", "ca_file"), False, "certificates that sign etcd's"),
    Setting(("etcd", "cert_file"), False, "own certificate for etcd"),
    Setting(("etcd", "key_file"), False, "its key"),
    Setting(("metrics", "listen"), False, "ADDRESS:PORT of /metrics"),
    Setting(("health", "listen"), False, "ADDRESS:PORT of /health"),
    Setting(("ready", "listen"), False, "ADDRESS:PORT of /ready"),
    Setting(("log", "level"), False, "debug, info, warning or error"),
    Setting(("log", "format"), False, "text or json"),
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    program = argparse.ArgumentParser(
        prog="dnsserver",
        description="Answer DNS queries for the zones of a YAML file from memory, as etcd's records change.",
        epilog="example: dnsserver --config config/zone.yaml --listen 127.0.0.1:1053",
        allow_abbrev=False,
    )
    program.add_argument("--version", action="version", version=f"dnsserver {build_version()}")
    program.add_argument("--check", action="store_true", help="check the configuration, print faults, exit")
    _add_settings(program, default=os.environ.get("DNSSERVER_CONFIG", DEFAULT_CONFIG))
    return program


def _add_settings(target: argparse.ArgumentParser, default: str) -> None:
    target.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help="the zone YAML (default: $DNSSERVER_CONFIG or %(default)s)",
    )
    single = target.add_argument_group("single values, instead of the file's")
    for setting in SETTINGS:
        single.add_argument(
            setting.flag,
            metavar="VALUE",
            action="append" if setting.is_list else "store",
            help=f"{setting.help} [${setting.variable}]",
        )


def overrides(arguments: argparse.Namespace, environment: Mapping[str, str]) -> list[Override]:
    """Return what flags and, where there is no flag, environment variables replace."""
    found = []
    for setting in SETTINGS:
        given: Any = getattr(arguments, setting.flag.removeprefix("--").replace("-", "_"))
        origin = setting.flag
        if given is None:
            given, origin = environment.get(setting.variable), setting.variable
        if given is None:
            continue
        if setting.is_list:
            words = given if isinstance(given, list) else [given]
            given = [item.strip() for word in words for item in word.split(",") if item.strip()]
        found.append(Override(origin, setting.path, given))
    return found
