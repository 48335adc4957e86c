"""A real kube-apiserver with an etcd of its own: free loopback ports, a temporary directory, RBAC on."""

import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import encodebytes
from pathlib import Path
from typing import Self

from tests.integration.tools import find_tool
from tools.embedded_etcd import free_port

START_TIMEOUT = 60.0
"""Seconds until each of the two must be ready; 3 is usual."""

ADMIN_TOKEN = "admin-of-a-test-server"

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: "{url}", certificate-authority: "{ca}"}}}}]
users: [{{name: test, user: {{token: "{token}"}}}}]
"""


class ApiServerNotStarted(Exception):
    """A program is missing or did not become ready. The text says which, with the end of its log."""


def new_signing_key() -> str:
    """Return a private key on P-256, in PEM: RFC 5915 with the public key left out, as it may be."""
    curve = bytes.fromhex("06082a8648ce3d030107")
    fields = b"\x02\x01\x01\x04\x20" + os.urandom(32) + b"\xa0" + bytes([len(curve)]) + curve
    body = encodebytes(b"\x30" + bytes([len(fields)]) + fields).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"


class ApiServer:
    """`with ApiServer() as server: server.url`; both processes and their data end with the block."""

    token = ADMIN_TOKEN

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kube-apiserver-"))
        self._port, self._etcd_port, self._peer_port = free_port(), free_port(), free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @property
    def etcd_endpoint(self) -> str:
        """Where the API server keeps its objects."""
        return f"http://127.0.0.1:{self._etcd_port}"

    @property
    def ca_file(self) -> Path:
        return self.directory / "certs" / "apiserver.crt"

    def kubeconfig(self, token: str = ADMIN_TOKEN) -> Path:
        path = self.directory / f"kubeconfig-{abs(hash(token))}"
        path.write_text(KUBECONFIG.format(url=self.url, ca=self.ca_file, token=token))
        return path

    def start(self) -> None:
        """Start what does not run, on the same ports and data, and wait until it is ready.

        Raises:
            ApiServerNotStarted: see there.
        """
        etcd = self.etcd_endpoint
        peer = f"http://127.0.0.1:{self._peer_port}"
        key = self.directory / "service-accounts.key"
        if not key.exists():
            key.write_text(new_signing_key())
            (self.directory / "tokens.csv").write_text(f"{self.token},admin,1,system:masters\n")
        self._run(
            "etcd",
            *("--name=kube", f"--data-dir={self.directory / 'etcd'}", "--unsafe-no-fsync"),
            *(f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            f"--initial-cluster=kube={peer}",
        )
        self._wait("etcd", f"{etcd}/health")
        self._run(
            "kube-apiserver",
            *(f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={self._port}"),
            *(f"--cert-dir={self.directory / 'certs'}", "--service-cluster-ip-range=10.96.0.0/16"),
            *("--authorization-mode=RBAC", f"--token-auth-file={self.directory / 'tokens.csv'}"),
            *("--service-account-issuer=https://kube.test", f"--service-account-key-file={key}"),
            f"--service-account-signing-key-file={key}",
            # Nobody here fills in the default service account, so Pods could not be created with it.
            "--disable-admission-plugins=ServiceAccount",
        )
        self._wait("kube-apiserver", f"{self.url}/readyz")

    def kill(self) -> None:
        """Kill the apiserver as a crash would; etcd stays. `start` brings it back."""
        self._end("kube-apiserver", signal.SIGKILL)

    def close(self) -> None:
        for name in ("kube-apiserver", "etcd"):
            self._end(name, signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, name: str, *arguments: str) -> None:
        if name in self._processes:
            return
        program = find_tool(name)
        if program is None:
            raise ApiServerNotStarted(f"no {name}")
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C is for the test run, which then ends us in order
            )

    def _wait(self, name: str, url: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers(url):
            if self._processes[name].poll() is not None or time.monotonic() > deadline:
                log = (self.directory / f"{name}.log").read_text("utf-8", "replace")
                raise ApiServerNotStarted(f"{name} is not ready:\n{log[-3000:]}")
            time.sleep(0.05)

    def _answers(self, url: str) -> bool:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with contextlib.suppress(OSError):
            trust = ssl.create_default_context(cafile=self.ca_file) if url.startswith("https") else None
            with urllib.request.urlopen(request, timeout=1, context=trust) as response:
                return response.status == 200
        return False

    def _end(self, name: str, how: signal.Signals) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt), ApiServer() as server:
            print(f"export KUBECONFIG={server.kubeconfig()}", flush=True)
            signal.pause()
    except ApiServerNotStarted as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
