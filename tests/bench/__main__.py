"""CPU time per query of dnsserver and of Knot DNS, side by side: `python -m tests.bench.queries`.

Wall time means nothing on a machine that does other things too, and CPU time little by itself: the
figure to look at is the ratio, each of two runs that follow each other, the median of the rounds.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.store import MAX_OPERATIONS, Store
from tests.bench import workload
from tests.bench.servers import BenchError, Dnsserver, Knot, Load, Server, drive, find_tool
from tests.bench.workload import MIXES, Mix
from tools.embedded_etcd import EmbeddedEtcd, EtcdNotStarted


class Result(NamedTuple):
    mix: Mix
    loads: dict[str, list[Load]]
    """Server → a load a round."""

    def rows(self) -> Iterator[str]:
        """Yield a line of the table for each server."""
        base = self.loads[Knot.name]
        for name, loads in self.loads.items():
            ratio = median(load.cpu / other.cpu for load, other in zip(loads, base, strict=True))
            yield (
                f"{self.mix.name:<13}{name:<10}{sum(load.answered for load in loads):>10,}"
                f"{sum(load.lost for load in loads):>8,}{loads[0].octets:>8}"
                f"{median(load.cpu for load in loads):>10.2f}{ratio:>8.2f}"
            )


HEADING = f"{'mix':<13}{'server':<10}{'answered':>10}{'lost':>8}{'octets':>8}{'CPU us':>10}{'x Knot':>8}"


def compare(
    servers: Sequence[Server], mixes: Sequence[Mix], directory: Path, *, rounds: int, seconds: float
) -> Iterator[Result]:
    """Drive each server in turn with each mix, and yield the mix when its rounds are done.

    Raises:
        BenchError: see `drive`.
    """
    for mix in mixes:
        file = directory / mix.name
        file.write_text(mix.queries())
        for server in servers:
            drive(server, mix, file, min(seconds, 1), passes=1)  # what is made at first use is made now
        loads: dict[str, list[Load]] = {server.name: [] for server in servers}
        for number in range(rounds):
            for server in servers if number % 2 else reversed(servers):
                loads[server.name].append(drive(server, mix, file, seconds))
        yield Result(mix, loads)


@contextmanager
def running(directory: Path, *, etcd: bool) -> Iterator[tuple[Server, Server]]:
    """Run Knot and dnsserver, the latter's records from an etcd if so asked."""
    with ExitStack() as stack:
        url = stack.enter_context(filled_etcd()) if etcd else ""
        yield stack.enter_context(Knot(directory)), stack.enter_context(Dnsserver(directory, url))


@contextmanager
def filled_etcd() -> Iterator[str]:
    with EmbeddedEtcd() as etcd:
        store = Store(EtcdAddress(endpoints=(etcd.endpoint,)))
        records = list(workload.etcd_records().items())
        for at in range(0, len(records), MAX_OPERATIONS):
            store.commit(puts=dict(records[at : at + MAX_OPERATIONS]), deletes=(), expected={})
        store.close()
        yield etcd.endpoint


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.queries", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each mix (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="a server and round (default: %(default)s)"
    )
    names = [mix.name for mix in MIXES]
    parser.add_argument("--mix", action="append", choices=names, help="this one only; may be repeated")
    parser.add_argument("--etcd", action="store_true", help="feed dnsserver from an etcd of its own")
    arguments = parser.parse_args(argv)
    mixes = [mix for mix in MIXES if not arguments.mix or mix.name in arguments.mix]
    try:
        for tool in ("knotd", "dnsperf", "taskset"):
            find_tool(tool)
        with (
            tempfile.TemporaryDirectory(prefix="dns-bench-") as path,
            running(Path(path), etcd=arguments.etcd) as servers,
        ):
            print(HEADING)
            rounds, seconds = arguments.rounds, arguments.seconds
            for result in compare(servers, mixes, Path(path), rounds=rounds, seconds=seconds):
                print(*result.rows(), sep="\n", flush=True)
    except (BenchError, EtcdNotStarted) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
