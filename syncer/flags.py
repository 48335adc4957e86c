"""The command line: which flags there are, and their variables in the environment."""

import argparse
import difflib
from collections.abc import Callable, Mapping
from typing import Final, cast

from dnsserver.ops import log
from dnsserver.ops.completion import add_completion
from syncer.arguments import (
    ConfigError,
    Parser,
    Repeated,
    duration,
    positive_duration,
    repeated,
    share,
    switch,
)
from syncer.happening import REASONS
from syncer.source_flags import add_source_flags

__all__ = ["LEVELS", "ConfigError", "new_parser", "take_environment", "unknown_flag", "without_effect"]

LEVELS: Final[Mapping[str, log.Level]] = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "fatal": "error",
    "panic": "error",
}
"""ExternalDNS's levels, and ours."""


def new_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="syncer",
        usage="syncer --source=SOURCE [FLAG …]\n       syncer explain KIND/NAMESPACE/NAME [FLAG …]",
        description="Write the DNS records that Kubernetes objects ask for into etcd.",
        epilog="Every flag is EXTERNAL_DNS_<FLAG> in the environment too, in capitals and with _ for -.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=36, width=110),
        allow_abbrev=False,
        argument_default=None,
    )
    add_source_flags(parser)
    _add_kubernetes(parser.add_argument_group("Kubernetes"))
    _add_etcd(
        parser.add_argument_group(
            "etcd",
            "Address and credentials stand in the environment: ETCD_URLS (default http://localhost:2379), "
            "ETCD_USERNAME, ETCD_PASSWORD, ETCD_CA_FILE, ETCD_CERT_FILE, ETCD_KEY_FILE, "
            "ETCD_TLS_SERVER_NAME.",
        )
    )
    _add_safety(parser.add_argument_group("what keeps records from being lost"))
    _add_running(parser.add_argument_group("running"))
    _add_without_effect(parser)
    add_completion(parser)
    return parser


def _add_kubernetes(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--kubeconfig", metavar="FILE", default="", help="default: the Pod's account, ~/.kube/config"
    )
    group.add_argument(
        "--server", metavar="URL", default="", help="the API server (default: as in the kubeconfig)"
    )
    group.add_argument(
        "--request-timeout",
        "--kube-api-request-timeout",
        metavar="DURATION",
        default="30s",
        type=positive_duration,
        help="for a call that is not a watch (default: 30s)",
    )


def _add_etcd(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--coredns-prefix", metavar="PATH", default="/skydns/", help="of all keys (default: /skydns/)"
    )
    group.add_argument("--provider", metavar="NAME", default="coredns", help="only coredns")
    group.add_argument(
        "--registry",
        choices=("txt", "noop"),
        default="txt",
        help="txt (default): ownership stands beside the data; noop: all keys of the usual shape are ours",
    )
    _add_ownership(group)
    group.add_argument(
        "--txt-owner-id",
        metavar="ID",
        default="default",
        help="whose records may be changed (default: default)",
    )
    group.add_argument(
        "--policy",
        choices=("sync", "upsert-only", "create-only"),
        default="sync",
        help="whether records are updated and deleted too (default: sync, which does both)",
    )


def _add_ownership(group: argparse._ArgumentGroup) -> None:
    for flag in ("--txt-prefix", "--txt-suffix"):
        group.add_argument(
            flag,
            metavar="TEXT",
            default="",
            type=str.lower,
            help="around the first label of an ownership's name; may hold %%{record_type}",
        )
    group.add_argument(
        "--txt-wildcard-replacement",
        metavar="LABEL",
        default="",
        type=str.lower,
        help="stands for * in an ownership's name",
    )
    switch(group, "--txt-encrypt-enabled", "write ownerships encrypted; plain ones are read and rewritten")
    group.add_argument(
        "--txt-encrypt-aes-key",
        metavar="KEY",
        default="",
        help="32 characters, or 32 octets in base64; better as EXTERNAL_DNS_TXT_ENCRYPT_AES_KEY",
    )
    switch(
        group, "--coredns-strictly-owned", "name the owner in every key, and ignore the keys of all others"
    )
    group.add_argument(
        "--migrate-from-txt-owner",
        metavar="ID",
        default="",
        help="take over all records of this owner, by one rewrite",
    )


