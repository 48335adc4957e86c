"""DNSEndpoint objects → endpoints. Pure.

An item names its own type and targets; what SkyDNS cannot hold, and what is no data of its type, is
rejected target by target.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from syncer.endpoint import MAX_TTL, Endpoint, ObjectRef, RecordType, Rejection, host_name, target_order
from syncer.source.annotations import read_wishes
from syncer.source.derived import Derived, derived
from syncer.source.filters import Options, is_selected
from syncer.source.reader import Object, Reader
from syncer.source.records import data_of
from syncer.source.shaping import with_default_targets

TYPES: Final[Mapping[str, RecordType]] = {type_: type_ for type_ in get_args(RecordType)}

MAX_TXT_LABEL: Final = 59
"""Octets: what `txt-` in front leaves of 63."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsEndpoint(Object):
    endpoints: tuple[Endpoint, ...] = ()


def read_dns_endpoint(raw: object) -> DnsEndpoint | Rejection:
    """Return the DNSEndpoint of a raw object, or why it is none."""
    reader = Reader("crd", raw)
    ref = reader.ref
    if isinstance(ref, Rejection):
        return ref
    endpoints: list[Endpoint] = []
    for item in reader.items(reader.mapping(reader.raw, "spec"), "endpoints", dict):
        try:
            endpoints += _read(item, reader, ref)
        except ValueError as error:
            reader.faults.append(Rejection(str(ref), "shape", f"spec.endpoints[]: {error}"))
    return DnsEndpoint(endpoints=tuple(endpoints), **reader.common())


def _read(item: Mapping[str, Any], reader: Reader, ref: ObjectRef) -> Iterator[Endpoint]:
    name = _name(reader.text(item, "dnsName"))
    shown = reader.text(item, "recordType")
    type_ = TYPES.get(shown)
    if type_ is None:
        raise ValueError(f"{name}: the type {shown[:20]!r} is none of {', '.join(TYPES)}")
    if type_ == "TXT" and len(name.partition(".")[0]) > MAX_TXT_LABEL:
        # Ownership of other types then stands in the record's own text.
        raise ValueError(f"{name} TXT: a first label of over {MAX_TXT_LABEL} octets")
    targets: dict[str, None] = {}
    for text in reader.items(item, "targets", str):
        try:
            targets[data_of(type_, text)] = None
        except ValueError as error:
            reader.faults.append(Rejection(str(ref), "target", f"{name} {type_}: {error}"))
    group = next(
        (
            reader.text(pair, "value")
            for pair in reader.items(item, "providerSpecific", dict)
            if pair.get("name") == "coredns/group"
        ),
        "",
    )
    # A CNAME has one target: several compete.
    split = [(text,) for text in targets] if type_ == "CNAME" else [tuple(sorted(targets, key=target_order))]
    for texts in split or [()]:
        yield Endpoint(
            name=name,
            type=type_,
            targets=texts,
            ttl=reader.number(item, "recordTTL", MAX_TTL),
            group=group,
            resource=ref,
        )


def _name(text: str) -> str:
    try:
        return host_name(text)
    except ValueError as error:
        raise ValueError(f"dnsName: {error}") from None


def endpoints_of_dns_endpoints(objects: Iterable[DnsEndpoint | Rejection], options: Options) -> Derived:
    """Return what DNSEndpoint objects ask for."""
    return derived((part for obj in objects for part in _endpoints_of(obj, options)), across_ttls=True)


def _endpoints_of(obj: DnsEndpoint | Rejection, options: Options) -> Iterator[Endpoint | Rejection]:
    if isinstance(obj, Rejection):
        yield obj
        return
    wishes = read_wishes(obj.annotations, obj.ref, options.annotation_prefixes)
    if is_selected(obj, options) and not wishes.is_ignored:
        yield from obj.faults
        for endpoint in obj.endpoints:
            if endpoint.targets or not options.default_targets:
                yield endpoint
            else:
                yield from with_default_targets(endpoint, options.default_targets)
