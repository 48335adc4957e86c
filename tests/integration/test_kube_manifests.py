"""config/kubernetes and config/examples, as kubectl renders them and a real API server takes them."""

import asyncio
import copy
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from syncer.config import load
from tests.integration.kube_api import KubeApi
from tests.integration.kustomize import (
    CONFIG,
    MANIFESTS,
    OVERLAYS,
    environment,
    kubectl,
    mount_volumes,
    of_kind,
    render,
    replaced,
    templates,
    workloads,
)
from tests.integration.tools import miss_tool, need_tool

pytestmark = pytest.mark.kube

MEMBERS = ("etcd-0", "etcd-1", "etcd-2")


@pytest.fixture(params=OVERLAYS)
def rendered(request: pytest.FixtureRequest) -> list[dict]:
    return render(request.param)


@pytest.fixture
def real_api(kube_api: KubeApi) -> KubeApi:
    if kube_api.kind == "fake":
        miss_tool("kube-apiserver")
    return kube_api


def moved(rendered: list[dict], namespace: str) -> list[dict]:
    """The manifests in the test's own namespace and under names of its own: the cluster may have them too."""
    objects = copy.deepcopy([o for o in rendered if o["kind"] != "Namespace"])
    for obj in objects:
        if obj["metadata"].pop("namespace", None):
            obj["metadata"]["namespace"] = namespace
        else:
            obj["metadata"]["name"] += f"-{namespace}"
        if obj["kind"] == "ClusterRoleBinding":
            [subject] = obj["subjects"]
            subject["namespace"] = namespace
            obj["roleRef"]["name"] += f"-{namespace}"
    return objects


def test_the_overlays_are_these():
    assert OVERLAYS == ("base", "ha", "one-node", "tls")


def test_each_object_has_the_schema_of_its_kind_and_no_unknown_field(rendered):
    for obj in rendered:
        kubernetes_validate.validate(obj, "1.37", strict=True)


@pytest.mark.parametrize("overlay", ["base", "ha", "tls"])
def test_port_53_is_published_by_one_load_balancer_per_protocol(overlay):
    published = {
        name: [(p["port"], p["protocol"]) for p in service["spec"]["ports"]]
        for name, service in of_kind(render(overlay), "Service").items()
        if service["spec"].get("type") == "LoadBalancer"
    }
    assert published == {"dnsserver-udp": [(53, "UDP")], "dnsserver-tcp": [(53, "TCP")]}


def test_one_node_publishes_port_53_at_its_own_address_and_names_itself_there():
    objects = render("one-node")
    published = {
        (address, port["port"], port["protocol"])
        for service in of_kind(objects, "Service").values()
        for address in service["spec"].get("externalIPs", [])
        for port in service["spec"]["ports"]
    }
    [zone] = of_kind(objects, "ConfigMap").values()
    [record] = yaml.safe_load(zone["data"]["zone.yaml"])["zones"][0]["records"]
    assert published == {(record["data"], 53, "UDP"), (record["data"], 53, "TCP")}


def test_each_service_port_leads_to_a_port_of_the_pods_it_selects(rendered):
    for name, service in of_kind(rendered, "Service").items():
        [pod] = [
            t["spec"]
            for t in templates(rendered).values()
            if service["spec"]["selector"].items() <= t["metadata"]["labels"].items()
        ]
        open_ports = {(p["name"], p.get("protocol", "TCP")) for c in pod["containers"] for p in c["ports"]}
        for port in service["spec"]["ports"]:
            assert (port["targetPort"], port.get("protocol", "TCP")) in open_ports, name


