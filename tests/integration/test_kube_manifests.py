"""config/kubernetes and config/examples, as kubectl renders them and a real API server takes them."""

import asyncio
import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from syncer.config import load
from tests.integration.kube_api import KubeApi
from tests.integration.tools import miss_tool, need_tool

pytestmark = pytest.mark.kube

CONFIG = Path(__file__).parents[2] / "config"
MANIFESTS = CONFIG / "kubernetes"


def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([need_tool("kubectl"), *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def rendered() -> list[dict]:
    done = kubectl("kustomize", str(MANIFESTS))
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture
def real_api(kube_api: KubeApi) -> KubeApi:
    if kube_api.kind == "fake":
        miss_tool("kube-apiserver")
    return kube_api


@pytest.fixture
def moved(rendered: list[dict], real_api: KubeApi) -> list[dict]:
    """The manifests in the test's own namespace and under names of its own: the cluster may have them too."""
    objects = copy.deepcopy([o for o in rendered if o["kind"] != "Namespace"])
    for obj in objects:
        if obj["metadata"].pop("namespace", None):
            obj["metadata"]["namespace"] = real_api.namespace
        else:
            obj["metadata"]["name"] += f"-{real_api.namespace}"
        if obj["kind"] == "ClusterRoleBinding":
            [subject] = obj["subjects"]
            assert subject["namespace"] == "dns"
            subject["namespace"] = real_api.namespace
            obj["roleRef"]["name"] += f"-{real_api.namespace}"
    return objects


def of_kind(objects: list[dict], *kinds: str) -> dict[str, dict]:
    return {o["metadata"]["name"]: o for o in objects if o["kind"] in kinds}


def workloads(objects: list[dict]) -> dict[str, dict]:
    """Pod specs by name of what runs them."""
    found = of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
    return {name: o["spec"]["template"]["spec"] for name, o in found.items()}


def test_each_container_runs_without_root_without_capabilities_on_a_read_only_root(rendered):
    assert set(workloads(rendered)) == {"dnsserver", "etcd", "syncer"}
    for name, pod in workloads(rendered).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] >= 10000, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert all(port["containerPort"] > 1023 for port in container["ports"]), name
            assert ":" in container["image"], name


def test_only_the_syncer_gets_a_token(rendered):
    tokens = {name: pod["automountServiceAccountToken"] for name, pod in workloads(rendered).items()}
    assert tokens == {"dnsserver": False, "etcd": False, "syncer": True}


def test_port_53_is_published_by_one_load_balancer_per_protocol(rendered):
    published = {
        name: [(p["port"], p["protocol"]) for p in service["spec"]["ports"]]
        for name, service in of_kind(rendered, "Service").items()
        if service["spec"].get("type") == "LoadBalancer"
    }
    assert published == {"dnsserver-udp": [(53, "UDP")], "dnsserver-tcp": [(53, "TCP")]}


def test_each_service_port_leads_to_a_port_of_the_pods_it_selects(rendered):
    templates = [o["spec"]["template"] for o in of_kind(rendered, "Deployment", "StatefulSet").values()]
    for name, service in of_kind(rendered, "Service").items():
        [pod] = [
            t["spec"]
            for t in templates
            if service["spec"]["selector"].items() <= t["metadata"]["labels"].items()
        ]
        open_ports = {(p["name"], p.get("protocol", "TCP")) for c in pod["containers"] for p in c["ports"]}
        for port in service["spec"]["ports"]:
            assert (port["targetPort"], port.get("protocol", "TCP")) in open_ports, name


def test_each_probe_asks_a_port_the_container_has(rendered):
    for name, pod in workloads(rendered).items():
        for container in pod["containers"]:
            ports = {p["name"] for p in container["ports"]}
            probes = [v["httpGet"] for k, v in container.items() if k.endswith("Probe")]
            assert probes, name
            assert {probe["port"] for probe in probes} <= ports, name


def test_the_container_ports_of_dnsserver_are_those_its_image_listens_on(rendered):
    text = (CONFIG.parent / "Dockerfile").read_text()
    listens = dict(re.findall(r'DNSSERVER_(\w*LISTEN)="(\S+)"', text))
    [container] = workloads(rendered)["dnsserver"]["containers"]
    ports = {p["name"]: str(p["containerPort"]) for p in container["ports"]}
    assert ports["dns-udp"] == ports["dns-tcp"]
    assert listens == {
        "LISTEN": "0.0.0.0:{0},[::]:{0}".format(ports["dns-udp"]),
        "HEALTH_LISTEN": f"0.0.0.0:{ports['health']}",
        "READY_LISTEN": f"0.0.0.0:{ports['ready']}",
        "METRICS_LISTEN": f"0.0.0.0:{ports['metrics']}",
    }


@pytest.mark.parametrize("path", ["kubernetes/zone.yaml", "zone.yaml"])
def test_dnsserver_finds_no_fault_in_its_zone_file(path):
    command = [sys.executable, "-m", "dnsserver", "--check", "--config", str(CONFIG / path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=CONFIG.parent)
    assert done.returncode == 0, done.stderr


def test_syncer_takes_the_arguments_it_is_given(rendered):
    [container] = workloads(rendered)["syncer"]["containers"]
    config = load(container["args"], {e["name"]: e["value"] for e in container["env"]})
    assert config.warnings == ()
    assert config.etcd.endpoints == ("http://etcd:2379",)
    assert config.metrics_port == container["ports"][0]["containerPort"]


def test_etcd_keeps_its_data_on_a_volume_claim(rendered):
    etcd = of_kind(rendered, "StatefulSet")["etcd"]["spec"]
    [claim] = etcd["volumeClaimTemplates"]
    [container] = etcd["template"]["spec"]["containers"]
    [mount] = container["volumeMounts"]
    assert mount["name"] == claim["metadata"]["name"]
    assert any(a.startswith(f"--data-dir={mount['mountPath']}/") for a in container["command"])


async def test_a_real_api_server_takes_each_object(real_api, moved, tmp_path):
    """Server-side dry run: schema, defaults, validation."""
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(moved))
    done = kubectl(f"--kubeconfig={real_api.kubeconfig}", "apply", "--dry-run=server", f"-f{path}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(moved)


@pytest.mark.parametrize("example", ["cheese.yaml", "nginx.yaml"])
async def test_a_real_api_server_takes_the_examples(example, real_api):
    path = CONFIG / "examples" / example
    done = kubectl(f"--kubeconfig={real_api.kubeconfig}", "apply", "--dry-run=server", f"-f{path}")
    assert done.returncode == 0, done.stderr


async def test_the_syncer_may_read_what_it_publishes_and_nothing_else(real_api, moved):
    for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding"):
        for obj in of_kind(moved, kind).values():
            await real_api.apply(obj)
    user = f"--as=system:serviceaccount:{real_api.namespace}:syncer"

    def may(verb: str, resource: str) -> bool:
        asked = ("auth", "can-i", verb, resource, "--all-namespaces", user)
        return kubectl(f"--kubeconfig={real_api.kubeconfig}", *asked).stdout.strip() == "yes"

    for _ in range(100):  # the server's authorizer learns of a binding by a watch of its own
        if may("list", "services"):
            break
        await asyncio.sleep(0.1)
    slices = "endpointslices.discovery.k8s.io"
    for resource in ("services", "nodes", "pods", slices, "ingresses.networking.k8s.io"):
        assert may("list", resource), resource
        assert may("watch", resource), resource
        assert not may("update", resource), resource
        assert not may("delete", resource), resource
    for resource in ("secrets", "configmaps", "namespaces", "deployments.apps"):
        assert not may("list", resource), resource
        assert not may("get", resource), resource
