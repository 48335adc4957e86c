"""etcd with users and with certificates, as config/kubernetes sets them up: real etcd, both programs."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import yaml

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.entry import Head
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import Store
from tests.integration.kustomize import (
    MANIFESTS,
    environment,
    mount_volumes,
    of_kind,
    render,
    replaced,
    workloads,
)
from tests.integration.tools import need_tool
from tests.programs import DnsServer, Program, eventually
from tools.embedded_etcd import EmbeddedEtcd, free_port

INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: default}}
spec: {{rules: [{{host: {name}.k8s.local}}]}}
status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}
"""

MEMBERS = ("etcd-0", "etcd-1", "etcd-2")


class Etcdctl:
    """etcdctl as one user; `variables` are its own."""

    def __init__(self, **variables: str) -> None:
        self._program = need_tool("etcdctl")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        self.variables = kept | {"ETCDCTL_API": "3"} | variables

    def __call__(self, *arguments: str) -> str:
        """Return what it says, its complaint included."""
        done = subprocess.run(
            [self._program, *arguments], env=self.variables, capture_output=True, text=True, timeout=30
        )
        return done.stdout + done.stderr

    def may_read(self, key: str) -> bool:
        return "permission denied" not in (said := self("get", key)) and "Error" not in said

    def may_write(self, key: str) -> bool:
        said = self("put", key, "{}")
        assert ("OK" in said) != ("permission denied" in said), said
        return "OK" in said


class Syncer(Program):
    """Publishes the Ingresses of a directory of manifests."""

    def __init__(self, manifests: Path, variables: dict[str, str]) -> None:
        self._manifests = manifests
        manifests.mkdir(exist_ok=True)
        super().__init__(
            "syncer",
            *("--source=manifests", f"--manifests={manifests}", f"--metrics-address=127.0.0.1:{free_port()}"),
            environment=variables,
        )

    def publish(self, name: str, address: str) -> None:
        (self._manifests / f"{name}.yaml").write_text(INGRESS.format(name=name, address=address))


