"""`make run`: an embedded etcd, the syncer on the example manifests, and the server, until Ctrl-C.

Needs no root, no Docker and no cluster; touches no etcd, port or file but its own.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.embedded_etcd import EmbeddedEtcd, EtcdNotStarted, free_port

ROOT: Final = Path(__file__).resolve().parent.parent
MANIFESTS: Final = "config/examples"
ZONE: Final = Path("config/zone.yaml")

READY_TIMEOUT: Final = 20.0
"""Seconds until the server must be ready."""

STOP_TIMEOUT: Final = 10.0


class _Failed(Exception):
    """A program ended, or is not ready in time. It has said why itself."""


def _start(module: str, arguments: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches only us, and we stop them in order.
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, start_new_session=True
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


def _watch(programs: dict[str, subprocess.Popen[bytes]], ready_url: str, told: str) -> None:
    """Wait for a program's end, or for Ctrl-C, and print `told` once the server is ready."""
    deadline, ready = time.monotonic() + READY_TIMEOUT, False
    while True:
        for name, program in programs.items():
            if program.poll() is not None:
                raise _Failed(f"{name} ended with exit code {program.returncode}")
        if not ready and _is_ready(ready_url):
            ready = True
            print(told, flush=True)
        if not ready and time.monotonic() > deadline:
            raise _Failed(f"the server is not ready after {READY_TIMEOUT:.0f} s; see above")
        time.sleep(0.2)


def _run(port: int, manifests: str) -> None:
    # What the user's shell has set for another etcd or another cluster is not for this one.
    ours = ("DNSSERVER_", "EXTERNAL_DNS_", "ETCD_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    metrics, health, ready, status, syncer_metrics = (f"127.0.0.1:{free_port()}" for _ in range(5))
    programs: dict[str, subprocess.Popen[bytes]] = {}
    with EmbeddedEtcd() as etcd:
        told = f"""
  zone k8s.local is served on 127.0.0.1:{port}, from {manifests}/ by way of an etcd of its own:

    dig @127.0.0.1 -p {port} A stilton.k8s.local
    dig @127.0.0.1 -p {port} SOA k8s.local

  edit a file in {manifests}/ and ask again. Also listening, on loopback:
    etcd {etcd.endpoint}   server http://{metrics}/metrics http://{health}/health http://{ready}/ready
    status page http://{status}/       syncer http://{syncer_metrics}/metrics
  Ctrl-C stops all.
"""
        try:
            programs["syncer"] = _start(
                "syncer",
                ["--source=manifests", f"--manifests={manifests}", f"--metrics-address={syncer_metrics}"],
                environment | {"ETCD_URLS": etcd.endpoint},
            )
            programs["dnsserver"] = _start(
                "dnsserver",
                [
                    *("--config", str(ZONE), "--listen", f"127.0.0.1:{port}"),
                    *("--etcd-endpoints", etcd.endpoint, "--metrics-listen", metrics),
                    *("--health-listen", health, "--ready-listen", ready, "--status-listen", status),
                ],
                environment,
            )
            _watch(programs, f"http://{ready}/ready", told)
        finally:
            for program in reversed(programs.values()):
                _stop(program)


def main() -> int:
    for ends in (signal.SIGTERM, signal.SIGINT):  # a shell that starts it by & has the second ignored
        signal.signal(ends, signal.default_int_handler)
    try:
        port = os.environ.get("PORT") or "1053"
        if not port.isdecimal():
            raise _Failed(f"PORT={port}: expected a port number")
        _run(int(port), os.environ.get("MANIFESTS") or MANIFESTS)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except (EtcdNotStarted, _Failed) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
