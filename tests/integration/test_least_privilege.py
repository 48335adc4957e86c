"""Laws that hold for every workload of every overlay in config/kubernetes."""

import pytest
import yaml

from tests.integration.kustomize import OVERLAYS, of_kind, render, templates, workloads
from tests.integration.network_policies import Peer, may_connect

pytestmark = pytest.mark.kube

NAMES = {"dnsserver", "etcd", "syncer"}


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[dict]:
    return render(request.param)


def test_each_container_runs_without_root_without_capabilities_on_a_read_only_root(objects):
    assert set(workloads(objects)) == NAMES
    for name, pod in workloads(objects).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] >= 10000, name
        assert pod["securityContext"]["runAsGroup"] >= 10000, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "hostUsers"}, name
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert all(port["containerPort"] > 1023 for port in container["ports"]), name
            assert not any("hostPort" in port for port in container["ports"]), name


def test_the_namespace_admits_restricted_pods_only(objects):
    [namespace] = of_kind(objects, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    inside = {o["metadata"]["namespace"] for o in objects if o["kind"] not in ("Namespace", *CLUSTER_KINDS)}
    assert inside == {namespace["metadata"]["name"]}


CLUSTER_KINDS = ("ClusterRole", "ClusterRoleBinding")


def test_only_the_syncer_gets_a_token(objects):
    tokens = {name: pod["automountServiceAccountToken"] for name, pod in workloads(objects).items()}
    assert tokens == {"dnsserver": False, "etcd": False, "syncer": True}
    accounts = {name: pod.get("serviceAccountName") for name, pod in workloads(objects).items()}
    assert accounts == {"dnsserver": None, "etcd": None, "syncer": "syncer"}


WRITABLE = {"dnsserver": ["/var/lib/dnsserver"], "etcd": ["/var/lib/etcd"], "syncer": []}
"""Where a container may write: the last table of dnsserver, and etcd's data."""


def test_nothing_of_the_node_is_mounted_and_only_state_is_writable_within_a_limit(objects):
    for name, pod in workloads(objects).items():
        for volume in pod.get("volumes", []):
            assert volume.keys() <= {"name", "configMap", "secret", "emptyDir"}, (name, volume)
            assert volume.get("secret", {}).get("defaultMode", 0) & 0o007 == 0, (name, volume)
            assert volume.get("emptyDir", {"sizeLimit": ""}).keys() == {"sizeLimit"}, (name, volume)
        [container] = pod["containers"]
        writable = [m["mountPath"] for m in container.get("volumeMounts", []) if not m.get("readOnly")]
        assert writable == WRITABLE[name], name


def test_no_secret_is_in_a_variable_or_an_argument(objects):
    """There it would be shown by whatever shows a pod or a process."""
    for name, pod in workloads(objects).items():
        [container] = pod["containers"]
        assert "envFrom" not in container, name
        for variable in container.get("env", []):
            assert "secretKeyRef" not in variable.get("valueFrom", {}), name
            assert "PASSWORD" not in variable["name"], name
        assert "password" not in str(container.get("args", []) + container.get("command", [])), name


def test_each_container_has_bounds_and_is_asked_how_it_is(objects):
    for name, pod in workloads(objects).items():
        [container] = pod["containers"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
        assert "memory" in container["resources"]["limits"], name
        ports = {p["name"] for p in container["ports"]}
        for probe in ("livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports, name


def test_the_syncer_may_list_and_watch_and_tell_events_and_nothing_else(objects):
    assert not of_kind(objects, "Role", "RoleBinding")
    [role] = of_kind(objects, "ClusterRole").values()
    for rule in role["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        verbs = {"create", "patch"} if rule["resources"] == ["events"] else {"list", "watch"}
        assert set(rule["verbs"]) == verbs, rule
        assert not {"*", "secrets", "configmaps"} & {*rule["apiGroups"], *rule["resources"]}, rule
    [binding] = of_kind(objects, "ClusterRoleBinding").values()
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [(s["kind"], s["namespace"], s["name"]) for s in binding["subjects"]] == [
        ("ServiceAccount", "dns", "syncer")
    ]


DNS, CLIENT, PEERS, METRICS = 1053, 2379, 2380, 0
"""Ports; METRICS stands for the one that each has."""

OUTSIDE = Peer(None)
STRANGER = Peer({"app": "stranger"}, "default")
NEIGHBOUR = Peer({"app": "neighbour"}, "dns")
PROMETHEUS = Peer({"app": "prometheus"}, "monitoring")
CLUSTER_DNS = Peer({"k8s-app": "kube-dns"}, "kube-system")

CONNECTIONS = [
    # from, to, port, protocol, let through (a string: where the zone YAML has that section)
    (OUTSIDE, "dnsserver", DNS, "UDP", True),
    (OUTSIDE, "dnsserver", DNS, "TCP", True),
    (STRANGER, "dnsserver", DNS, "UDP", True),
    (STRANGER, "dnsserver", METRICS, "TCP", False),
    (OUTSIDE, "dnsserver", METRICS, "TCP", False),
    (PROMETHEUS, "dnsserver", METRICS, "TCP", True),
    (PROMETHEUS, "syncer", METRICS, "TCP", True),
    (PROMETHEUS, "etcd", METRICS, "TCP", True),
    (PROMETHEUS, "etcd", CLIENT, "TCP", False),
    ("dnsserver", "etcd", CLIENT, "TCP", True),
    ("syncer", "etcd", CLIENT, "TCP", True),
    ("etcd", "etcd", PEERS, "TCP", True),
    ("dnsserver", "etcd", PEERS, "TCP", False),
    ("syncer", "etcd", PEERS, "TCP", False),
    (NEIGHBOUR, "etcd", CLIENT, "TCP", False),
    (STRANGER, "etcd", CLIENT, "TCP", False),
    (OUTSIDE, "etcd", CLIENT, "TCP", False),
    (OUTSIDE, "syncer", 7979, "TCP", False),
    ("syncer", OUTSIDE, 6443, "TCP", True),
    ("syncer", OUTSIDE, 80, "TCP", False),
    ("dnsserver", OUTSIDE, 6443, "TCP", False),
    ("dnsserver", OUTSIDE, 53, "UDP", "forward"),
    ("dnsserver", OUTSIDE, 53, "TCP", "forward"),
    ("syncer", OUTSIDE, 53, "UDP", False),
    ("etcd", OUTSIDE, 443, "TCP", False),
    ("etcd", "dnsserver", METRICS, "TCP", False),
    ("dnsserver", CLUSTER_DNS, 53, "UDP", True),
    ("syncer", CLUSTER_DNS, 53, "TCP", True),
]


@pytest.mark.parametrize(("source", "target", "port", "protocol", "is_let"), CONNECTIONS)
def test_the_network_policies_let_through(source, target, port, protocol, is_let, objects):
    policies = list(of_kind(objects, "NetworkPolicy").values())

    def peer(name: Peer | str) -> Peer:
        if isinstance(name, Peer):
            return name
        template = templates(objects)[name]
        [container] = template["spec"]["containers"]
        ports = {p["name"]: p["containerPort"] for p in container["ports"]}
        return Peer(template["metadata"]["labels"], "dns", ports)

    to = peer(target)
    if isinstance(is_let, str):
        [zone] = of_kind(objects, "ConfigMap").values()
        is_let = is_let in yaml.safe_load(zone["data"]["zone.yaml"])
    assert may_connect(policies, peer(source), to, port or to.ports["metrics"], protocol) is is_let