def test_prometheus_is_sent_to_the_port_of_the_metrics(rendered):
    for name, template in templates(rendered).items():
        [container] = template["spec"]["containers"]
        [port] = [p["containerPort"] for p in container["ports"] if p["name"] == "metrics"]
        expected = {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
        assert template["metadata"]["annotations"] == expected, name


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


def check(path: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dnsserver", "--check", "--config", str(path)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=CONFIG.parent, env=variables
    )


def test_dnsserver_finds_no_fault_in_what_it_is_given(rendered, certificates, tmp_path):
    [zone] = of_kind(rendered, "ConfigMap").values()
    path = tmp_path / "zone.yaml"
    path.write_text(zone["data"]["zone.yaml"])
    mounts = mount_volumes(rendered, certificates, "dnsserver", tmp_path)
    done = check(path, replaced(environment(workloads(rendered)["dnsserver"]), mounts))
    assert done.returncode == 0, done.stderr


def test_a_pod_of_dnsserver_is_given_the_time_that_it_takes_to_end(rendered):
    [zone] = of_kind(rendered, "ConfigMap").values()
    lameduck = yaml.safe_load(zone["data"]["zone.yaml"])["lameduck"]
    grace = workloads(rendered)["dnsserver"].get("terminationGracePeriodSeconds", 30)
    assert 0 < lameduck <= grace - 10


def test_dnsserver_finds_no_fault_in_the_example():
    done = check(CONFIG / "zone.yaml", {})
    assert done.returncode == 0, done.stderr


def test_syncer_takes_the_arguments_it_is_given(rendered):
    pod = workloads(rendered)["syncer"]
    [container] = pod["containers"]
    config = load(container["args"], environment(pod))
    assert config.warnings == ()
    assert config.metrics_port == container["ports"][0]["containerPort"]


def test_both_programs_ask_the_etcd_of_the_overlay_at_its_client_port(rendered):
    pods = workloads(rendered)
    services = of_kind(rendered, "Service")
    members = [
        f"etcd-{n}.etcd-members" for n in range(of_kind(rendered, "StatefulSet")["etcd"]["spec"]["replicas"])
    ]
    assert services["etcd-members"]["spec"]["clusterIP"] == "None"
    [zone] = of_kind(rendered, "ConfigMap").values()
    asked = {
        "dnsserver": environment(pods["dnsserver"])["DNSSERVER_ETCD_ENDPOINTS"].split(",")
        if "DNSSERVER_ETCD_ENDPOINTS" in environment(pods["dnsserver"])
        else yaml.safe_load(zone["data"]["zone.yaml"])["etcd"]["endpoints"],
        "syncer": environment(pods["syncer"])["ETCD_URLS"].split(","),
    }
    scheme = environment(pods["etcd"])["ETCD_LISTEN_CLIENT_URLS"].partition(":")[0]
    hosts = ["etcd"] if len(members) == 1 else members
    expected = [f"{scheme}://{host}:2379" for host in hosts]
    assert asked == {"dnsserver": expected, "syncer": expected}


def test_etcd_keeps_its_data_on_a_volume_claim(rendered):
    etcd = of_kind(rendered, "StatefulSet")["etcd"]["spec"]
    [claim] = etcd["volumeClaimTemplates"]
    [container] = etcd["template"]["spec"]["containers"]
    mount = next(m for m in container["volumeMounts"] if not m.get("readOnly"))
    assert mount["name"] == claim["metadata"]["name"]
    assert environment(etcd["template"]["spec"])["ETCD_DATA_DIR"].startswith(f"{mount['mountPath']}/")


def test_dnsserver_keeps_its_table_where_its_group_may_write_and_there_is_room_for_two(rendered):
    pod = workloads(rendered)["dnsserver"]
    [container] = pod["containers"]
    [volume] = [v for v in pod["volumes"] if "emptyDir" in v]
    [mount] = [m for m in container["volumeMounts"] if m["name"] == volume["name"]]
    assert environment(pod)["DNSSERVER_STATE_DIR"] == mount["mountPath"]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    # A record takes less room on disk than in memory, and two tables are there while one is written.
    assert (volume["emptyDir"]["sizeLimit"], container["resources"]["limits"]["memory"]) == ("1Gi", "512Mi")


@pytest.mark.parametrize("overlay", ["ha", "tls"])
def test_high_availability_is_three_members_and_two_of_each_on_different_nodes(overlay):
    objects = render(overlay)
    running = of_kind(objects, "Deployment", "StatefulSet")
    assert {n: o["spec"]["replicas"] for n, o in running.items()} == {"etcd": 3, "dnsserver": 2, "syncer": 2}
    budgets = of_kind(objects, "PodDisruptionBudget")
    for name, template in templates(objects).items():
        selector = {"matchLabels": template["metadata"]["labels"]}
        assert budgets[name]["spec"] == {"maxUnavailable": 1, "selector": selector}
        [spread] = template["spec"]["topologySpreadConstraints"]
        assert spread == {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": selector,
        }
    cluster = environment(templates(objects)["etcd"]["spec"])["ETCD_INITIAL_CLUSTER"]
    scheme = {"ha": "http", "tls": "https"}[overlay]
    assert cluster == ",".join(f"{name}={scheme}://{name}.etcd-members:2380" for name in MEMBERS)


def test_tls_leaves_no_url_of_etcd_in_clear_but_that_of_its_metrics():
    objects = render("tls")
    urls = {
        (name, variable): value
        for name, pod in workloads(objects).items()
        for variable, value in environment(pod).items()
        if "://" in value
    }
    clear = {where: url for where, url in urls.items() if "http:" in url}
    assert clear == {("etcd", "ETCD_LISTEN_METRICS_URLS"): "http://0.0.0.0:2381"}
    etcd = environment(workloads(objects)["etcd"])
    assert etcd["ETCD_CLIENT_CERT_AUTH"] == etcd["ETCD_PEER_CLIENT_CERT_AUTH"] == "true"


def test_tls_mounts_what_the_script_makes_where_the_programs_look_for_it(certificates):
    secrets = of_kind(list(yaml.safe_load_all((certificates / "secrets.yaml").read_text())), "Secret")
    for name, pod in workloads(render("tls")).items():
        [container] = pod["containers"]
        [volume] = [v for v in pod["volumes"] if "secret" in v]
        [mount] = [m for m in container["volumeMounts"] if m["name"] == volume["name"]]
        secret = secrets.pop(volume["secret"]["secretName"])
        assert secret["metadata"]["namespace"] == "dns"
        files = {v for k, v in environment(pod).items() if k.endswith("_FILE")}
        assert files == {f"{mount['mountPath']}/{key}" for key in secret["data"]}, name
    assert not secrets


def test_certificates_are_made_anew_by_authorities_that_stay_and_do_not_stand_for_each_other(tmp_path):
    openssl = need_tool("openssl")
    need_tool("kubectl")
    made = []
    for _ in range(2):
        subprocess.run([MANIFESTS / "certificates.sh", tmp_path], check=True, timeout=60)
        made.append({file.name: file.read_bytes() for file in tmp_path.glob("*.crt")})
        assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
    assert {name for name in made[0] if made[0][name] == made[1][name]} == {"ca.crt", "peer-ca.crt"}

    def verifies(authority: str, purpose: str, certificate: str) -> bool:
        command = [openssl, "verify", "-CAfile", tmp_path / authority, "-purpose", purpose]
        return subprocess.run([*command, tmp_path / certificate], capture_output=True).returncode == 0

    for client in ("dnsserver.crt", "syncer.crt", "root.crt"):
        assert verifies("ca.crt", "sslclient", client)
        assert not verifies("ca.crt", "sslserver", client), "a client could pass for etcd"
        assert not verifies("peer-ca.crt", "sslclient", client), "a client could be a member"
    for purpose in ("sslserver", "sslclient"):
        assert verifies("ca.crt", purpose, "etcd.crt")
        assert verifies("peer-ca.crt", purpose, "peer.crt")


def in_old_words(objects: list[dict], versions: str) -> list[dict]:
    """Kubernetes before 1.21 has PodDisruptionBudgets under the name of their beta, with the same fields."""
    if "policy/v1\n" not in versions:
        for obj in of_kind(objects, "PodDisruptionBudget").values():
            obj["apiVersion"] = "policy/v1beta1"
    return objects


@pytest.mark.parametrize("overlay", OVERLAYS)
async def test_a_real_api_server_takes_each_object(overlay, real_api, certificates, tmp_path):
    """Server-side dry run: schema, defaults, validation."""
    secrets = yaml.safe_load_all((certificates / "secrets.yaml").read_text()) if overlay == "tls" else []
    objects = moved([*render(overlay), *secrets], real_api.namespace)
    kubeconfig = f"--kubeconfig={real_api.kubeconfig}"
    objects = in_old_words(objects, kubectl(kubeconfig, "api-versions").stdout)
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    done = kubectl(kubeconfig, "apply", "--dry-run=server", f"-f{path}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(objects)


@pytest.mark.parametrize("example", ["cheese.yaml", "nginx.yaml"])
async def test_a_real_api_server_takes_the_examples(example, real_api):
    path = CONFIG / "examples" / example
    done = kubectl(f"--kubeconfig={real_api.kubeconfig}", "apply", "--dry-run=server", f"-f{path}")
    assert done.returncode == 0, done.stderr


async def test_the_syncer_may_read_what_it_publishes_and_nothing_else(real_api):
    objects = moved(render("base"), real_api.namespace)
    for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding"):
        for obj in of_kind(objects, kind).values():
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
