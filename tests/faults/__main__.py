"""`python -m tests.faults`: what is lost by each fault of etcd, and how long until the server is fresh."""

import argparse
import sys

from tests.faults.run import HEADING, outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="outages of a minute, 100,000 events")
    arguments = parser.parse_args()
    print(HEADING)
    failures = []
    for outcome in outcomes(long=arguments.long):
        print(outcome.row(), flush=True)
        failures += [f"{outcome.fault}: {failure}" for failure in outcome.failures()]
    for failure in failures:
        print(failure)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
