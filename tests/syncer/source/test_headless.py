"""Headless and Local Services, from objects as Kubernetes writes them."""

import pytest
import yaml

from syncer.source.filters import Options
from syncer.source.objects import read_node, read_pod, read_service, read_slice
from syncer.source.service import endpoints_of_services
from tests.syncer.source.surroundings import around

SERVICE = """
metadata: {name: db, annotations: {external-dns.kubernetes.io/hostname: db.test}}
spec: {clusterIP: None, selector: {app: db}}
"""
PODS = """
- metadata: {name: db-0, labels: {app: db}}
  spec: {hostname: db-0, nodeName: n1}
  status: {hostIP: 10.9.0.1, phase: Running, conditions: [{type: Ready, status: "True"}]}
- metadata:
    name: db-1
    labels: {app: db}
    annotations: {external-dns.kubernetes.io/target: 192.0.2.99, other/target: x}
  spec: {nodeName: n2}
  status: {hostIP: 10.9.0.2, phase: Running}
- metadata: {name: stranger, labels: {app: web}}
"""
SLICES = """
- metadata: {name: db-abc, labels: {kubernetes.io/service-name: db}}
  addressType: IPv4
  endpoints:
  - {addresses: [10.0.0.1], targetRef: {kind: Pod, name: db-0}}
  - {addresses: [10.0.0.2], conditions: {ready: false}, targetRef: {kind: Pod, name: db-1}}
  - {addresses: [10.0.0.3], targetRef: {kind: Pod, name: stranger}}
  - {addresses: [10.0.0.4], targetRef: {kind: Pod, name: gone}}
  - {addresses: [10.0.0.5]}
  - {addresses: [10.0.0.6], targetRef: {kind: Pod, name: db-0, namespace: elsewhere}}
- metadata: {name: db-fqdn, labels: {kubernetes.io/service-name: db}}
  addressType: FQDN
  endpoints: [{addresses: [x.test], targetRef: {kind: Pod, name: db-0}}]
"""
NODES = """
- metadata: {name: n1}
  status: {addresses: [{type: ExternalIP, address: 198.51.100.1}, {type: InternalIP, address: 10.9.0.1}]}
- metadata: {name: n2}
  status: {addresses: [{type: InternalIP, address: "2001:db8::2"}]}
"""


def records(service=SERVICE, pods=PODS, slices=SLICES, nodes=NODES, annotate=None, **options):
    raw = yaml.safe_load(service)
    raw["metadata"]["annotations"] |= {
        f"external-dns.kubernetes.io/{k}": v for k, v in (annotate or {}).items()
    }
    known = around(
        nodes=[read_node(each) for each in yaml.safe_load(nodes)],
        pods=[read_pod(each) for each in yaml.safe_load(pods)],
        slices=[read_slice(each) for each in yaml.safe_load(slices)],
    )
    derived = endpoints_of_services([read_service(raw)], known, Options(**options))
    return {(e.name, e.type): e.targets for e in derived.endpoints}


def test_a_headless_service_is_at_its_ready_pods_and_each_named_pod_below_it():
    assert records() == {("db.test", "A"): ("10.0.0.1",), ("db-0.db.test", "A"): ("10.0.0.1",)}


@pytest.mark.parametrize("how", ["flag", "spec"])
def test_pods_that_are_not_ready_are_published_on_request_with_their_own_target(how):
    service = (
        SERVICE
        if how == "flag"
        else SERVICE.replace("clusterIP", "publishNotReadyAddresses: true, clusterIP")
    )
    found = records(service, always_publish_not_ready_addresses=how == "flag")
    assert found["db.test", "A"] == ("10.0.0.1", "192.0.2.99")


def test_the_hosts_addresses_are_published_on_request():
    expected = {("db.test", "A"): ("10.9.0.1",), ("db-0.db.test", "A"): ("10.9.0.1",)}
    assert records(publish_host_ip=True) == expected
    assert records(annotate={"endpoints-type": "HostIP"}) == expected
    assert records(annotate={"endpoints-type": "NodeExternalIP"})["db.test", "A"] == ("198.51.100.1",)


def test_the_target_annotation_of_the_service_leaves_out_its_pods():
    assert records(annotate={"target": "192.0.2.1"}) == {("db.test", "A"): ("192.0.2.1",)}


def test_without_a_selector_nothing_is_published():
    assert records(SERVICE.replace("{app: db}", "{}")) == {}


def test_while_pods_are_not_known_the_service_is_unsettled_as_its_pods_names_cannot_be_told():
    known = around(slices=[])
    derived = endpoints_of_services([read_service(yaml.safe_load(SERVICE))], known, Options())
    assert (derived.endpoints, derived.pending, derived.unsettled) == (
        (),
        {"db.test"},
        {"service/default/db"},
    )


def test_pods_are_not_asked_for_by_services_that_do_not_need_them():
    known = around()
    raw = yaml.safe_load(SERVICE.replace("clusterIP: None", "type: ExternalName, externalName: db.example."))
    derived = endpoints_of_services([read_service(raw)], known, Options())
    assert known.asked == set()
    assert [(e.type, e.targets) for e in derived.endpoints] == [("CNAME", ("db.example",))]


LOCAL = """
metadata: {name: db, annotations: {external-dns.kubernetes.io/hostname: db.test}}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  selector: {app: db}
  ports: [{nodePort: 30001}, {nodePort: 30002, protocol: UDP}, {nodePort: 30003}, {port: 80}]
"""


def pod(name, node, ready="True", extra=""):
    return f"""
- metadata: {{name: {name}, labels: {{app: db}}{extra}}}
  spec: {{nodeName: {node}}}
  status: {{phase: Running, conditions: [{{type: Ready, status: "{ready}"}}]}}
"""


TERMINATING = ", deletionTimestamp: '2026-01-01T00:00:00Z'"


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        (pod("a", "n1") + pod("b", "n2", ready="False"), {("db.test", "A"): ("198.51.100.1",)}),
        (
            pod("a", "n2", extra=TERMINATING) + pod("b", "n1", ready="False"),
            {("db.test", "AAAA"): ("2001:db8::2",)},
        ),
        (pod("a", "n1") + pod("b", "n2", extra=TERMINATING), {("db.test", "A"): ("198.51.100.1",)}),
        (pod("a", "n1", ready="False"), {("db.test", "A"): ("198.51.100.1",)}),
        ("[]", {}),
    ],
)
def test_a_local_policy_takes_the_nodes_of_the_best_pods(pods, expected):
    found = records(LOCAL, pods=pods)
    assert {key: targets for key, targets in found.items() if key[1] != "SRV"} == expected


def test_each_protocol_of_a_node_port_has_one_srv_name():
    found = records(LOCAL, pods=pod("a", "n1"))
    assert found["_db._tcp.db.test", "SRV"] == ("0 50 30001 db.test", "0 50 30003 db.test")
    assert found["_db._udp.db.test", "SRV"] == ("0 50 30002 db.test",)


def test_internal_ipv6_addresses_and_cordoned_nodes_count_on_request():
    nodes = NODES + "  spec: {unschedulable: true}\n"
    cluster = LOCAL.replace("Local", "Cluster")
    assert ("db.test", "AAAA") not in records(cluster, nodes=NODES)
    assert records(cluster, expose_internal_ipv6=True)["db.test", "AAAA"] == ("2001:db8::2",)
    assert ("db.test", "AAAA") not in records(cluster, nodes=nodes, expose_internal_ipv6=True)
    shown = records(cluster, nodes=nodes, expose_internal_ipv6=True, exclude_unschedulable=False)
    assert ("db.test", "AAAA") in shown
