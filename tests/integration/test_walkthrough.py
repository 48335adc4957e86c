"""docs/walkthrough.md, step by step: the overlay one-node on a real kube-apiserver and a real etcd.

The cluster's controllers are played here: nobody else would give the Ingress its address.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dns.flags
import pytest
import yaml

from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.store import Store
from tests.integration.kube_account import shipped_account
from tests.integration.kube_api import HttpKubeApi, KubeApi
from tests.integration.kustomize import CONFIG, kubectl, of_kind, render, workloads
from tests.integration.publishing import publishing
from tests.integration.tools import miss_tool
from tests.programs import DnsServer, Syncer, until
from tests.unbound import Unbound

pytestmark = pytest.mark.kube

CHEESES = ("stilton.k8s.local", "cheddar.k8s.local", "wensleydale.k8s.local")
NODE = "172.22.132.10"
UPSTREAM = "8.8.8.8:53"


@pytest.fixture
def real_api(kube_api: KubeApi) -> KubeApi:
    if kube_api.kind == "fake":
        miss_tool("kube-apiserver")
    return kube_api


@pytest.fixture
def dnsserver(etcd, prefix, tmp_path) -> Iterator[DnsServer]:
    """With the overlay's zone.yaml; in the place of its upstream is a resolver on loopback."""
    [config] = of_kind(render("one-node"), "ConfigMap").values()
    zone_yaml = config["data"]["zone.yaml"]
    assert UPSTREAM in zone_yaml
    with Unbound(tmp_path) as resolver:
        ours = yaml.safe_load(zone_yaml.replace(UPSTREAM, f"127.0.0.1:{resolver.port}"))
        del ours["etcd"], ours["lameduck"]
        zones = yaml.safe_dump(ours)
        with DnsServer(tmp_path, zones=zones, etcd=etcd.endpoint, prefix=prefix) as running:
            running.wait_ready()
            yield running


@pytest.fixture
async def syncer(real_api: HttpKubeApi, etcd, prefix) -> AsyncIterator[Syncer]:
    """With the overlay's arguments and account, at a port of its own."""
    [container] = workloads(render("one-node"))["syncer"]["containers"]
    grant, kubeconfig = await shipped_account(real_api)
    await grant()
    sources = [each for each in container["args"] if not each.startswith("--metrics-address=")]
    async with publishing(etcd.endpoint, prefix, kubeconfig, real_api.namespace, sources) as running:
        yield running


@pytest.fixture
def cheese(real_api: KubeApi, tmp_path: Path) -> Path:
    """The example without its namespace, to be applied in the test's own."""
    objects = list(yaml.safe_load_all((CONFIG / "examples" / "cheese.yaml").read_text()))
    for obj in objects:
        del obj["metadata"]["namespace"]
    path = tmp_path / "cheese.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


async def test_the_walk_through(real_api, dnsserver, syncer, cheese, prefix, store: Store):
    async def run(*arguments: str) -> str:
        own = (f"--kubeconfig={real_api.kubeconfig}", f"--namespace={real_api.namespace}")
        done = await asyncio.to_thread(kubectl, *own, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # The zone is there, and no name of the application.
    [soa] = dnsserver.ask("k8s.local", "SOA").answer
    assert soa[0].mname.to_text() == "ns.dns.k8s.local."
    assert dnsserver.data("ns.dns.k8s.local") == {NODE}
    for name in CHEESES:
        assert dnsserver.rcode(name) == "NXDOMAIN"

    # The application; its Ingress gets an address from the ingress controller.
    assert (await run("apply", "-f", str(cheese))).count("created") == 7
    [ingress] = [o for o in yaml.safe_load_all(cheese.read_text()) if o["kind"] == "Ingress"]
    await real_api.set_status(ingress, {"loadBalancer": {"ingress": [{"ip": NODE}]}})
    for name in CHEESES:
        await until(lambda name=name: dnsserver.data(name) == {NODE}, 10)
        assert dnsserver.data(name, tcp=True) == {NODE}
    response = dnsserver.ask(CHEESES[0])
    assert response.flags & dns.flags.AA
    assert not response.flags & dns.flags.RA

    # Names of others, as a machine asks that has dnsserver as its resolver.
    response = dnsserver.ask("alias.test")
    assert response.flags & dns.flags.RA
    assert not response.flags & dns.flags.AA
    assert dnsserver.data("alias.test") == {"192.0.2.1"}
    assert dnsserver.data("www.test", tcp=True) == {"192.0.2.1"}
    assert dnsserver.rcode("gone.test") == "NXDOMAIN"

    # Away with it.
    await run("delete", "-f", str(cheese))
    for name in CHEESES:
        await until(lambda name=name: dnsserver.rcode(name) == "NXDOMAIN", 10)
    assert [e.key for page in store.pages(prefix_of(prefix)) for e in page.entries] == []
    for said in (dnsserver.log(), syncer.log()):
        assert "ERROR" not in said
        assert "WARNING" not in said
