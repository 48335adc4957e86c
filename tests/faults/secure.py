"""Faults of an etcd that asks who we are: tokens that expire, and certificates that are replaced."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dnsserver.skydns.address import EtcdAddress
from tests.faults.scene import Scene
from tests.programs import eventually
from tools.embedded_etcd import EmbeddedEtcd

TOKEN_TTL = 1
"""Seconds without a call after which etcd forgets a token."""

PASSWORD = "correct-horse"


class WithPassword(Scene):
    def __init__(self, directory: Path, etcd: EmbeddedEtcd) -> None:
        self.etcd = etcd
        for command in (
            f"user add root:{PASSWORD}",
            "role add root",
            "user grant-role root root",
            "auth enable",
        ):
            etcd.ctl(*command.split())
        file = directory / "password"
        file.write_text(PASSWORD)
        super().__init__(
            directory,
            EtcdAddress(endpoints=(etcd.endpoint,), username="root", password=PASSWORD),
            etcd_keys={"username": "root", "password_file": str(file)},
        )


@contextmanager
def with_password(directory: Path) -> Iterator[WithPassword]:
    with (
        EmbeddedEtcd("embedded", "--unsafe-no-fsync", f"--auth-token-ttl={TOKEN_TTL}") as etcd,
        WithPassword(directory, etcd) as scene,
    ):
        yield scene


def tokens_lost(scene: WithPassword, *, long: bool) -> None:
    """They are in etcd's memory."""
    scene.etcd.kill()
    scene.etcd.start()


def tokens_expire(scene: WithPassword, *, long: bool) -> None:
    """Each time the server looks whether etcd is there, it must say again who it is."""
    before = scene.server.metric("dnsserver_etcd_watches_total")
    eventually(
        lambda: scene.server.metric("dnsserver_etcd_watches_total") > before + (20 if long else 1), 120
    )


class Certificates:
    """A certificate authority in a directory, the certificate of a server and that of a client."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.renew()

    def renew(self) -> None:
        """Replace all of them, the authority included; each file at once."""
        fresh = self.directory / "fresh"
        fresh.mkdir(exist_ok=True)
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        for name in ("ca", "server", "client"):
            signed = [] if name == "ca" else ["-CA", "ca.crt", "-CAkey", "ca.key"]
            names = [] if name == "ca" else ["-addext", "subjectAltName=IP:127.0.0.1"]
            files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
            command = ["openssl", "req", "-x509", *new_key, *signed, *names, "-subj", f"/CN={name}", *files]
            subprocess.run(command, cwd=fresh, check=True, capture_output=True)
        for file in list(fresh.iterdir()):
            os.replace(file, self.directory / file.name)

    def path(self, name: str) -> str:
        return str(self.directory / name)


class WithCertificates(Scene):
    def __init__(self, directory: Path, etcd: EmbeddedEtcd, certificates: Certificates) -> None:
        self.etcd, self.certificates = etcd, certificates
        files = {f"{kind}_file": certificates.path(name) for kind, name in _OURS.items()}
        super().__init__(directory, EtcdAddress(endpoints=(etcd.endpoint,), **files), etcd_keys=files)


_OURS = {"ca": "ca.crt", "cert": "client.crt", "key": "client.key"}


@contextmanager
def with_certificates(directory: Path) -> Iterator[WithCertificates]:
    certificates = Certificates(directory)
    arguments = {
        "--cert-file": "server.crt",
        "--key-file": "server.key",
        "--trusted-ca-file": "ca.crt",
    }
    files = [f"{flag}={certificates.path(name)}" for flag, name in arguments.items()]
    with (
        EmbeddedEtcd("embedded", "--unsafe-no-fsync", "--client-cert-auth", *files, scheme="https") as etcd,
        WithCertificates(directory, etcd, certificates) as scene,
    ):
        yield scene


def certificates_replaced(scene: WithCertificates, *, long: bool) -> None:
    """The old authority is trusted by nobody any more."""
    scene.certificates.renew()
    scene.etcd.kill()
    scene.etcd.start()


PASSWORD_FAULTS = {"auth tokens lost": tokens_lost, "auth tokens expire": tokens_expire}
CERTIFICATE_FAULTS = {"all certificates replaced": certificates_replaced}
