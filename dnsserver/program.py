"""argv and environment → configuration → server, or an operator's command. Exit codes: `dnsserver --help`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from dnsserver.arguments import overrides, parser
from dnsserver.config import Config, ConfigError, load
from dnsserver.config.load import static_records
from dnsserver.lifecycle import Lifecycle
from dnsserver.operator import commands
from dnsserver.ops import log
from dnsserver.server import Server
from dnsserver.transport.sockets import ListenError
from dnsserver.workers import cpus
from dnsserver.workers.parent import Workers


def _configuration(arguments: argparse.Namespace) -> Config:
    return load(Path(arguments.config), overrides(arguments, os.environ))


def _check(arguments: argparse.Namespace) -> int:
    config = _configuration(arguments)
    records = sum(len(static_records(zone, apex)) for zone in config.zones for apex in zone.name)
    print(f"{arguments.config}: good: {len(config.zones)} zones, {records} static records")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    if arguments.check:
        return _check(arguments)
    config = _configuration(arguments)
    log.configure(config.log.level, config.log.format)

    async def serve() -> None:
        count = cpus.usable() if config.workers == "auto" else config.workers
        serving = Server(config) if count == 1 else Workers(config, count)
        await Lifecycle(config, lambda: _configuration(arguments), serving).run()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    except ListenError as error:
        print(f"dnsserver: {error}", file=sys.stderr)
        return 1
    return 0


def run(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit code."""
    arguments = parser().parse_args(argv)
    try:
        return commands.run(arguments) if arguments.command else _serve(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
