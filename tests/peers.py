"""The configuration of other name servers that serve zone files on loopback, with one worker."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

Files = Mapping[str, Path]
"""Domain, as zone-file text → its zone file."""

_KNOT: Final = """\
server:
    listen: 127.0.0.1@{port}
    rundir: {directory}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
{options}
database:
    storage: {directory}
control:
    listen: {directory}/control
log:
  - target: stderr
    any: info
template:
  - id: default
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
zone:
{zones}"""

_NSD: Final = """\
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{directory}"
    database: ""
    pidfile: "{directory}/pid"
    xfrdfile: "{directory}/xfrd"
    xfrdir: "{directory}"
    zonelistfile: "{directory}/zones.list"
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
{options}
remote-control:
    control-enable: no
{zones}"""


def knot(directory: Path, port: int, files: Files, options: Sequence[str] = ()) -> str:
    """Return the text for Knot, with its own files in a directory; `options` are more of its server."""
    zones = "".join(f'  - domain: "{domain}"\n    file: {file}\n' for domain, file in files.items())
    return _KNOT.format(directory=directory, port=port, options=_lines(options), zones=zones)


def nsd(directory: Path, port: int, files: Files, options: Sequence[str] = ()) -> str:
    """Return the text for NSD, as `knot` does."""
    zones = "".join(
        f'zone:\n    name: "{domain}"\n    zonefile: "{file}"\n' for domain, file in files.items()
    )
    return _NSD.format(directory=directory, port=port, options=_lines(options), zones=zones)


def _lines(options: Sequence[str]) -> str:
    return "\n".join(f"    {option}" for option in options)
