"""Starts the program. Modules stay, so they are loaded without looking for what of them could be freed."""

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    gc.disable()
    from dnsserver.program import run

    gc.freeze()
    gc.enable()
    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
