"""Server blocks to the data of a zone YAML, and remarks on what the YAML has no place for."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from posixpath import join
from typing import Any, Final, NamedTuple

from dnsserver.operator.corefile.parse import Directive, Place, ServerBlock

NOT_NEEDED: Final = {
    "errors": "faults are always logged",
    "any": "ANY is always answered as RFC 8482 has it",
    "loop": "upstreams that lead back here are always noticed",
    "minimal": "responses are minimal unless a zone says `minimal: false`",
    "metadata": "nothing reads it",
}
"""Plugins whose work is done anyway."""


class Remark(NamedTuple):
    """What of a Corefile has not become YAML, or not as it stood."""

    place: Place
    text: str


class Conversion:
    """The YAML as it grows. Plugins write to `data`, `zone` and `remark`."""

    def __init__(self, directory: str, read: Callable[[str], str]) -> None:
        self.data: dict[str, Any] = {}
        self.remarks: list[Remark] = []
        self.zones: dict[str, dict[str, Any]] = {}
        self.root = ""
        """Where the files of the block's zones are, from `directory`."""
        self._directory = directory
        self.read: Final = read
        """Path → text; raises OSError or UnicodeDecodeError."""
        self._addresses: dict[int, set[str]] = {}
        """Port → addresses; none: all."""

    def path(self, file: str) -> str:
        """Return the absolute path of a file as a block has it."""
        return join(self._directory, self.root, file)

    def is_readable(self, path: str) -> bool:
        try:
            self.read(path)
        except (OSError, UnicodeDecodeError):
            return False
        return True

    def remark(self, at: Directive | Place, text: str) -> None:
        place = at.place if isinstance(at, Directive) else at
        label = f"{at.name}: " if isinstance(at, Directive) else ""
        self.remarks.append(Remark(place, label + text))

    def zone(self, text: str) -> dict[str, Any]:
        """Return the zone of a name or network, new if it is not there."""
        key = text if "/" in text else text.rstrip(".").lower() or "."
        return self.zones.setdefault(key, {"name": key})

    def section(self, directive: Directive, key: str, value: Any) -> None:
        """Set a section of the whole server; a second one that differs is told and left out."""
        if self.data.setdefault(key, value) != value:
            self.remark(
                directive, f"there is one `{key}` for the whole server, and one before this has set it"
            )

    def listen(self, port: int, addresses: Iterable[str]) -> None:
        """Note that a block listens at addresses, or where there are none at all."""
        known = self._addresses.setdefault(port, set(addresses))
        if not known or not addresses:
            known.clear()
        known.update(addresses if known else ())

    def listeners(self) -> list[str]:
        """Return `listen` of the YAML."""
        return [
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            for port, addresses in sorted(self._addresses.items())
            for address in sorted(addresses) or ("0.0.0.0", "::")
        ]


Plugin = Callable[[Conversion, Directive, Sequence[str]], None]
"""(conversion, directive, the zones of its server block)"""


def convert(
    blocks: Sequence[ServerBlock], conversion: Conversion, plugins: Mapping[str, Plugin]
) -> dict[str, Any]:
    """Return the data of the zone YAML; `conversion.remarks` say what is not in it."""
    for block in blocks:
        _block(block, conversion, plugins)
    ports = {port for block in blocks for port, _ in map(_key, block.keys)}
    if len(ports) > 1:
        listed = ", ".join(map(str, sorted(ports)))
        conversion.remark(blocks[0].place, f"all zones are served on all of the ports {listed}")
    conversion.remarks = sorted(set(conversion.remarks))
    listeners = conversion.listeners()
    where = {"listen": listeners} if listeners else {}
    if "upstreams" not in conversion.data.get("forward", {}):
        conversion.data.pop("forward", None)
    return {**where, **conversion.data, "zones": list(conversion.zones.values())}


def _block(block: ServerBlock, conversion: Conversion, plugins: Mapping[str, Plugin]) -> None:
    zones = [zone for _, zone in map(_key, block.keys)]
    conversion.root, bound = "", []
    for directive in block.directives:
        if directive.name == "bind":
            bound += _bound(conversion, directive)
        elif directive.name == "root":
            conversion.root = " ".join(directive.arguments)
    for key in block.keys:
        scheme = key.partition("://")[0] if "://" in key else "dns"
        if scheme == "dns":
            conversion.listen(_key(key)[0], bound)
        else:
            conversion.remark(block.place, f"{key}: only plain DNS is served, over UDP and TCP; no {scheme}")
    for directive in block.directives:
        if directive.name in plugins:
            plugins[directive.name](conversion, directive, zones)
        elif directive.name in NOT_NEEDED:
            if directive.options:
                conversion.remark(directive, f"its options have no counterpart; {NOT_NEEDED[directive.name]}")
        elif directive.name not in ("bind", "root"):
            conversion.remark(directive, "no counterpart")


def _bound(conversion: Conversion, directive: Directive) -> list[str]:
    found = []
    for argument in directive.arguments:
        try:
            found.append(str(ipaddress.ip_address(argument)))
        except ValueError:
            conversion.remark(directive, f"{argument}: expected an address; interfaces are not looked up")
    return found


def _key(key: str) -> tuple[int, str]:
    """Return port and zone of a server block's key."""
    text = key.rpartition("://")[2]
    zone, _, port = text.rpartition(":")
    if zone and port.isdecimal() and 0 < int(port) < 65_536:
        return int(port), zone
    return 53, text or "."
