"""argv and environment → configuration → server. Exit codes: 0 stopped, 1 cannot run, 2 bad input."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import uvloop

from dnsserver.config import ConfigError, Override, load
from dnsserver.config.load import static_records
from dnsserver.ops import log
from dnsserver.ops.metrics import build_version
from dnsserver.server import Server, etcd_address
from dnsserver.transport.sockets import ListenError

DEFAULT_CONFIG: Final = "config/zone.yaml"


class _Setting(NamedTuple):
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
    _Setting(("listen",), True, "ADDRESS:PORT for UDP and TCP; several by commas"),
    _Setting(("etcd", "endpoints"), True, "URLs of etcd's members; several by commas"),
    _Setting(("etcd", "prefix"), False, "where the records are in etcd"),
    _Setting(("etcd", "username"), False, "user of etcd"),
    _Setting(("etcd", "password_file"), False, "file with the password of etcd"),
    _Setting(("etcd", "ca_file"), False, "certificates that sign etcd's"),
    _Setting(("etcd", "cert_file"), False, "own certificate for etcd"),
    _Setting(("etcd", "key_file"), False, "its key"),
    _Setting(("metrics", "listen"), False, "ADDRESS:PORT of /metrics"),
    _Setting(("health", "listen"), False, "ADDRESS:PORT of /health"),
    _Setting(("ready", "listen"), False, "ADDRESS:PORT of /ready"),
    _Setting(("log", "level"), False, "debug, info, warning or error"),
    _Setting(("log", "format"), False, "text or json"),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dnsserver",
        description="Answer DNS queries for the zones of a YAML file from memory, as etcd's records change.",
        epilog="example: dnsserver --config config/zone.yaml --listen 127.0.0.1:1053",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dnsserver {build_version()}")
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=os.environ.get("DNSSERVER_CONFIG", DEFAULT_CONFIG),
        help="the zone YAML (default: $DNSSERVER_CONFIG or %(default)s)",
    )
    parser.add_argument("--check", action="store_true", help="check the configuration, print faults, exit")
    single = parser.add_argument_group("single values, instead of the file's")
    for setting in SETTINGS:
        single.add_argument(
            setting.flag,
            metavar="VALUE",
            action="append" if setting.is_list else "store",
            help=f"{setting.help} [${setting.variable}]",
        )
    return parser


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        config = load(Path(arguments.config), overrides(arguments, os.environ))
        log.configure(config.log.level, config.log.format)
        if config.etcd:
            etcd_address(config.etcd)
        if arguments.check:
            records = sum(len(static_records(zone, apex)) for zone in config.zones for apex in zone.name)
            print(f"{arguments.config}: good: {len(config.zones)} zones, {records} static records")
            return 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Server(config).run())
    except (ListenError, ConfigError) as error:
        print(f"dnsserver: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
