"""argv and environment → a checked configuration, with ExternalDNS's names.

A flag stands above its variable `EXTERNAL_DNS_<FLAG>`, and that above the default. A flag that may be
given several times takes one value a line in its variable.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dnsserver.ops import log
from dnsserver.skydns.address import EtcdAddress, endpoint_fault
from dnsserver.skydns.key import Key, prefix_of
from syncer.duration import parse_duration
from syncer.flags import LEVELS, ConfigError, new_parser, take_environment, unknown_flag, without_effect
from syncer.plan import Policy
from syncer.registry.ownership import Convention, Naming, Sealing, is_affix, is_owner_id
from syncer.source.filters import NameFilter, Options
from syncer.source.shaping import Shape
from syncer.source.template import NameTemplate
from syncer.source.tenants import Tenants
from syncer.source_flags import (
    SOURCES,
    crd_of,
    manifest_sources_of,
    name_filter_of,
    options_of,
    shape_of,
    template_of,
    tenants_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    sources: frozenset[str]
    manifests: Path | None
    manifest_sources: frozenset[str]
    """What of the objects in the manifests is published."""
    options: Options
    names: NameTemplate | None
    """--fqdn-template."""
    shape: Shape
    tenants: Tenants
    domain_filter: NameFilter
    crd: tuple[str, str, str]
    """Group, version and kind of DNSEndpoints."""
    kubeconfig: str
    """Path; empty: the environment's, or the Pod's service account."""
    server: str
    """URL of the API server; empty: the kubeconfig's."""
    in_cluster: bool
    """This is a Pod: Kubernetes says where its API is."""
    request_timeout: float
    """Seconds for a call to the Kubernetes API that is not a watch."""
    etcd: EtcdAddress
    prefix: Key
    policy: Policy
    owner_id: str
    convention: Convention
    interval: float
    """Seconds between two full resyncs."""
    deletion_grace: float
    """Seconds."""
    max_delete_share: float
    leader_elect: bool
    once: bool
    dry_run: bool
    output: Literal["text", "json"]
    """How --dry-run and --once print changes."""
    events: frozenset[str]
    """Reasons of events that are written to the API."""
    metrics_host: str
    """Empty: all addresses."""
    metrics_port: int
    log_level: log.Level
    log_format: log.Format
    warnings: tuple[str, ...] = ()
    """What was accepted and has no effect; to be logged."""


