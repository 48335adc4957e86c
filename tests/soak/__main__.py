"""`python -m tests.soak --minutes 15`: mixed load, and each minute updates, a reload, and a crash of etcd.

A line a minute, and at the end what is not as it must be; exit code 1 if anything is. A day is
`--minutes 1440`: memory here stays as it is, logs of etcd and the server take some 10 KiB of disk a minute.
"""

import argparse
import sys

from tests.soak.run import soak
from tests.soak.verdict import HEADING, Verdict


def minutes(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise ValueError(text)
    return value


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=minutes, default=15.0)
    arguments = parser.parse_args()
    verdict = Verdict(arguments.minutes)
    print(HEADING, flush=True)
    for row in soak(arguments.minutes):
        print(row, flush=True)
        verdict.add(row)
    print(verdict)
    return int(bool(verdict.failures()))


if __name__ == "__main__":
    sys.exit(main())
