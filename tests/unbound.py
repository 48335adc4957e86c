"""Unbound, the resolver behind a forwarder: it has a root and the zone `test.` in files, and asks nobody."""

import subprocess
import tempfile
from pathlib import Path
from typing import Self

import dns.exception

from tests.integration.tools import need_tool
from tests.programs import Resolver, eventually
from tools.embedded_etcd import free_port

CONFIGURATION = """\
server:
    interface: 127.0.0.1@{port}
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    num-threads: 1
    do-not-query-localhost: no
    module-config: "iterator"
    local-zone: "test." nodefault
{tls}
remote-control:
    control-enable: no
"""
TLS = """\
    interface: 127.0.0.1@{port}
    tls-port: {port}
    tls-service-pem: "{certificate}"
    tls-service-key: "{key}"
"""
AUTHORITY = """\
auth-zone:
    name: "{name}"
    zonefile: "{file}"
    for-downstream: no
    for-upstream: yes
    fallback-enabled: no
"""
ROOT = """\
. 300 SOA ns.test. hostmaster.test. 1 7200 3600 86400 60
. 300 NS ns.test.
test. 300 NS ns.test.
ns.test. 300 A 127.0.0.1
"""
ZONE = f"""\
test. 300 SOA ns.test. hostmaster.test. 1 7200 3600 86400 60
test. 300 NS ns.test.
ns.test. 300 A 127.0.0.1
www.test. 300 A 192.0.2.1
www.test. 300 AAAA 2001:db8::1
www.test. 300 RRSIG A 8 2 300 20300101000000 20250101000000 1 test. AAAA
alias.test. 300 CNAME www.test.
inward.test. 300 CNAME here.k8s.local.
gone-inward.test. 300 CNAME nowhere.k8s.local.
round.test. 300 CNAME round.k8s.local.
never.test. 0 A 192.0.2.2
big.test. 300 TXT {" ".join(['"' + "t" * 250 + '"'] * 10)}
"""


class Unbound(Resolver):
    """`start` and `stop` may be repeated. With a certificate and its key it serves TLS too, on `tls_port`."""

    def __init__(self, directory: Path, certificate: tuple[Path, Path] | None = None) -> None:
        Resolver.__init__(self, free_port())
        self._directory = Path(tempfile.mkdtemp(prefix="unbound-", dir=directory))
        self._log = self._directory / "log"
        tls = ""
        if certificate:
            self.tls_port = free_port()
            tls = TLS.format(port=self.tls_port, certificate=certificate[0], key=certificate[1])
        text = CONFIGURATION.format(port=self.port, directory=self._directory, tls=tls)
        for name, zone in ((".", ROOT), ("test.", ZONE)):
            file = self._directory / f"{name}zone"
            file.write_text(zone)
            text += AUTHORITY.format(name=name, file=file)
        self._configuration = self._directory / "unbound.conf"
        self._configuration.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [need_tool("unbound"), "-d", "-c", str(self._configuration)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self._answers, 20, self._log.read_text())

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            return bool(self.ask("www.test", timeout=0.5).answer)
        except (OSError, dns.exception.DNSException):
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
