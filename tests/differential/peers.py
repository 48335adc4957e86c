"""Knot and NSD as processes on loopback, serving the zones that dnsserver serves."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import dns.name

from tests.integration.tools import need_tool
from tests.peers import knot, nsd
from tools.embedded_etcd import free_port

START_TIMEOUT: Final = 20.0
"""Seconds until a peer must answer for all its zones."""

Zones = Mapping[str, str]
"""Domain, as zone-file text → text of the zone file."""


class Peer:
    """A running server: `with Knot(directory, zones) as knot: knot.port`. It ends with the block."""

    program: str

    def __init__(self, directory: Path, zones: Zones) -> None:
        path = need_tool(self.program)
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix=self.program, dir=directory))
        self._files = {domain: self._directory / f"{index}.zone" for index, domain in enumerate(zones)}
        for domain, file in self._files.items():
            file.write_text(zones[domain])
        self._conf = self._directory / "conf"
        self._conf.write_text(self._configuration())
        self._log = (self._directory / "log").open("wb")
        self._process = subprocess.Popen(
            [path, *self._arguments()], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def _configuration(self) -> str:
        raise NotImplementedError

    def _arguments(self) -> list[str]:
        raise NotImplementedError

    def log(self) -> str:
        return (self._directory / "log").read_text("utf-8", "replace")

    def __enter__(self) -> Self:
        waiting = list(self._files)
        deadline = time.monotonic() + START_TIMEOUT
        while waiting:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError(f"{self.program} does not serve {waiting}:\n{self.log()[-2000:]}")
            if self._serves(waiting[-1]):
                waiting.pop()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _serves(self, domain: str) -> bool:
        name = dns.name.from_text(domain).to_wire() or b""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.1)
            client.connect(("127.0.0.1", self.port))
            try:
                client.send(b"\0\0\0\0\0\1\0\0\0\0\0\0" + name + b"\0\6\0\1")
                reply = client.recv(512)
            except OSError:
                reply = b"\0\0\0\2"
        if reply[3] & 15:
            time.sleep(0.05)
        return reply[3] & 15 == 0


class Knot(Peer):
    program = "knotd"

    def _configuration(self) -> str:
        return knot(self._directory, self.port, self._files)

    def _arguments(self) -> list[str]:
        return ["--config", str(self._conf)]


class Nsd(Peer):
    program = "nsd"

    def _configuration(self) -> str:
        return nsd(self._directory, self.port, self._files)

    def _arguments(self) -> list[str]:
        return ["-d", "-c", str(self._conf)]