def restrict(directory: Path, root: Etcdctl) -> None:
    """Run etcd-users.sh as an administrator does."""
    path = f"{Path(need_tool('etcdctl')).parent}:{os.environ['PATH']}"
    script = MANIFESTS / "etcd-users.sh"
    done = subprocess.run(
        [script, directory], env=root.variables | {"PATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def check_rights(dnsserver: Etcdctl, syncer: Etcdctl) -> None:
    """What each may, key by key, and no more."""
    rights = {
        key: (dnsserver.may_read(key), dnsserver.may_write(key), syncer.may_read(key), syncer.may_write(key))
        for key in (
            "/skydns/local/k8s/x",
            "/syncer/default/leader/skydns",
            "/syncer/other/leader/skydns",
            "/skydnsx",
            "/registry/secrets/x",
        )
    }
    nothing = (False, False, False, False)
    assert rights == {
        "/skydns/local/k8s/x": (True, False, True, True),
        "/syncer/default/leader/skydns": (False, False, True, True),
        "/syncer/other/leader/skydns": nothing,
        "/skydnsx": nothing,
        "/registry/secrets/x": nothing,
    }
    assert "permission denied" in dnsserver("get", "", "--from-key")
    assert "permission denied" in syncer("get", "", "--from-key")
    assert "permission denied" in syncer("user", "list")


def test_users_with_passwords_read_and_write_the_records_and_nothing_else(own_etcd: EmbeddedEtcd, tmp_path):
    endpoint, users = own_etcd.endpoint, tmp_path / "users"
    nobody = Etcdctl(ETCDCTL_ENDPOINTS=endpoint)
    restrict(users, nobody)
    restrict(users, nobody)  # with authentication on, to the same state
    passwords = {name: (users / f"{name}.password").read_text().strip() for name in ("dnsserver", "syncer")}
    assert all((users / f"{name}.password").stat().st_mode & 0o077 == 0 for name in passwords)

    variables = {"ETCD_URLS": endpoint, "ETCD_USERNAME": "syncer", "ETCD_PASSWORD": passwords["syncer"]}
    more = (f"--etcd-password-file={users / 'dnsserver.password'}", "--etcd-username=dnsserver")
    with (
        Syncer(tmp_path / "manifests", variables) as syncer,
        DnsServer(tmp_path, etcd=endpoint, more=more) as server,
    ):
        server.wait_ready()
        syncer.publish("stilton", "10.9.0.1")
        eventually(lambda: server.data("stilton.k8s.local") == {"10.9.0.1"}, 60, syncer.log())
        for password in passwords.values():
            assert password not in syncer.log() + server.log() + server.page("/metrics")[1]

    as_user = {
        name: Etcdctl(ETCDCTL_ENDPOINTS=endpoint, ETCDCTL_USER=f"{name}:{password}")
        for name, password in passwords.items()
    }
    check_rights(as_user["dnsserver"], as_user["syncer"])
    assert not nobody.may_read("/skydns/local/k8s/x")


class Cluster:
    """The three members of the overlay tls on loopback: its variables with other addresses and paths."""

    def __init__(self, certificates: Path, directory: Path) -> None:
        self._objects, self._certificates, self._directory = render("tls"), certificates, directory
        self._ports = {
            f"{name}.etcd-members:{port}": free_port() for name in MEMBERS for port in (2379, 2380)
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self._ports['etcd-0.etcd-members:2379']}"

    def variables(self, name: str) -> dict[str, str]:
        """The variables of a workload; its Secrets are laid out where they say."""
        place = mount_volumes(self._objects, self._certificates, name, self._directory)
        hosts = {host: f"127.0.0.1:{port}" for host, port in self._ports.items()}
        return replaced(environment(workloads(self._objects)[name]), place | hosts)

    def admin(self, name: str = "") -> Etcdctl:
        """Etcdctl with the certificate of a client, or without one."""
        files = (
            {}
            if not name
            else {
                "ETCDCTL_CERT": str(self._certificates / f"{name}.crt"),
                "ETCDCTL_KEY": str(self._certificates / f"{name}.key"),
            }
        )
        ca = str(self._certificates / "ca.crt")
        return Etcdctl(ETCDCTL_ENDPOINTS=self.endpoint, ETCDCTL_CACERT=ca, **files)

    def start(self) -> None:
        shared = self.variables("etcd")
        assert "ETCD_NAME" not in shared  # the pod's own
        for name in MEMBERS:
            listen = {
                f"0.0.0.0:{port}": f"127.0.0.1:{self._ports[f'{name}.etcd-members:{port}']}"
                for port in (2379, 2380)
            }
            hosts = {f"$(ETCD_NAME).etcd-members:{port}": listen[f"0.0.0.0:{port}"] for port in (2379, 2380)}
            data = {"/var/lib/etcd": str(self._directory / name), "0.0.0.0:2381": f"127.0.0.1:{free_port()}"}
            with (self._directory / f"{name}.log").open("wb") as log:
                self.processes.append(
                    subprocess.Popen(
                        [need_tool("etcd")],
                        env={"ETCD_NAME": name} | replaced(shared, hosts | listen | data),
                        stdout=log,
                        stderr=log,
                        stdin=subprocess.DEVNULL,
                        start_new_session=True,
                    )
                )
        root = self.admin("root")
        eventually(lambda: "is healthy" in root("endpoint", "health"), 60, self.log())

    def log(self) -> str:
        return "".join(
            (self._directory / f"{name}.log").read_text("utf-8", "replace")[-2000:] for name in MEMBERS
        )


@pytest.fixture
def cluster(certificates: Path, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(certificates, tmp_path)
    try:
        made.start()
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()


def test_a_server_that_our_authority_does_not_know_or_of_another_name_is_not_asked(cluster, certificates):
    good, peers = str(certificates / "ca.crt"), str(certificates / "peer-ca.crt")
    client = {"cert_file": str(certificates / "syncer.crt"), "key_file": str(certificates / "syncer.key")}

    def head(ca_file: str, server_name: str = "") -> Head:
        address = EtcdAddress(
            endpoints=(cluster.endpoint,), ca_file=ca_file, server_name=server_name, **client
        )
        with closing(Store(address)) as store:
            return store.head(Key(b"/skydns/"))

    assert head(good).revision > 0
    assert head(good, "etcd-1.etcd-members").revision > 0
    for ca_file, name in ((peers, ""), ("", ""), (good, "etcd.example.org")):
        with pytest.raises(StoreUnavailable):
            head(ca_file, name)


def test_the_overlay_tls_works_and_with_users_each_certificate_has_its_own_rights(cluster, tmp_path):
    [zone] = of_kind(render("tls"), "ConfigMap").values()
    with ExitStack() as stack:
        syncer = stack.enter_context(Syncer(tmp_path / "manifests", cluster.variables("syncer")))
        variables = cluster.variables("dnsserver")
        more = [
            f"--{k.removeprefix('DNSSERVER_').replace('_', '-').lower()}={v}" for k, v in variables.items()
        ]
        zones = (
            yaml.safe_dump({"etcd": yaml.safe_load(zone["data"]["zone.yaml"])["etcd"]})
            + "zones: [{name: k8s.local}]\n"
        )
        server = stack.enter_context(DnsServer(tmp_path, zones=zones, more=more))
        server.wait_ready()
        syncer.publish("stilton", "10.9.0.1")
        eventually(lambda: server.data("stilton.k8s.local") == {"10.9.0.1"}, 60, syncer.log())
        assert "permission denied" not in cluster.admin("syncer")("put", "/elsewhere", "x"), "no users yet"

        restrict(tmp_path / "users", cluster.admin("root"))
        syncer.publish("cheddar", "10.9.0.2")
        began = time.monotonic()
        eventually(lambda: server.data("cheddar.k8s.local") == {"10.9.0.2"}, 60, syncer.log() + server.log())
        print(f"\nserved {time.monotonic() - began:.1f} s after users were made")
        check_rights(cluster.admin("dnsserver"), cluster.admin("syncer"))
        eventually(lambda: (Path(variables["DNSSERVER_STATE_DIR"]) / "table").exists(), 15)

    said = cluster.admin()("get", "/skydns/", "--prefix")
    assert "Error" in said, "a client without a certificate"
    assert "stilton" not in said
