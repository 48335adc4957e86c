"""The servers compared: ours, those of Debian with one worker for UDP each, and the floor."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.bench.results import PLAIN
from tests.bench.servers import Server, compiled, find_tool, is_installed
from tests.bench.workload import PAGES, PREFIX, SECRET, World
from tests.peers import Files, knot, nsd
from tools.embedded_etcd import free_port

_BIND: Final = """\
options {{
    directory "{directory}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    recursion no;
    minimal-responses yes;
    answer-cookie no;
    rrset-order {{ order cyclic; }};
    tcp-clients 1000;
}};
controls {{ }};
zone "{zone}" {{ type primary; file "zone"; }};
"""

_COREDNS: Final = """\
{zone}:{port} {{
    bind 127.0.0.1
    cache
    etcd {{
        path {prefix}
        endpoint {etcd}
    }}
}}
"""


class _WithZoneFile(Server):
    program: str
    flags: tuple[str, ...]
    """Before the file of the configuration."""

    def command(self) -> list[str]:
        (self.directory / "zone").write_text(self.world.zone_file())
        conf = self.directory / "conf"
        conf.write_text(self.configuration({self.world.zone: self.directory / "zone"}))
        return [find_tool(self.program), *self.flags, str(conf)]

    def configuration(self, files: Files) -> str:
        raise NotImplementedError


class Knot(_WithZoneFile):
    name, program, flags = "knot", "knotd", ("--config",)

    def configuration(self, files: Files) -> str:
        return knot(self.directory, self.port, files, ["answer-rotation: on"])


class Nsd(_WithZoneFile):
    name, program, flags = "nsd", "nsd", ("-d", "-c")

    def configuration(self, files: Files) -> str:
        options = ["minimal-responses: yes", "round-robin: yes", "tcp-count: 1000"]
        return nsd(self.directory, self.port, files, options)


class Bind(_WithZoneFile):
    name, program, flags = "bind", "named", ("-g", "-n", "1", "-c")

    def configuration(self, files: Files) -> str:
        return _BIND.format(directory=self.directory, port=self.port, zone=self.world.zone)


class Coredns(Server):
    """CoreDNS with the plugin etcd, and a cache before it."""

    name = "coredns"

    def __init__(self, directory: Path, world: World, program: str, etcd: str) -> None:
        super().__init__(directory, world)
        self._program, self._etcd = program, etcd

    def command(self) -> list[str]:
        conf = self.directory / "Corefile"
        conf.write_text(_COREDNS.format(zone=self.world.zone, port=self.port, prefix=PREFIX, etcd=self._etcd))
        return ["env", "GOMAXPROCS=1", self._program, "-conf", str(conf)]


class Dnsserver(Server):
    """Ours, with the records from etcd."""

    name = "dnsserver"

    def __init__(self, directory: Path, world: World, etcd: str, settings: str = "") -> None:
        super().__init__(directory, world)
        self._etcd, self._settings = etcd, settings
        self.pages = f"127.0.0.1:{free_port()}"
        """Where they are, if the settings have any."""

    def command(self) -> list[str]:
        (self.directory / "secret").write_text(SECRET)
        settings = self._settings.replace(PAGES, self.pages)
        conf = self.directory / "zone.yaml"
        conf.write_text(
            f'listen: ["127.0.0.1:{self.port}"]\n'
            f"etcd: {{endpoints: [{self._etcd!r}], prefix: {PREFIX}}}\n"
            f"zones: [{{name: {self.world.zone}}}]\n{settings}"
        )
        return [sys.executable, "-m", "dnsserver", "--config", str(conf)]


class Plain(Dnsserver):
    """Ours without the settings that the other has."""

    name = PLAIN


class Floor(Server):
    """What no server can go below: a C program that sends each datagram back with 16 octets more."""

    name = "floor"

    def command(self) -> list[str]:
        return [str(compiled("echo.c", self.directory)), str(self.port)]


def versions(coredns: str = "") -> dict[str, str]:
    """Return the versions of the servers that are there to be compared, by name."""
    commands = {
        Knot.name: ["knotd", "--version"],
        Nsd.name: ["nsd", "-v"],
        Bind.name: ["named", "-v"],
        Coredns.name: [coredns, "-version"],
    }
    found = {}
    for name, (program, flag) in commands.items():
        if program and is_installed(program):
            run = subprocess.run([find_tool(program), flag], capture_output=True, text=True, check=False)
            version = re.search(r"\d+\.\d+(\.\d+)?", run.stdout + run.stderr)
            found[name] = version[0] if version else "?"
    return found
