"""The command line: which flags there are, and their variables in the environment."""

import argparse
import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final, Never, cast

from dnsserver.ops import log
from syncer.duration import parse_duration
from syncer.source.annotations import PREFIXES
from syncer.source.service import TYPES

SOURCES: Final = ("service", "ingress", "manifests")

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


class ConfigError(Exception):
    """Arguments that cannot be used. The text says which; exit status 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise ConfigError(message)


class _Repeated(argparse.Action):
    """Collects values; the first one given replaces those of the environment."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        known = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*(() if known is self.default else known), values])


def new_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="syncer",
        description="Write the DNS records of Kubernetes Ingresses and Services into etcd.",
        epilog="Every flag is EXTERNAL_DNS_<FLAG> in the environment too, in capitals and with _ for -.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=36, width=110),
        allow_abbrev=False,
        argument_default=None,
    )
    _add_sources(parser.add_argument_group("where names come from"))
    _add_filters(parser.add_argument_group("which objects and names count"))
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
    return parser


def _repeated(group: argparse._ArgumentGroup, flag: str, metavar: str, help_: str, **more: Any) -> None:
    group.add_argument(flag, action=_Repeated, metavar=metavar, help=f"{help_}; may be repeated", **more)


def _switch(group: argparse._ArgumentGroup, flag: str, help_: str, *, default: bool = False) -> None:
    """Add `--flag`, `--flag=true`, `--flag=false` and `--no-flag`."""
    name = flag.removeprefix("--").replace("-", "_")
    group.add_argument(
        flag, nargs="?", const=True, default=default, type=_boolean, metavar="BOOL", dest=name, help=help_
    )
    group.add_argument(
        f"--no-{flag[2:]}", action="store_const", const=False, dest=name, help=argparse.SUPPRESS
    )


def _add_sources(group: argparse._ArgumentGroup) -> None:
    _repeated(group, "--source", "SOURCE", f"{', '.join(SOURCES)}", choices=SOURCES)
    group.add_argument(
        "--manifests",
        metavar="DIR",
        help="the directory of --source=manifests: Ingresses, Services and Nodes",
    )
    group.add_argument(
        "--annotation-prefix",
        metavar="PREFIX",
        help=f"read this prefix only (default: {' and '.join(PREFIXES)})",
    )
    _switch(group, "--publish-internal-services", "publish the cluster address of ClusterIP Services too")
    _switch(group, "--ignore-hostname-annotation", "take no names from annotations")
    _switch(group, "--ignore-ingress-rules-spec", "take no names from the rules of Ingresses")
    _switch(group, "--ignore-ingress-tls-spec", "take no names from the tls blocks of Ingresses")


def _add_filters(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--namespace", metavar="NAME", default="", help="objects of this namespace (default: all)"
    )
    _repeated(group, "--ingress-class", "CLASS", "Ingresses of this class")
    _repeated(group, "--service-type-filter", "TYPE", f"Services of this type: {', '.join(sorted(TYPES))}")
    _repeated(
        group, "--domain-filter", "DOMAIN", "names in this domain; .DOMAIN leaves out the domain itself"
    )
    _repeated(group, "--exclude-domains", "DOMAIN", "no names in this domain")


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
        type=_positive_duration,
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
    _switch(group, "--txt-encrypt-enabled", "refused: ownerships are not encrypted")
    group.add_argument("--txt-encrypt-aes-key", metavar="KEY", default="", help=argparse.SUPPRESS)
    _switch(
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
        type=_duration,
        help="how long records stay whose object still asks for them and has no address (default: 5m)",
    )
    group.add_argument(
        "--max-delete-share",
        metavar="SHARE",
        default="0.3",
        type=_share,
        help="delete no larger share of all names at once, beyond 10 names; 1 allows all (default: 0.3)",
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    _switch(
        group,
        "--leader-elect",
        "of several syncers with one owner id and prefix, one writes (default: true)",
        default=True,
    )
    group.add_argument(
        "--interval",
        metavar="DURATION",
        default="1m",
        type=_positive_duration,
        help="between two full resyncs; changes do not wait for it (default: 1m)",
    )
    _switch(group, "--events", "accepted: changes are always watched for")
    _switch(group, "--once", "reconcile once and exit")
    _switch(group, "--dry-run", "print what would change, and change nothing")
    group.add_argument("--metrics-address", metavar="HOST:PORT", default=":7979", help="default: :7979")
    group.add_argument(
        "--log-level", choices=sorted(LEVELS), default="info", help="default: info", metavar="LEVEL"
    )
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="text (default) or json"
    )


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return known[text.lower()]


def _duration(text: str) -> float:
    return 0.0 if text in ("0", "0s") else _positive_duration(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; expected 0 to 1, as 0.3")
    return share


def _positive_duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < seconds < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive duration")
    return seconds


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
        elif isinstance(action, _Repeated):
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
    near = difflib.get_close_matches(flag, _actions(parser), 1)
    hint = f"; did you mean {near[0]}?" if near else "; see --help for those that it has"
    return f"syncer has no flag {flag}{hint}"