def _add_safety(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--deletion-grace",
        metavar="DURATION",
        default="5m",
        type=duration,
        help="how long records stay whose object still asks for them and has no address (default: 5m)",
    )
    group.add_argument(
        "--max-delete-share",
        metavar="SHARE",
        default="0.3",
        type=share,
        help="delete no larger share of all names at once, beyond 10 names; 1 allows all (default: 0.3)",
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    switch(
        group,
        "--leader-elect",
        "of several syncers with one owner id and prefix, one writes (default: true)",
        default=True,
    )
    group.add_argument(
        "--interval",
        metavar="DURATION",
        default="1m",
        type=positive_duration,
        help="between two full resyncs; changes do not wait for it (default: 1m)",
    )
    repeated(
        group,
        "--events-emit",
        "REASON",
        f"write Kubernetes Events on the objects: {', '.join(REASONS)}",
        choices=REASONS,
    )
    switch(group, "--once", "reconcile once, print what has changed, and exit")
    switch(group, "--dry-run", "print what would change, and change nothing")
    group.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="how --dry-run and --once print changes: text (default), or a JSON object a line",
    )
    group.add_argument("--metrics-address", metavar="HOST:PORT", default=":7979", help="default: :7979")
    group.add_argument(
        "--log-level", choices=sorted(LEVELS), default="info", help="default: info", metavar="LEVEL"
    )
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="text (default) or json"
    )


_WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "--events": "changes are always watched for",
    "--listen-endpoint-events": "changes are always watched for",
    "--min-event-sync-interval": "changes are written within a second, those of one moment together",
    "--txt-cache-interval": "etcd is read again when it has changed",
    "--provider-cache-time": "etcd is read again when it has changed",
    "--coredns-cache-time": "etcd is read again when it has changed",
    "--kube-api-qps": "a list and a watch for each kind of object are all that is asked for",
    "--kube-api-burst": "a list and a watch for each kind of object are all that is asked for",
    "--kube-api-cache-sync-timeout": "a kind of object that is not there yet is waited for",
}
"""Flags that are taken and change nothing, and why."""

REFUSED: Final[Mapping[str, str]] = {
    "--compatibility": "annotations of other controllers are not read; write hostname annotations",
    "--connector-source-server": "use --source=manifests for records that no cluster has",
    "--prefer-alias": "SkyDNS has no alias records",
    "--fqdn-target-template": "not supported; use --fqdn-template, or a DNSEndpoint",
    "--target-template": "not supported; use a DNSEndpoint",
    "--unstructured-resource": "not supported; use a DNSEndpoint",
    "--gateway-listener-sets": "ListenerSets are not read",
    "--pod-source-domain": "Pods are published through headless Services only",
    "--ignore-non-host-network-pods": "Pods are published through headless Services only",
    "--openshift-router-name": "there is no source for OpenShift routes",
}
"""Flags of ExternalDNS that would change what is published, and what to do instead."""


def _add_without_effect(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("accepted, without effect", ", ".join(sorted(_WITHOUT_EFFECT)))
    for flag in sorted(_WITHOUT_EFFECT):
        group.add_argument(flag, nargs="?", const="", help=argparse.SUPPRESS)


def without_effect(arguments: argparse.Namespace) -> list[str]:
    """Return a line for each flag that was given and changes nothing."""
    given = (flag for flag in _WITHOUT_EFFECT if getattr(arguments, flag[2:].replace("-", "_")) is not None)
    return [f"{flag} has no effect: {_WITHOUT_EFFECT[flag]}" for flag in given]


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {flag: action for action in parser._actions for flag in action.option_strings if flag != "--help"}


def take_environment(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> list[str]:
    """Make the variables the defaults; return a warning for each that belongs to no flag."""
    actions = {
        f"EXTERNAL_DNS_{flag[2:].replace('-', '_').upper()}": a for flag, a in _actions(parser).items()
    }
    warnings = []
    for variable, value in sorted(environment.items()):
        action = actions.get(variable)
        if action is None:
            # Kubernetes itself sets EXTERNAL_DNS_SERVICE_HOST and the like where a Service has that name.
            if variable.startswith("EXTERNAL_DNS_") and not ("_SERVICE_" in variable or "_PORT" in variable):
                warnings.append(f"{variable} is set, and syncer has no such flag")
        elif isinstance(action, Repeated):
            action.default = [line for line in value.split("\n") if line]
        elif value:
            action.default = value if action.type is None else _converted(variable, action, value)
        if action is not None and action.choices and value:
            _check_choices(variable, action)
    return warnings


def _converted(variable: str, action: argparse.Action, value: str) -> object:
    try:
        return cast(Callable[[str], object], action.type)(value)
    except argparse.ArgumentTypeError as error:
        raise ConfigError(f"{variable}: {error}") from None


def _check_choices(variable: str, action: argparse.Action) -> None:
    values = action.default if isinstance(action.default, list) else [action.default]
    for value in values:
        if value not in (action.choices or ()):
            raise ConfigError(f"{variable}: {value!r} is none of {', '.join(action.choices or ())}")


def unknown_flag(parser: argparse.ArgumentParser, argument: str) -> str:
    flag = argument.partition("=")[0]
    if not flag.startswith("-"):
        return f"unexpected argument {argument!r}; see --help"
    if flag in REFUSED:
        return f"{flag}: {REFUSED[flag]}"
    near = difflib.get_close_matches(flag, _actions(parser), 1)
    hint = f"; did you mean {near[0]}?" if near else "; see --help for those that it has"
    return f"syncer has no flag {flag}{hint}"
