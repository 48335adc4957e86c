"""A syncer as a process of its own, and what it left in etcd."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.store import Store
from tools.embedded_etcd import free_port


class Syncer:
    """`with Syncer(etcd.endpoint, prefix, "--source=…") as syncer`; it gets SIGTERM at the end."""

    def __init__(self, endpoint: str, prefix: str, *arguments: str, **environment: str) -> None:
        self.port = free_port()
        base = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "EXTERNAL_DNS_", "KUBE"))}
        listen = () if "--once" in arguments else (f"--metrics-address=127.0.0.1:{self.port}",)
        self._command = [sys.executable, "-m", "syncer", f"--coredns-prefix={prefix}", *listen, *arguments]
        self._environment = base | {"ETCD_URLS": endpoint} | environment
        self.process: subprocess.Popen[str] | None = None
        # A pipe that nobody reads would stop it when it is full.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115

    def __enter__(self) -> "Syncer":
        self.process = subprocess.Popen(
            self._command, env=self._environment, stdout=self._said, stderr=self._said, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM; return the exit status and what it logged."""
        assert self.process is not None
        self.process.terminate()
        return self.wait()

    def wait(self) -> tuple[int, str]:
        assert self.process is not None
        self.process.wait(timeout=60)
        self._said.seek(0)
        said = self._said.read()
        assert "Traceback" not in said, said
        return self.process.returncode, said

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)


def hosts(store: Store, prefix: str) -> dict[str, set[str]]:
    """Return the targets of each name; the name of an ownership text has none."""
    found: dict[str, set[str]] = {}
    start = prefix_of(prefix)
    for page in store.pages(start):
        for entry in page.entries:
            labels = entry.key[len(start) :].decode().split("/")[:-1]
            targets = found.setdefault(".".join(reversed(labels)), set())
            value = json.loads(entry.value or b"{}")
            if "host" in value:
                targets.add(value["host"])
    return found


def eventually(condition, seconds: float = 40.0):
    """Return the condition's first true value; fail after some seconds without one."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
    return value