def load(argv: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Return the configuration.

    Raises:
        ConfigError: an unknown flag, or a value that cannot be used.
        SystemExit: `--help` or `--version` was asked for.
    """
    parser = new_parser()
    warnings = take_environment(parser, environment)
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        raise ConfigError(unknown_flag(parser, unknown[0]))
    _check(arguments)
    return _config(arguments, environment, (*warnings, *without_effect(arguments)))


def _check(arguments: argparse.Namespace) -> None:
    sources = set(arguments.source or ())
    faults = (
        (not sources, f"no --source; expected one of {', '.join(SOURCES)}"),
        ("manifests" in sources and not arguments.manifests, "--source=manifests needs --manifests=DIR"),
        (arguments.manifests and "manifests" not in sources, "--manifests needs --source=manifests"),
        (
            "manifests" in sources and arguments.manifests and not Path(arguments.manifests).is_dir(),
            f"--manifests={arguments.manifests}: no such directory",
        ),
        (
            arguments.server and not arguments.server.startswith(("http://", "https://")),
            f"--server={arguments.server}: expected http://HOST:PORT or https://HOST:PORT",
        ),
        (
            arguments.provider != "coredns",
            f"--provider={arguments.provider}: syncer writes to etcd only (coredns)",
        ),
        (
            bool(arguments.events_emit) and sources == {"manifests"},
            "--events-emit needs a source from the Kubernetes API",
        ),
        *_ownership_faults(arguments),
        (not is_owner_id(arguments.txt_owner_id), "--txt-owner-id: expected letters, digits and _.:/@-"),
        (not arguments.coredns_prefix.strip("/"), "--coredns-prefix: expected a path such as /skydns/"),
        (
            f"{arguments.coredns_prefix.strip('/')}/".startswith("syncer/"),
            "--coredns-prefix: /syncer/ is where syncers keep who leads them",
        ),
    )
    for is_fault, text in faults:
        if is_fault:
            raise ConfigError(text)


def _ownership_faults(arguments: argparse.Namespace) -> Iterator[tuple[bool, str]]:
    affixes = (arguments.txt_prefix, arguments.txt_suffix, arguments.txt_wildcard_replacement)
    old, has_texts = arguments.migrate_from_txt_owner, arguments.registry == "txt"
    yield (
        bool(arguments.txt_encrypt_enabled and not arguments.txt_encrypt_aes_key),
        "--txt-encrypt-enabled needs --txt-encrypt-aes-key",
    )
    yield bool(affixes[0] and affixes[1]), "--txt-prefix and --txt-suffix: expected one of them"
    yield (
        not all(map(is_affix, affixes)) or "%" in affixes[2] or "." in affixes[2],
        "--txt-prefix, --txt-suffix: expected letters, digits, _, -, . and %{record_type}; "
        "--txt-wildcard-replacement: expected a label",
    )
    yield bool(old) and not is_owner_id(old), "--migrate-from-txt-owner: expected an owner id"
    yield (
        bool(old) and old == arguments.txt_owner_id,
        "--migrate-from-txt-owner: that is --txt-owner-id itself",
    )
    yield (
        not has_texts and bool(old or arguments.coredns_strictly_owned),
        "--registry=noop keeps no ownership: it goes with neither --migrate-from-txt-owner nor "
        "--coredns-strictly-owned",
    )


def _convention(arguments: argparse.Namespace) -> Convention:
    return Convention(
        naming=Naming(
            prefix=arguments.txt_prefix,
            suffix=arguments.txt_suffix,
            wildcard=arguments.txt_wildcard_replacement,
        ),
        has_texts=arguments.registry == "txt",
        is_strict=arguments.coredns_strictly_owned,
        seal=_seal(arguments.txt_encrypt_aes_key),
        is_sealed=arguments.txt_encrypt_enabled,
        migrate_from=arguments.migrate_from_txt_owner,
    )


def _seal(key: str) -> Sealing | None:
    if not key:
        return None
    try:
        from syncer.registry.sealing import Seal

        return Seal.of(key)
    except ImportError:
        raise ConfigError(
            "--txt-encrypt-aes-key: the package cryptography is not installed: pip install 'etcd-dns[syncer]'"
        ) from None
    except ValueError as error:
        raise ConfigError(f"--txt-encrypt-aes-key: {error}") from None


def _config(
    arguments: argparse.Namespace, environment: Mapping[str, str], warnings: tuple[str, ...]
) -> Config:
    host, port = _listen_address(arguments.metrics_address)
    return Config(
        sources=frozenset(arguments.source),
        manifests=Path(arguments.manifests) if arguments.manifests else None,
        manifest_sources=manifest_sources_of(arguments),
        options=options_of(arguments),
        names=template_of(arguments),
        shape=shape_of(arguments),
        tenants=tenants_of(arguments),
        domain_filter=name_filter_of(arguments),
        crd=crd_of(arguments),
        kubeconfig=arguments.kubeconfig,
        server=arguments.server,
        in_cluster="KUBERNETES_SERVICE_HOST" in environment,
        request_timeout=_seconds(arguments.request_timeout),
        etcd=_etcd_address(environment),
        prefix=prefix_of(arguments.coredns_prefix),
        policy=arguments.policy,
        owner_id=arguments.txt_owner_id,
        convention=_convention(arguments),
        interval=_seconds(arguments.interval),
        deletion_grace=_seconds(arguments.deletion_grace),
        max_delete_share=arguments.max_delete_share,
        leader_elect=arguments.leader_elect and not arguments.dry_run,
        once=arguments.once,
        dry_run=arguments.dry_run,
        output=arguments.output,
        events=frozenset(arguments.events_emit or ()),
        metrics_host=host,
        metrics_port=port,
        log_level=LEVELS[arguments.log_level],
        log_format=arguments.log_format,
        warnings=warnings,
    )


def _seconds(value: str | float) -> float:
    return parse_duration(value) if isinstance(value, str) else value


def _listen_address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"--metrics-address={text}: expected HOST:PORT or :PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _etcd_address(environment: Mapping[str, str]) -> EtcdAddress:
    urls = [url.strip() for url in environment.get("ETCD_URLS", "").split(",") if url.strip()]
    endpoints = tuple(urls) or ("http://localhost:2379",)
    for url in endpoints:
        if fault := endpoint_fault(url):
            raise ConfigError(f"ETCD_URLS: {fault}")
    if len({url.partition(":")[0] for url in endpoints}) > 1:
        raise ConfigError("ETCD_URLS: http and https together; expected one of them for all")
    if environment.get("ETCD_TLS_INSECURE", "").lower() in ("true", "yes", "1"):
        raise ConfigError("ETCD_TLS_INSECURE: an unverified server is refused; give its CA in ETCD_CA_FILE")
    cert_file, key_file = environment.get("ETCD_CERT_FILE", ""), environment.get("ETCD_KEY_FILE", "")
    if bool(cert_file) != bool(key_file):
        raise ConfigError("ETCD_CERT_FILE and ETCD_KEY_FILE: expected both or none")
    return EtcdAddress(
        endpoints=endpoints,
        username=environment.get("ETCD_USERNAME", ""),
        password=environment.get("ETCD_PASSWORD", ""),
        ca_file=environment.get("ETCD_CA_FILE", ""),
        cert_file=cert_file,
        key_file=key_file,
        server_name=environment.get("ETCD_TLS_SERVER_NAME", ""),
    )
