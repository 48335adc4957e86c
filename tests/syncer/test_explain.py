"""`syncer explain`: what an object publishes, or each rule that keeps it from being published."""

import subprocess
import sys

import pytest
import yaml

from syncer.config import load
from syncer.explain import explain
from tests.programs import Syncer
from tests.syncer.test_bad_input import ingress, service

CHEESE = "ingress/default/cheese"
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"unschedulable": True}}
OLD = ingress("old", "a.test", ips=("192.0.2.9",))
OLD["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
CHEESES = ingress("cheese", "a.test")
CHEESES["metadata"] |= {"creationTimestamp": "2024-01-01T00:00:00Z", "labels": {"tier": "web"}}
ALIAS = ingress("cheese", "a.test", ips=(), target="lb.example")
ALIAS["metadata"]["creationTimestamp"] = "2024-01-01T00:00:00Z"
CLUSTER = service("cheese", hostname="a.test") | {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1"}}


async def said(etcd, prefix, directory, objects, resource, *flags):
    (directory / "all.yaml").write_text(yaml.safe_dump_all(objects))
    arguments = ["--source=manifests", f"--manifests={directory}", f"--coredns-prefix={prefix}", *flags]
    config = load(arguments, {"ETCD_URLS": etcd.endpoint})
    lines, is_there = await explain(config, resource)
    return "\n".join(lines), is_there


@pytest.mark.parametrize(
    ("objects", "resource", "flags", "text"),
    [
        ([], CHEESE, [], "there is no such object"),
        ([CHEESES], CHEESE, ["--manifests-source=service"], "ingress is not among the sources"),
        ([CHEESES], CHEESE, ["--namespace=web"], "its namespace is none of --namespace"),
        ([], CHEESE, ["--namespace=web"], "the namespace is none of --namespace (web)"),
        ([CHEESES], CHEESE, ["--label-filter=tier=db"], "its labels do not fit --label-filter=tier=db"),
        ([CHEESES], CHEESE, ["--annotation-filter=x"], "its annotations do not fit --annotation-filter=x"),
        ([CHEESES], CHEESE, ["--ingress-class=nginx"], "its class '' is none of --ingress-class"),
        (
            [service("cheese", hostname="a.test")],
            "service/default/cheese",
            ["--service-type-filter=NodePort"],
            "its type LoadBalancer is none of --service-type-filter",
        ),
        ([ingress("cheese", "a.test", controller="other")], CHEESE, [], "names another controller"),
        ([NODE], "node//n1", ["--manifests-source=node"], "it is cordoned"),
        ([ingress("cheese", spec={})], CHEESE, [], "it asks for no name"),
        ([service("cheese")], "service/default/cheese", [], "it asks for no name"),
        ([ingress("cheese", "a..test")], CHEESE, [], "not published: spec.rules: 'a..test' is no host name"),
        ([ingress("cheese", "a.test", ips=())], CHEESE, [], "a.test: the object has no address for it"),
        ([CLUSTER], "service/default/cheese", [], "a.test: the object has no address for it"),
        (
            [CHEESES],
            CHEESE,
            ["--domain-filter=k8s.local"],
            "a.test: outside of the domains that may be written",
        ),
        ([CHEESES], CHEESE, ["--managed-record-types=AAAA"], "a.test A: not among --managed-record-types"),
        (
            [CHEESES],
            CHEESE,
            ["--target-net-filter=10.0.0.0/8"],
            "a.test A: no target is left by the net filters",
        ),
        ([CHEESES], CHEESE, ["--namespace-domains=default=b.test"], "a.test: the namespace may not claim it"),
    ],
)
async def test_each_rule_that_excludes_is_named(etcd, prefix, tmp_path, objects, resource, flags, text):
    lines, _ = await said(etcd, prefix, tmp_path, objects, resource, *flags)
    assert text in lines
    assert "is to be written" not in lines


async def test_the_older_claim_that_has_the_name_is_named(etcd, prefix, tmp_path):
    lines, _ = await said(etcd, prefix, tmp_path, [ALIAS, OLD], CHEESE)
    assert "a.test CNAME lb.example is not written: the name is taken by ingress/default/old" in lines


async def test_what_is_published_is_told_with_its_keys_before_and_after_it_is_written(
    etcd, store, prefix, tmp_path
):
    objects = [ingress("cheese", "a.test", ttl="60")]
    before, _ = await said(etcd, prefix, tmp_path, objects, CHEESE)
    assert "  a.test A 192.0.2.1 ttl 60 owner default\n" in before
    assert before.count("is to be written") == 2
    assert '{"host":"192.0.2.1","ttl":60,"targetstrip":1} is to be written' in before
    with Syncer(etcd.endpoint, prefix, "--source=manifests", f"--manifests={tmp_path}", "--once") as running:
        assert running.wait() == 0
    after, _ = await said(etcd, prefix, tmp_path, objects, CHEESE)
    assert after.count("is there") == 2
    assert "is to be written" not in after


async def test_a_name_that_a_stranger_has_is_told(etcd, store, prefix, tmp_path):
    store.commit(
        puts={f"{prefix}/test/a/x1".encode(): b'{"host":"192.0.2.7","targetstrip":1}'},
        deletes=[],
        expected={},
    )
    lines, _ = await said(etcd, prefix, tmp_path, [CHEESES], CHEESE)
    assert "a.test A is not written: its A belongs to nobody that is known" in lines
    assert "is to be written" not in lines


def run(*arguments):
    command = [sys.executable, "-m", "syncer", "explain", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin"})


def test_help_has_examples_and_faults_are_one_line(tmp_path):
    shown = run("--help")
    assert (shown.returncode, "syncer explain ingress/default/cheese" in shown.stdout) == (0, True)
    for arguments in (["cheese"], ["ingress/default/cheese"], ["ingress/default/cheese", "--sauce=x"]):
        failed = run(*arguments)
        assert (failed.returncode, failed.stderr.count("\n"), failed.stdout) == (2, 1, "")
    absent = run(CHEESE, "--source=manifests", f"--manifests={tmp_path}")
    assert (absent.returncode, absent.stdout) == (1, f"{CHEESE}: there is no such object\n")
