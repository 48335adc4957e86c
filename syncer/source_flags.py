"""The flags that say which objects and names count and what becomes of them; each named as ExternalDNS's."""

import argparse
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Final, TypeVar, get_args

from syncer.arguments import ConfigError, duration, repeated, switch
from syncer.endpoint import MAX_TTL, RecordType, target
from syncer.source.annotations import PREFIXES
from syncer.source.filters import DomainFilter, NameFilter, Options, RegexFilter
from syncer.source.selector import Selector
from syncer.source.service import TYPES
from syncer.source.shaping import MANAGED, Network, Shape
from syncer.source.template import NameTemplate
from syncer.source.tenants import Tenants

OBJECTS: Final = (
    "service", "ingress", "node", "crd", "gateway-httproute", "gateway-grpcroute", "gateway-tlsroute",
)  # fmt: skip
SOURCES: Final = (*OBJECTS, "manifests")
RECORD_TYPES: Final[tuple[str, ...]] = get_args(RecordType)
MAX_REGEX: Final = 1_000
"""Characters of an expression for names."""

T = TypeVar("T")


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    _add_sources(parser.add_argument_group("where names come from"))
    _add_services(parser.add_argument_group("what is taken from Services, Ingresses and routes"))
    _add_filters(parser.add_argument_group("which objects and names count"))
    _add_shape(parser.add_argument_group("what becomes of the records"))


def _add_sources(group: argparse._ArgumentGroup) -> None:
    repeated(group, "--source", "SOURCE", f"{', '.join(SOURCES)}", choices=SOURCES)
    group.add_argument(
        "--manifests", metavar="DIR", help="the directory of --source=manifests: the same objects as YAML"
    )
    repeated(
        group,
        "--manifests-source",
        "SOURCE",
        "of these (default: all but node)",
        choices=OBJECTS,
    )
    group.add_argument(
        "--annotation-prefix",
        metavar="PREFIX",
        help=f"read this prefix only (default: {' and '.join(PREFIXES)})",
    )
    repeated(group, "--fqdn-template", "TEMPLATE", "names for objects without any, as {{.Name}}.k8s.local")
    switch(group, "--combine-fqdn-annotation", "take the template's names beside those asked for")
    switch(group, "--ignore-hostname-annotation", "take no names from annotations")
    group.add_argument(
        "--crd-source-apiversion",
        metavar="GROUP/VERSION",
        default="externaldns.k8s.io/v1alpha1",
        help="of --source=crd (default: externaldns.k8s.io/v1alpha1)",
    )
    group.add_argument(
        "--crd-source-kind", metavar="KIND", default="DNSEndpoint", help="default: DNSEndpoint"
    )


def _add_services(group: argparse._ArgumentGroup) -> None:
    repeated(group, "--service-type-filter", "TYPE", f"Services of this type: {', '.join(sorted(TYPES))}")
    switch(
        group,
        "--resolve-service-load-balancer-hostname",
        "publish a LoadBalancer's host name as its addresses, not as CNAME",
    )
    switch(group, "--publish-internal-services", "publish the cluster address of ClusterIP Services too")
    switch(group, "--publish-host-ip", "publish headless Services with their Pods' host addresses")
    switch(group, "--always-publish-not-ready-addresses", "publish headless Services with all their Pods")
    switch(group, "--exclude-unschedulable", "leave out cordoned nodes (default: true)", default=True)
    switch(group, "--expose-internal-ipv6", "count internal IPv6 addresses of nodes as external too")
    repeated(group, "--ingress-class", "CLASS", "Ingresses of this class")
    switch(group, "--ignore-ingress-rules-spec", "take no names from the rules of Ingresses")
    switch(group, "--ignore-ingress-tls-spec", "take no names from the tls blocks of Ingresses")
    group.add_argument("--gateway-name", metavar="NAME", default="", help="routes of Gateways of this name")
    group.add_argument(
        "--gateway-namespace", metavar="NAME", default="", help="routes of Gateways of this namespace"
    )
    group.add_argument(
        "--gateway-label-filter", metavar="SELECTOR", default="", help="routes of Gateways with these labels"
    )


