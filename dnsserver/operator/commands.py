"""The operator's commands: arguments in, text on standard output, an exit code back."""

import argparse
import glob
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rdatatype
import yaml

from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Tally
from dnsserver.arguments import overrides
from dnsserver.config import Config, load
from dnsserver.config.fields import record_type
from dnsserver.config.forward import Upstream
from dnsserver.operator import listing, snapshot
from dnsserver.operator.corefile.convert import Conversion, convert
from dnsserver.operator.corefile.parse import CorefileError, parse
from dnsserver.operator.corefile.plugins import PLUGINS
from dnsserver.operator.dig import response
from dnsserver.operator.explain import explain, outside
from dnsserver.operator.report import report
from dnsserver.operator.snapshot import Snapshot
from dnsserver.ops import log
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.wire import name
from dnsserver.wire.name import Name, NameFault
from dnsserver.zone.table import ZoneTable


class CommandError(Exception):
    """A command cannot do what was asked. The text says why, and what was expected."""


def run(arguments: argparse.Namespace) -> int:
    """Do what the command says and return its exit code."""
    log.configure("error")
    try:
        for line in _COMMANDS[arguments.command](arguments):
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except StoreUnavailable as error:
        print(f"dnsserver {arguments.command}: etcd does not answer: {error}", file=sys.stderr)
        print("set etcd.endpoints, or --etcd-endpoints, to where it is", file=sys.stderr)
        return 1
    except CommandError as error:
        print(f"dnsserver {arguments.command}: {error}", file=sys.stderr)
        return 2
    return 0


def _explain(arguments: argparse.Namespace) -> Iterator[str]:
    qname, qtype = _question(arguments)
    config, found = _snapshot(arguments)
    explained = explain(found.table, qname, qtype)
    with snapshot.reader(config) as look:
        yield from report(found, explained, look)
    end = outside(found.table, explained)
    if end and config.forward:
        upstreams = ", ".join(map(_shown, config.forward.upstreams))
        networks = ", ".join(map(str, config.forward.allow))
        yield f"forward   {name.to_text(end)} is asked of {upstreams}, for clients in {networks}"
    yield ""
    yield response(_asked(found.table, qname, qtype))


def _shown(upstream: Upstream) -> str:
    return f"{'tls://' if upstream.address.tls else ''}{upstream.address.address}"


def _question(arguments: argparse.Namespace) -> tuple[Name, int]:
    try:
        return name.from_text(arguments.name), record_type(arguments.type)
    except NameFault as fault:
        raise CommandError(f"{arguments.name}: expected a domain name: {fault}") from None
    except ValueError as error:
        raise CommandError(f"{arguments.type}: {error}") from None


def _asked(table: ZoneTable, qname: Name, qtype: int) -> dns.message.Message:
    """Return the response that a client of TCP with EDNS gets: whole, whatever its size."""
    query = dns.message.make_query(name.to_text(qname), dns.rdatatype.RdataType(qtype), use_edns=0, id=0)
    reply = Responder(table, Tally(), "tcp", _raise).slow(query.to_wire())
    assert reply is not None
    return dns.message.from_wire(reply)


def _raise(error: Exception) -> None:
    raise error


def _records(arguments: argparse.Namespace) -> Iterator[str]:
    _, found = _snapshot(arguments)
    zones = found.table.zones
    chosen = list(zones.values())
    if arguments.zone is not None:
        try:
            chosen = [zones[name.from_text(arguments.zone)]]
        except (NameFault, KeyError):
            served = ", ".join(map(name.to_text, zones))
            raise CommandError(f"--zone {arguments.zone}: not served; there is {served}") from None
    if arguments.output == "zonefile" and len(chosen) > 1:
        served = ", ".join(map(name.to_text, zones))
        raise CommandError(f"a zone file is of one zone; name it with --zone: {served}")
    for zone in chosen:
        yield from listing.FORMS[arguments.output](listing.listed(found.table, zone, found.outside), zone)


def _import_corefile(arguments: argparse.Namespace) -> Iterator[str]:
    file = Path(arguments.file)
    try:
        blocks = parse(file.read_text("utf-8"), str(file), _imported, os.environ)
        conversion = Conversion(str(file.parent.absolute()), lambda path: Path(path).read_text("utf-8"))
        data = convert(blocks, conversion, PLUGINS)
    except CorefileError as error:
        raise CommandError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        where = error.filename if isinstance(error, OSError) else file
        raise CommandError(f"{where}: {_reason(error)}") from None
    for remark in conversion.remarks:
        print(f"{remark.place}: {remark.text}", file=sys.stderr)
    if not data["zones"]:
        raise CommandError(f"{file}: no zone with data (etcd, file or hosts), so there is nothing to serve")
    yield yaml.safe_dump(data, sort_keys=False, allow_unicode=True).rstrip()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not UTF-8"


def _imported(pattern: str, importer: str) -> list[tuple[str, str]]:
    """Return the files that an import names, from the directory of the file that it stands in."""
    found = sorted(glob.glob(str(Path(importer).parent / pattern)))
    return [(path, Path(path).read_text("utf-8")) for path in found if Path(path).is_file()]


def _snapshot(arguments: argparse.Namespace) -> tuple[Config, Snapshot]:
    config = load(Path(arguments.config), overrides(arguments, os.environ))
    return config, snapshot.take(config)


_COMMANDS = {"explain": _explain, "records": _records, "import-corefile": _import_corefile}
