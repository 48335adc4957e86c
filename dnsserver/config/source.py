"""What a configuration was made of: octets from which another process makes the same one."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self


class Override(NamedTuple):
    """A single value from a flag or the environment, which replaces the file's."""

    origin: str
    """What the user typed, as `--listen`; stands in faults instead of file and line."""
    path: tuple[str, ...]
    value: Any


class Source(NamedTuple):
    file: Path
    overrides: tuple[Override, ...]
    files: Mapping[str, bytes]
    """Path → contents of all files that were read."""

    def packed(self) -> bytes:
        """Return it as JSON."""
        files = {path: base64.b64encode(octets).decode() for path, octets in self.files.items()}
        return json.dumps([str(self.file), self.overrides, files]).encode()

    @classmethod
    def unpacked(cls, octets: bytes) -> Self:
        file, overrides, files = json.loads(octets)
        return cls(
            Path(file),
            tuple(Override(origin, tuple(path), value) for origin, path, value in overrides),
            {path: base64.b64decode(text) for path, text in files.items()},
        )