def _add_filters(group: argparse._ArgumentGroup) -> None:
    repeated(group, "--namespace", "NAME", "objects of this namespace (default: all)")
    group.add_argument(
        "--label-filter",
        metavar="SELECTOR",
        default="",
        help="objects with these labels, as a=b,c!=d",
    )
    group.add_argument(
        "--annotation-filter", metavar="SELECTOR", default="", help="objects with these annotations"
    )
    repeated(group, "--domain-filter", "DOMAIN", "names in this domain; .DOMAIN leaves out the domain itself")
    repeated(group, "--exclude-domains", "DOMAIN", "no names in this domain")
    group.add_argument(
        "--regex-domain-filter",
        metavar="REGEX",
        default="",
        help="names it is found in, not the above",
    )
    group.add_argument("--regex-domain-exclusion", metavar="REGEX", default="", help="no names with it")
    repeated(
        group,
        "--namespace-domains",
        "NAMESPACE=DOMAIN,…",
        "objects of a namespace get names in its domains alone; * is every namespace not named",
    )
    repeated(group, "--nat64-networks", "NET", "A records too for AAAA records within, as 64:ff9b::/96")
    repeated(group, "--target-net-filter", "NET", "addresses within, and no other targets")
    repeated(group, "--exclude-target-net", "NET", "no addresses within")
    repeated(
        group,
        "--managed-record-types",
        "TYPE",
        f"of {', '.join(RECORD_TYPES)} (default: {', '.join(sorted(MANAGED))})",
        choices=RECORD_TYPES,
    )
    repeated(group, "--exclude-record-types", "TYPE", "of these not", choices=RECORD_TYPES)


def _add_shape(group: argparse._ArgumentGroup) -> None:
    repeated(group, "--default-targets", "TARGET", "of the items of a DNSEndpoint that name none")
    switch(group, "--force-default-targets", "of everything that has a target, in its place")
    group.add_argument(
        "--min-ttl",
        "--default-ttl",
        metavar="DURATION",
        default="0s",
        dest="min_ttl",
        type=duration,
        help="of records for which nothing sets a TTL (default: the zone's)",
    )
    switch(group, "--create-ptr", "write PTR records for all addresses; needs --managed-record-types=PTR")


def _each(flag: str, texts: Iterable[str] | None, parse: Callable[[str], T]) -> tuple[T, ...]:
    found = []
    for text in texts or ():
        try:
            found.append(parse(text))
        except ValueError as error:
            raise ConfigError(f"{flag}: {error}") from None
    return tuple(found)


def _selector(flag: str, text: str) -> Selector:
    return _each(flag, [text], Selector.of)[0]


def options_of(arguments: argparse.Namespace) -> Options:
    """Return what the sources are to be told.

    Raises:
        ConfigError: a value that cannot be used.
    """
    prefix = arguments.annotation_prefix
    if prefix is not None and not prefix.endswith("/"):
        raise ConfigError("--annotation-prefix must end in /")
    if unknown := sorted(set(arguments.service_type_filter or ()) - TYPES):
        raise ConfigError(
            f"--service-type-filter: {', '.join(unknown)} is none of {', '.join(sorted(TYPES))}"
        )
    return Options(
        annotation_prefixes=(prefix,) if prefix else PREFIXES,
        namespaces=frozenset(filter(None, arguments.namespace or ())),
        label_filter=_selector("--label-filter", arguments.label_filter),
        annotation_filter=_selector("--annotation-filter", arguments.annotation_filter),
        templates=bool(arguments.fqdn_template),
        combine_fqdn_annotation=arguments.combine_fqdn_annotation,
        ingress_classes=frozenset(arguments.ingress_class or ()),
        ignore_hostname_annotation=arguments.ignore_hostname_annotation,
        ignore_ingress_rules_spec=arguments.ignore_ingress_rules_spec,
        ignore_ingress_tls_spec=arguments.ignore_ingress_tls_spec,
        service_types=frozenset(arguments.service_type_filter or ()),
        resolve_service_load_balancer_hostname=arguments.resolve_service_load_balancer_hostname,
        publish_internal_services=arguments.publish_internal_services,
        publish_host_ip=arguments.publish_host_ip,
        always_publish_not_ready_addresses=arguments.always_publish_not_ready_addresses,
        exclude_unschedulable=arguments.exclude_unschedulable,
        expose_internal_ipv6=arguments.expose_internal_ipv6,
        default_targets=_each("--default-targets", arguments.default_targets, target),
        gateway_name=arguments.gateway_name,
        gateway_namespace=arguments.gateway_namespace,
        gateway_label_filter=_selector("--gateway-label-filter", arguments.gateway_label_filter),
    )


