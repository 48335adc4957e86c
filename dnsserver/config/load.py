"""A file and overrides to a Config, or every fault in them."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path as FilePath
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dnsserver.config.document import Document, Fault, Path, Place, read
from dnsserver.config.fields import apexes
from dnsserver.config.files import Files
from dnsserver.config.forward import loops
from dnsserver.config.models import Config
from dnsserver.config.secrets import cookie_faults, etcd_password, key_name, tsig_secrets
from dnsserver.config.source import Override, Source
from dnsserver.config.zone import Soa, StaticLine, Zone
from dnsserver.source.static import StaticRecord, clashes
from dnsserver.source.zonefile import DNAME_FAULT, ZoneFile, ZoneFileFault, parse
from dnsserver.wire import const, name, rdata
from dnsserver.wire.name import Name, NameFault
from dnsserver.wire.rdata import RdataFault


class ConfigError(Exception):
    """Faults, one a line, each with its place and what was expected."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def load(file: FilePath, overrides: Iterable[Override] = (), files: Files | None = None) -> Config:
    """Read and check a zone YAML, and what it names, from the system or from `files` that were kept.

    Raises:
        ConfigError: with every fault of the file and of the overrides.
    """
    files, overrides = files or Files(file.parent), tuple(overrides)
    try:
        document = read(files.read(file).decode())
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: not UTF-8 at octet {error.start}"]) from None
    origins: dict[Path, str] = {}
    faults = list(document.faults)
    config = None
    if document.data is None or isinstance(document.data, dict):
        data = document.data or {}
        for override in overrides:
            _set(data, override)
            origins[override.path] = override.origin
        if document.data is not None or not faults:
            try:
                config = Config.model_validate(data)
            except ValidationError as error:
                faults += map(_fault, error.errors())
            if config and config.forward:
                faults += [
                    Fault(("forward", "upstreams", index, "address"), reason)
                    for index, reason in loops(config.forward.upstreams, config.listen)
                ]
            secrets, found = tsig_secrets(data, files)
            faults += found
            if config:
                for index, secret in secrets.items():
                    config.tsig[index]._secret = secret
                if config.etcd:
                    config.etcd._password, found = etcd_password(config.etcd, files)
                    faults += found
            faults += cookie_faults(data, files, config)
            found, imports = _semantic_faults(data, files)
            faults += found
            if config:
                for index, imported in imports.items():
                    config.zones[index]._imported = imported
    elif not faults:
        faults.append(Fault((), f"expected keys and values, got a {type(document.data).__name__}"))
    if faults or config is None:
        raise ConfigError([_line(fault, file, document, origins) for fault in _in_order(faults, document)])
    config._source = Source(file, overrides, files.kept)
    return config


def static_records(zone: Zone, apex: Name) -> list[StaticRecord]:
    """Return the records of a zone that has passed `load`: those of its file, and those of the YAML."""
    imported = zone.imported.records if zone.imported else []
    return imported + [
        StaticRecord(
            name.from_text(line.name, apex),
            line.type,
            zone.ttl if line.ttl is None else line.ttl,
            rdata.from_text(line.type, line.data, apex),
        )
        for line in zone.records
    ]


def _set(data: dict[str, Any], override: Override) -> None:
    for key in override.path[:-1]:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    data[override.path[-1]] = override.value


def _in_order(faults: list[Fault], document: Document) -> list[Fault]:
    return sorted(dict.fromkeys(faults), key=lambda fault: fault.place or _place(fault, document))


def _place(fault: Fault, document: Document) -> Any:
    return document.place(fault.path, of_key=fault.reason.startswith(_UNKNOWN))


def _line(fault: Fault, file: FilePath, document: Document, origins: dict[Path, str]) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault.path).lstrip(".")
    for path, origin in origins.items():
        if fault.path[: len(path)] == path:
            return f"{origin}: {fault.reason}"
    if fault.file:
        return f"{fault.file}:{fault.place.line if fault.place else 1}: {fault.reason}"
    place = fault.place or _place(fault, document)
    return f"{file}:{place.line}:{place.column}: {where + ': ' if where else ''}{fault.reason}"


_UNKNOWN: Final = "unknown key"


def _fault(error: ErrorDetails) -> Fault:
    path = tuple(error["loc"])
    shown = repr(error["input"])
    got = f", got {shown if len(shown) < 60 else shown[:57] + '...'}"
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), _known_keys(path[:-1]), 1, 0.5)
            return Fault(path, f"{_UNKNOWN}; did you mean {near[0]}?" if near else _UNKNOWN)
        case "missing":
            return Fault(path[:-1], f"missing key {path[-1]}")
        case "value_error":
            return Fault(path, f"{context['error']}{'' if isinstance(error['input'], dict) else got}")
        case "int_type" | "int_from_float":
            return Fault(path, f"expected a whole number{got}")
        case "string_type":
            return Fault(path, f"expected a string; quote it{got}")
        case "list_type":
            return Fault(path, f"expected a list{got}")
        case "model_type" | "model_attributes_type":
            return Fault(path, f"expected keys and values{got}")
        case "too_short":
            return Fault(path, "expected at least one")
        case "literal_error":
            return Fault(path, f"expected {context['expected']}{got}")
        case "greater_than_equal" | "less_than_equal":
            words = "at least" if "ge" in context else "at most"
            return Fault(path, f"expected {words} {context.get('ge', context.get('le'))}{got}")
        case _:
            message = re.sub("^(Input|String) should ", "expected to ", error["msg"])
            return Fault(path, f"{message}{got}")


