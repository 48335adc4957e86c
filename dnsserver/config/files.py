"""The files that a configuration is read from. What was read is kept, to be read the same elsewhere."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final


class Files:
    def __init__(self, directory: Path, kept: Mapping[str, bytes] | None = None) -> None:
        """Read from the system, or with `kept` from what another has kept and from nothing else."""
        self.directory: Final = directory
        """Where the paths of most keys begin."""
        self.kept: Final[dict[str, bytes]] = dict(kept or {})
        """Path → contents of each file that was read."""
        self._is_copy = kept is not None

    def read(self, path: Path) -> bytes:
        """Return the contents of a file.

        Raises:
            OSError: the system's.
        """
        key = str(path)
        if not self._is_copy:
            self.kept[key] = path.read_bytes()
        elif key not in self.kept:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.kept[key]
