"""Knot and NSD as secondaries of a zone, on loopback, with ports and files of their own."""

import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import dns.exception
import dns.query
import dns.rdatatype
import dns.zone

from tests.integration.tools import need_tool
from tests.programs import Resolver, eventually

ALGORITHMS = {"knot": "hmac-sha256", "nsd": "hmac-sha512"}
SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgbG9uZyBlbm91Z2g="
KEY = "transfer-key"

KNOT = """\
server:
    rundir: {directory}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: debug
database:
    storage: {directory}
{keys}
remote:
  - id: primary
    address: 127.0.0.1@{primary}
{key}
acl:
  - id: notify
    address: 127.0.0.1
    action: notify
{key}
  - id: transfer
    address: 127.0.0.1
    action: transfer
zone:
  - domain: {zone}
    storage: {directory}
    master: primary
    acl: [notify, transfer]
"""
KNOT_KEYS = f"key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"

NSD = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    zonesdir: {directory}
    database: ""
    pidfile: {directory}/nsd.pid
    xfrdfile: {directory}/xfrd.state
    xfrdir: {directory}
    zonelistfile: {directory}/zone.list
    cookie-secret-file: {directory}/cookies
    server-count: 1
    verbosity: 3
    xfrd-reload-timeout: 0
remote-control:
    control-enable: no
{keys}
zone:
    name: {zone}
    zonefile: {zone}.zone
    request-xfr: 127.0.0.1@{primary} {key}
    allow-notify: 127.0.0.1 {key}
    provide-xfr: 127.0.0.1 NOKEY
"""
NSD_KEYS = f"key:\n    name: {KEY}\n    algorithm: hmac-sha512\n    secret: {SECRET}\n"


class Secondary(Resolver):
    """A server that gets its zone from the primary on a port. `start` and `stop` may be repeated."""

    def __init__(
        self, program: str, directory: Path, primary: int, *, port: int, signed: bool, zone: str
    ) -> None:
        Resolver.__init__(self, port)
        self.zone, self.algorithm = zone, ALGORITHMS[program]
        self._directory = Path(tempfile.mkdtemp(prefix=f"{program}-", dir=directory))
        self._log = self._directory / "log"
        text, keys = (KNOT, KNOT_KEYS) if program == "knot" else (NSD, NSD_KEYS)
        key = f"    key: {KEY}" if program == "knot" else KEY
        config = self._directory / f"{program}.conf"
        config.write_text(
            text.format(
                directory=self._directory,
                port=self.port,
                primary=primary,
                zone=zone,
                keys=keys if signed else "",
                key=key if signed else "" if program == "knot" else "NOKEY",
            )
        )
        self._command = (
            [need_tool("knotd"), "-c", str(config)]
            if program == "knot"
            else [need_tool("nsd"), "-d", "-c", str(config)]
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)
            self._process = None

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def serial(self) -> int | None:
        """Return the serial it serves; None where it serves nothing yet."""
        try:
            answer = self.ask(self.zone, "SOA", timeout=1).answer
        except (OSError, dns.exception.DNSException):
            return None
        return int(answer[0][0].serial) if answer else None

    def wait_for_serial(self, serial: int, within: float = 40) -> None:
        eventually(lambda: self.serial() == serial, within, f"serial {serial}: {self.log()}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def transferred(port: int, zone: str, **options: object) -> dns.zone.Zone:
    """Return the zone by AXFR."""
    return dns.zone.from_xfr(
        dns.query.xfr("127.0.0.1", zone, port=port, relativize=False, lifetime=10, **options),  # type: ignore[arg-type]
        relativize=False,
    )


def records(zone: dns.zone.Zone) -> set[str]:
    """Return every record as text, the SOA too."""
    return {
        f"{name} {rdataset.ttl} {dns.rdatatype.to_text(rdataset.rdtype)} {rdata}"
        for name, rdataset in zone.iterate_rdatasets()
        for rdata in rdataset
    }