def _known_keys(path: Path) -> list[str]:
    model: Any = Config
    for part in path:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(found for part in get_args(annotation) if (found := _model_in(part)))


def _semantic_faults(data: dict[str, Any], files: Files) -> tuple[list[Fault], dict[int, ZoneFile]]:
    """Return the faults that no single value shows, and the zone files read.

    Of what is broken in itself nothing is said twice.
    """
    zones = data.get("zones")
    faults: list[Fault] = []
    imports: dict[int, ZoneFile] = {}
    seen: set[Name] = set()
    for index, zone in enumerate(zones if isinstance(zones, list) else ()):
        path = ("zones", index)
        try:
            names = apexes(zone["name"])
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        if seen & set(names):
            faults.append(Fault((*path, "name"), f"{zone['name']}: a second zone of this name"))
        seen.update(names)
        faults += _soa_faults(zone, names[0], path)
        faults += _key_faults(data, zone, path)
        imported = None
        if isinstance(zone.get("file"), str) and zone["file"]:
            found = _zone_file(zone, names, files, path)
            if isinstance(found, Fault):
                faults.append(found)
            else:
                imported = imports[index] = found
        faults += _record_faults(zone, names[0], imported, path)
    return faults, imports


def _key_faults(data: dict[str, Any], zone: dict[str, Any], path: Path) -> list[Fault]:
    """Return the keys that a zone's transfers want and `tsig` has not."""
    keys = data.get("tsig")
    known = [key.get("name") for key in (keys if isinstance(keys, list) else ()) if isinstance(key, dict)]
    names = {key_name(text) for text in known}
    transfer, faults = zone.get("transfer"), []
    for part in ("allow", "notify"):
        lines = transfer.get(part) if isinstance(transfer, dict) else None
        for index, line in enumerate(lines if isinstance(lines, list) else ()):
            text = line.get("key") if isinstance(line, dict) else None
            wanted = key_name(text)
            if wanted is None or wanted in names:
                continue
            near = difflib.get_close_matches(str(text), [str(known_) for known_ in known], 1, 0.5)
            reason = f"{text}: no key of this name under tsig" + (
                f"; did you mean {near[0]}?" if near else ""
            )
            faults.append(Fault((*path, "transfer", part, index, "key"), reason))
    return faults


def _zone_file(zone: dict[str, Any], names: tuple[Name, ...], files: Files, path: Path) -> ZoneFile | Fault:
    here = (*path, "file")
    file = files.directory / zone["file"]
    if len(names) > 1:
        return Fault(here, f"a file is for one zone; {zone['name']} stands for {len(names)}")
    ttl = zone.get("ttl")
    try:
        return parse(files.read(file).decode(), names[0], ttl if isinstance(ttl, int) else 300)
    except OSError as error:
        return Fault(here, f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return Fault(here, f"{file} is not UTF-8")
    except ZoneFileFault as fault:
        return Fault(here, str(fault), Place(fault.line, 1), str(file))


def _soa_faults(zone: dict[str, Any], apex: Name, path: Path) -> list[Fault]:
    soa, faults = zone.get("soa"), []
    for key in ("mname", "rname"):
        text = soa.get(key) if isinstance(soa, dict) else None
        if not isinstance(text, str):
            continue
        try:
            name.from_text(text, apex)
        except NameFault as fault:
            faults.append(Fault((*path, "soa", key), f"expected a domain name: {fault}"))
        if "@" in text and text != "@":
            faults.append(
                Fault((*path, "soa", key), "expected a domain name; a mail address has a dot for @")
            )
    return faults


_NOT_STATIC: Final = {
    const.SOA: "the SOA is made of the zone's soa",
    const.DNAME: DNAME_FAULT,
    **dict.fromkeys((const.OPT, const.TSIG, const.IXFR, const.AXFR, const.ANY), "no type that a zone holds"),
}


def _record_faults(zone: dict[str, Any], apex: Name, imported: ZoneFile | None, path: Path) -> list[Fault]:
    lines, faults = zone.get("records"), []
    records: dict[int, StaticRecord] = {}
    for index, raw in enumerate(lines if isinstance(lines, list) else ()):
        here = (*path, "records", index)
        try:
            line = StaticLine.model_validate(raw)
        except ValidationError:
            continue
        try:
            owner = name.from_text(line.name, apex)
            if not name.is_within(owner, apex):
                raise NameFault(
                    f"{line.name} is outside the zone; names without a final dot are relative to it"
                )
        except NameFault as fault:
            faults.append(Fault((*here, "name"), str(fault)))
            continue
        try:
            if line.type in _NOT_STATIC:
                raise RdataFault(_NOT_STATIC[line.type])
            records[index] = StaticRecord(owner, line.type, 0, rdata.from_text(line.type, line.data, apex))
        except (RdataFault, NameFault) as fault:
            faults.append(Fault((*here, "data"), str(fault)))
    indices = list(records)
    before = imported.records if imported else []
    for clash in clashes([*before, *records.values()]):
        if clash.record >= len(before):
            faults.append(Fault((*path, "records", indices[clash.record - len(before)]), clash.reason))
        elif imported:
            place = Place(imported.lines[clash.record], 1)
            faults.append(Fault((*path, "file"), clash.reason, place, str(zone["file"])))
    return faults


def soa_names(soa: Soa, apex: Name) -> tuple[Name, Name]:
    """Return mname and rname of a zone that has passed `load`."""
    return name.from_text(soa.mname, apex), name.from_text(soa.rname, apex)
