"""Sources beside Ingresses and plain Services: `python -m syncer` as a process, and a real etcd."""

import asyncio

import pytest

from tests.integration.fake_kube import FakeKube
from tests.programs import Syncer, until
from tests.syncer.stored import hosts

OBJECTS = """
apiVersion: externaldns.k8s.io/v1alpha1
kind: DNSEndpoint
metadata: {name: mail}
spec:
  endpoints:
  - {dnsName: k8s.test, recordType: MX, targets: [10 mail.k8s.test]}
  - {dnsName: mail.k8s.test, recordType: A, targets: [192.0.2.25]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {dns: "yes"}}
spec: {type: LoadBalancer}
status: {loadBalancer: {ingress: [{ip: 192.0.2.80}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {listeners: [{name: web, port: 80, protocol: HTTP}]}
status: {addresses: [{value: 192.0.2.90}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec: {hostnames: [gw.k8s.test], parentRefs: [{name: gw}]}
status: {parents: [{parentRef: {name: gw}, conditions: [{type: Accepted, status: "True"}]}]}
"""


def test_all_kinds_are_published_from_manifests(etcd, store, prefix, tmp_path):
    (tmp_path / "all.yaml").write_text(OBJECTS)
    arguments = (
        *("--source=manifests", f"--manifests={tmp_path}", "--once", "--min-ttl=1m"),
        *("--managed-record-types=A", "--managed-record-types=MX"),
        "--fqdn-template={{if .Labels.dns}}{{.Name}}.{{.Namespace}}.k8s.test{{end}}",
    )
    with Syncer(etcd.endpoint, prefix, *arguments) as running:
        assert running.wait() == 0
    found = {name: targets for name, targets in hosts(store, prefix).items() if targets}
    assert found == {
        "k8s.test": {"mail.k8s.test"},
        "mail.k8s.test": {"192.0.2.25"},
        "web.shop.k8s.test": {"192.0.2.80"},
        "gw.k8s.test": {"192.0.2.90"},
    }


def headless():
    annotations = {"external-dns.kubernetes.io/hostname": "db.test"}
    metadata = {"name": "db", "namespace": "default"}
    labels = {"kubernetes.io/service-name": "db"}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata | {"annotations": annotations},
        "spec": {"clusterIP": "None", "selector": {"app": "db"}},
    }
    yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | {"labels": {"app": "db"}}}
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata | {"labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "db"}}],
    }


@pytest.mark.kube
async def test_an_api_that_is_not_there_is_waited_for_and_holds_nothing_up(etcd, store, prefix):
    async with FakeKube() as kube:
        for obj in headless():
            kube.put(obj)
        sources = ("--source=service", "--source=crd", "--source=gateway-httproute")
        arguments = (*sources, f"--server={kube.url}", "--deletion-grace=0s")
        with Syncer(etcd.endpoint, prefix, *arguments) as running:
            await until(lambda: hosts(store, prefix).get("db.test") == {"10.0.0.1"})
            await until(lambda: running.page("/readyz")[0] == 200)
            kube.delete("Pod", "default", "db")
            await until(lambda: "db.test" not in hosts(store, prefix), 5)
            assert await asyncio.to_thread(running.stop) == 0
            log = running.log()
    assert log.count("this API server does not have them") == 3


@pytest.mark.kube
async def test_pods_are_watched_only_where_a_service_needs_them(etcd, store, prefix):
    async with FakeKube() as kube:
        service, pod, piece = headless()
        plain = service | {"spec": {"type": "LoadBalancer", "externalIPs": ["192.0.2.1"]}}
        kube.put(plain)
        kube.fail(403, "pods")
        with Syncer(etcd.endpoint, prefix, "--source=service", f"--server={kube.url}") as running:
            await until(lambda: hosts(store, prefix).get("db.test") == {"192.0.2.1"})
            assert (kube.lists["pods"], kube.lists["endpointslices"]) == (0, 0)
            for obj in (service, pod, piece):
                kube.put(obj)
            await until(lambda: "not every pod" in running.page("/readyz")[1])
            assert hosts(store, prefix)["db.test"] == {"192.0.2.1"}
            kube.heal()
            await until(lambda: hosts(store, prefix)["db.test"] == {"10.0.0.1"})