def shape_of(arguments: argparse.Namespace) -> Shape:
    """Return what becomes of the records.

    Raises:
        ConfigError: a value that cannot be used.
    """
    managed = frozenset(arguments.managed_record_types or MANAGED) - frozenset(
        arguments.exclude_record_types or ()
    )
    if arguments.create_ptr and "PTR" not in managed:
        raise ConfigError("--create-ptr needs PTR among --managed-record-types")
    if arguments.force_default_targets and not arguments.default_targets:
        raise ConfigError("--force-default-targets needs --default-targets")
    return Shape(
        default_targets=_each("--default-targets", arguments.default_targets, target),
        force_default_targets=arguments.force_default_targets,
        nat64_networks=_each("--nat64-networks", arguments.nat64_networks, _nat64_network),
        target_net_filter=_each("--target-net-filter", arguments.target_net_filter, _network),
        exclude_target_net=_each("--exclude-target-net", arguments.exclude_target_net, _network),
        default_ttl=min(_whole_seconds(arguments.min_ttl), MAX_TTL),
        create_ptr=arguments.create_ptr,
        managed_types=managed,
    )


def _whole_seconds(value: str | float) -> int:
    return int(duration(value) if isinstance(value, str) else value)


def _nat64_network(text: str) -> Network:
    network = _network(text)
    if network.version != 6 or network.prefixlen != 96:
        raise ValueError(f"{text}: expected a network of IPv6 with 96 bits, as 64:ff9b::/96")
    return network


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def name_filter_of(arguments: argparse.Namespace) -> NameFilter:
    """Return which names may be written.

    Raises:
        ConfigError: no regular expression.
    """
    include = _regex("--regex-domain-filter", arguments.regex_domain_filter)
    exclude = _regex("--regex-domain-exclusion", arguments.regex_domain_exclusion)
    if include or exclude:
        return RegexFilter(include, exclude)
    return DomainFilter.of(arguments.domain_filter or (), arguments.exclude_domains or ())


def _regex(flag: str, text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        if len(text) > MAX_REGEX:
            raise ConfigError(f"{flag}: over {MAX_REGEX} characters")
        return re.compile(text, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"{flag}={text}: {error}") from None


def template_of(arguments: argparse.Namespace) -> NameTemplate | None:
    """Return the template for names.

    Raises:
        ConfigError: one that cannot be parsed; the text says where.
    """
    texts = arguments.fqdn_template
    return _each("--fqdn-template", [""], lambda _: NameTemplate(texts))[0] if texts else None


def crd_of(arguments: argparse.Namespace) -> tuple[str, str, str]:
    """Return group, version and kind of --source=crd.

    Raises:
        ConfigError: no group and version.
    """
    group, slash, version = arguments.crd_source_apiversion.partition("/")
    if not (group and slash and version):
        raise ConfigError(
            f"--crd-source-apiversion={arguments.crd_source_apiversion}: expected GROUP/VERSION"
        )
    return group, version, arguments.crd_source_kind


def tenants_of(arguments: argparse.Namespace) -> Tenants:
    """Return which namespace may claim which names.

    Raises:
        ConfigError: no NAMESPACE=DOMAIN.
    """
    return _each("--namespace-domains", [""], lambda _: Tenants.of(arguments.namespace_domains or ()))[0]


def manifest_sources_of(arguments: argparse.Namespace) -> frozenset[str]:
    return frozenset(arguments.manifests_source or set(OBJECTS) - {"node"})
