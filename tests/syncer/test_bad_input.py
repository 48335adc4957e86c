"""Objects with something wrong in them: each costs itself alone, is counted, and is named in the log."""

from typing import NamedTuple

import yaml

from tests.programs import Syncer, eventually
from tests.syncer.stored import hosts

PREFIX = "external-dns.kubernetes.io/"


class Bad(NamedTuple):
    object: dict
    reason: str
    said: str
    published: tuple[str, ...] = ()
    """What of the object is published nevertheless."""


def ingress(name, *hosts, ips=("192.0.2.1",), spec=None, **annotations):
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "annotations": {PREFIX + k.replace("_", "-"): v for k, v in annotations.items()},
        },
        "spec": {"rules": [{"host": host} for host in hosts]} if spec is None else spec,
        "status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}},
    }


def service(name, **annotations):
    made = ingress(name, **annotations)
    made |= {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"type": "LoadBalancer", "externalIPs": ["192.0.2.2"]},
    }
    return made


LONG = "l" * 64
TABLE = [
    Bad(ingress("two-dots", "a..test", "two-dots.test"), "hostname", "the label ''", ("two-dots.test",)),
    Bad(ingress("slash", "a/b.test"), "hostname", "the label 'a/b'"),
    Bad(ingress("line", "a\nb.test"), "hostname", "is no host name"),
    Bad(ingress("umlaut", "käse.test"), "hostname", "write an internationalised name as xn--"),
    Bad(
        ingress("long-label", f"{LONG}.test", "beside.test"),
        "hostname",
        "a label of 64 octets",
        ("beside.test",),
    ),
    Bad(ingress("long-name", ".".join(["l" * 60] * 4)), "hostname", "at most 238 can be stored"),
    Bad(ingress("number", "host.123"), "hostname", "neither an address nor a host name"),
    Bad(
        service("empty-item", hostname="svc.test,,"),
        "hostname",
        "annotation hostname: an empty name",
        ("svc.test",),
    ),
    Bad(service("empty-annotation", hostname=""), "hostname", "annotation hostname: an empty name"),
    Bad(ingress("ttl-huge", "huge.test", ttl="99999999999"), "ttl", "expected 1..2147483647", ("huge.test",)),
    Bad(ingress("ttl-zero", "zero.test", ttl="0"), "ttl", "'0' is ignored", ("zero.test",)),
    Bad(ingress("ttl-below", "below.test", ttl="-5"), "ttl", "'-5' is ignored", ("below.test",)),
    Bad(ingress("ttl-days", "days.test", ttl="1d"), "ttl", "'1d' is ignored", ("days.test",)),
    Bad(
        ingress("unknown-source", "x.test", ingress_hostname_source="everything"),
        *("annotation", "neither annotation-only nor defined-hosts-only"),
    ),
    Bad(
        ingress("no-address", "y.test", ips=("not an address",)),
        "target",
        "status: 'not an address' is no host name",
    ),
    Bad(
        ingress("one-of-two", "two.test", ips=("192.0.2.1", "192.0.2.300")),
        *("target", "'192.0.2.300' is neither an address nor a host name", ("two.test",)),
    ),
    Bad(
        ingress("target", "target.test", target="192.0.2.7,,a..b"),
        *("target", "annotation target: 'a..b' is no host name", ("target.test",)),
    ),
    Bad(
        ingress("no-text", "text.test", spec={"rules": [{"host": 7}, {"host": "text.test"}]}),
        "shape",
        "host: expected a string, got int",
        ("text.test",),
    ),
    Bad(ingress("number-as-annotation", "n.test", ttl=60), "shape", "write it in quotes", ("n.test",)),
    Bad(ingress("rules-as-text", spec={"rules": "all"}), "shape", "rules: expected a list, got str"),
]
QUIET = [
    ingress("no-rules", spec={}),
    ingress("null-rules", spec={"rules": None}),
    ingress("no-spec", spec=[]),
]
GOOD = ingress("good", "good.test")


def test_each_costs_itself_alone_is_counted_by_reason_and_named_in_the_log(etcd, store, prefix, tmp_path):
    objects = [*(bad.object for bad in TABLE), *QUIET, GOOD]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(objects, allow_unicode=True))
    arguments = ("--source=manifests", f"--manifests={tmp_path}")
    published = {"good.test", *(name for bad in TABLE for name in bad.published)}
    with Syncer(etcd.endpoint, prefix, *arguments) as syncer:
        eventually(lambda: {n for n, found in hosts(store, prefix).items() if found} == published)
        metrics = syncer.page("/metrics")[1]
        syncer.stop()
        said = syncer.log()
    for bad in TABLE:
        kind, name = bad.object["kind"].lower(), bad.object["metadata"]["name"]
        lines = [line for line in said.splitlines() if f"{kind}/default/{name}: " in line]
        assert any(bad.said in line for line in lines), (name, lines)
    for reason in {bad.reason for bad in TABLE}:
        least = sum(bad.reason == reason for bad in TABLE)
        [line] = [
            line for line in metrics.splitlines() if line.startswith(f'syncer_rejected{{reason="{reason}"}}')
        ]
        assert float(line.split()[-1]) >= least
    assert "ingress/default/good" not in said.replace("(ingress/default/good)", "")
