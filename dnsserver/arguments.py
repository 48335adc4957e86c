"""What can be typed: flags, environment variables and commands, each with its help."""

import argparse
import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from dnsserver.config import Override
from dnsserver.ops.completion import add_completion
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
    Setting(("state_dir",), False, "where the last table is kept over a restart"),
    Setting(("metrics", "listen"), False, "ADDRESS:PORT of /metrics"),
    Setting(("health", "listen"), False, "ADDRESS:PORT of /health"),
    Setting(("ready", "listen"), False, "ADDRESS:PORT of /ready"),
    Setting(("status", "listen"), False, "ADDRESS:PORT of the status page"),
    Setting(("log", "level"), False, "debug, info, warning or error"),
    Setting(("log", "format"), False, "text or json"),
)

_EPILOG: Final = """\
examples:
  dnsserver --config config/zone.yaml --check              every fault of the file, and nothing else
  dnsserver --config config/zone.yaml --listen 127.0.0.1:1053
  dnsserver explain www.k8s.local A                        which keys make this answer, and why
  dnsserver records --output zonefile > k8s.local.zone
  dnsserver import-corefile /etc/coredns/Corefile > zone.yaml

completions of bash, zsh and fish (they need shtab: pip install 'etcd-dns[completion]'):
  eval "$(dnsserver --print-completion bash)"

exit status:
  0  stopped by a signal, or the command has done its work
  1  cannot run: an address is taken, or etcd does not answer a command that reads it
  2  bad input: the command line, the zone YAML, or another file that was named

`dnsserver COMMAND --help` has more about a command."""

_EXPLAIN: Final = """\
Tell what the server answers to a question and why: the zone, the outcome, each key of etcd or line of the
configuration that was looked at with what became of it, and the response as dig prints it. It reads the
configuration and, once, etcd; no server need run, and nothing is written."""

_EXPLAIN_EPILOG: Final = """\
examples:
  dnsserver explain stilton.k8s.local
  dnsserver explain _http._tcp.www.k8s.local SRV --config /etc/dnsserver/zone.yaml
  dnsserver explain no-such-name.k8s.local AAAA --etcd-endpoints http://127.0.0.1:2379

exit status:
  0  explained, whatever the outcome
  1  etcd does not answer
  2  no name, no type, or a fault in the configuration"""

_RECORDS: Final = """\
List what is served, each record with the key of etcd and the object that it comes from. It reads the
configuration and, once, etcd. As in a zone transfer, what SkyDNS only tells again of a host is left out: SRV
records without a port, and the PTR of a host name outside reverse zones."""

_RECORDS_EPILOG: Final = """\
examples:
  dnsserver records --zone k8s.local
  dnsserver records --output json | jq -r 'select(.object == "ingress/default/cheese") | .name'
  dnsserver records --zone k8s.local --output zonefile > k8s.local.zone

json is one object a line: zone, name, type, ttl, data, key, object; the last two are null for a record of the
configuration, object also where no ownership text is found. zonefile is for one zone; it can be given to any
name server, this one included (`file:`).

exit status: as of `dnsserver explain`"""


_IMPORT: Final = """\
Turn a Corefile of CoreDNS into a zone YAML, on standard output. What has no counterpart, or another one than
may be expected, is told on standard error with file and line."""

_IMPORT_EPILOG: Final = """\
examples:
  dnsserver import-corefile Corefile > zone.yaml
  dnsserver --config zone.yaml --check

exit status:
  0  converted; standard error says what was not
  2  the file cannot be read or is no Corefile, or no zone is left"""


class _Parser(argparse.ArgumentParser):
    """Says in one line what was not understood, and where help is."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        # Before the rest, of which the value of an unknown flag would be taken for the command.
        known = set(_flags(self))
        for word in sys.argv[1:] if args is None else args:
            flag = word.partition("=")[0]
            if word == "--":
                break
            if flag.startswith("--") and flag not in known:
                near = difflib.get_close_matches(flag, known, 1)
                self.error(f"unknown flag {flag}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` says more\n")


def _flags(target: argparse.ArgumentParser) -> Iterator[str]:
    for action in target._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _flags(command)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; without a command the server runs."""
    program = _Parser(
        prog="dnsserver",
        usage="dnsserver [--config FILE] [--check] [FLAG ...]\n       dnsserver COMMAND [ARGUMENT ...]",
        description="Answer DNS queries for the zones of a YAML file from memory, as etcd's records change.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    program.add_argument("--version", action="version", version=f"dnsserver {build_version()}")
    program.add_argument("--check", action="store_true", help="check the configuration, print faults, exit")
    add_completion(program)
    program.set_defaults(command=None)
    _add_settings(program, default=os.environ.get("DNSSERVER_CONFIG", DEFAULT_CONFIG))
    commands = program.add_subparsers(
        metavar="COMMAND", title="commands, instead of serving", parser_class=_Parser, prog="dnsserver"
    )
    usage = "explain NAME [TYPE] [--config FILE] [FLAG ...]"
    explain = _command(commands, usage, "tell which keys make an answer, and why", _EXPLAIN, _EXPLAIN_EPILOG)
    explain.add_argument("name", metavar="NAME", help="a domain name, with or without the final dot")
    explain.add_argument("type", metavar="TYPE", nargs="?", default="A", help="a type (default: %(default)s)")
    usage = "records [--zone ZONE] [--output FORM] [--config FILE] [FLAG ...]"
    records = _command(commands, usage, "list what is served", _RECORDS, _RECORDS_EPILOG)
    records.add_argument("--zone", help="only this zone")
    records.add_argument(
        "--output", choices=("text", "json", "zonefile"), default="text", help="(default: %(default)s)"
    )
    for command in (explain, records):
        _add_settings(command, default=argparse.SUPPRESS)
    usage = "import-corefile FILE"
    corefile = _command(commands, usage, "turn a Corefile into a zone YAML", _IMPORT, _IMPORT_EPILOG)
    corefile.add_argument("file", metavar="FILE", help="the Corefile")
    return program


def _command(commands: Any, usage: str, summary: str, text: str, epilog: str) -> argparse.ArgumentParser:
    name = usage.split()[0]
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        usage=f"dnsserver {usage}",
        help=summary,
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(command=name)
    return command


def _add_settings(target: argparse.ArgumentParser, default: str) -> None:
    """Add what says where the configuration is. A command's must not undo what stands before it."""
    shown = "%(default)s" if default is not argparse.SUPPRESS else DEFAULT_CONFIG
    target.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help=f"the zone YAML (default: $DNSSERVER_CONFIG or {shown})",
    )
    single = target.add_argument_group("single values, instead of the file's")
    for setting in SETTINGS:
        single.add_argument(
            setting.flag,
            metavar="VALUE",
            action="append" if setting.is_list else "store",
            default=None if default is not argparse.SUPPRESS else default,
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
