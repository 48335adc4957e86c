"""CPU time per query with each policy on, beside Knot DNS: `python -m tests.bench.policies`."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.bench.queries import HEADING, compare
from tests.bench.servers import BenchError, Dnsserver, Knot, find_tool
from tests.bench.workload import MIXES

SECRET: Final = "000102030405060708090a0b0c0d0e0f"

POLICIES: Final = {
    "off": "",
    "acl": "acl: [{networks: [192.0.2.0/24, 198.51.100.0/24], action: refuse}]\n",
    "rrl": "rrl: {responses_per_second: 1000000}\n",
    "cookies": "cookies: {secret_file: secret}\n",
    "log": "log: {queries: all}\n",
    "log-denial": "log: {queries: denial}\n",
}


class WithPolicy(Dnsserver):
    def __init__(self, directory: Path, policy: str) -> None:
        self.name = policy
        super().__init__(directory)

    def _command(self) -> list[str]:
        command = super()._command()
        (self._directory / "secret").write_text(SECRET)
        with (self._directory / "zone.yaml").open("a") as file:
            file.write(POLICIES[self.name])
        return command


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.policies", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each policy (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.5, help="a round (default: %(default)s)")
    names = [mix.name for mix in MIXES]
    parser.add_argument("--mix", action="append", choices=names, help="default: hot and nxdomain")
    arguments = parser.parse_args(argv)
    wanted = arguments.mix or ["hot", "nxdomain"]
    try:
        for tool in ("knotd", "dnsperf", "taskset"):
            find_tool(tool)
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dns-bench-")))
            servers = [stack.enter_context(Knot(directory))]
            servers += [stack.enter_context(WithPolicy(directory, policy)) for policy in POLICIES]
            print(HEADING)
            mixes = [mix for mix in MIXES if mix.name in wanted]
            rounds, seconds = arguments.rounds, arguments.seconds
            for result in compare(servers, mixes, directory, rounds=rounds, seconds=seconds):
                print(*result.rows(), sep="\n", flush=True)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
