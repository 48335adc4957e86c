"""dnsserver beside other servers, on the same zone, in one run: `python -m tests.bench`.

Wall time means little on a machine that does other things too, and CPU time not much by itself: what to
look at is the ratio, each of two turns of one round, the median of all. Each round starts the servers anew.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench import report
from tests.bench.peers import Dnsserver, versions
from tests.bench.results import HEADING, Results
from tests.bench.run import Effort, filled_etcd, groups, measured
from tests.bench.servers import LOAD_CPU, ROOT, BenchError, find_tool
from tests.bench.updates import delay, updating
from tests.bench.workload import MIXES, SMALL, Mix
from tools.embedded_etcd import EtcdNotStarted

DELAY: Final = "delay"
"""What is measured beside mixes: how soon a change in etcd is served."""

RESULTS: Final = ROOT / "docs" / "performance.json"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of each mix (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=0.9, help="of a server and round (default: %(default)s)"
    )
    names = [*(mix.name for mix in MIXES), DELAY]
    parser.add_argument(
        "--mix", action="append", choices=names, help="this one only, beside what is there; may be repeated"
    )
    parser.add_argument(
        "--coredns", default="", metavar="FILE", help="the program, to have it in the comparison"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="FILE",
        help="where they are kept (default: %(default)s)",
    )
    parser.add_argument("--no-run", action="store_true", help="measure nothing")
    parser.add_argument("--write", action="store_true", help="bring table and plot in docs/ to the results")
    return parser


def about(coredns: str) -> dict[str, str]:
    """Return what a reader of the results must know of their origin."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit or "?",
        "machine": f"{os.cpu_count()} CPUs, {cpu}, Linux {platform.release()}",
        "python": f"{platform.python_version()} ({platform.python_compiler()}, {platform.python_build()[1]})",
        **versions(coredns),
    }


def run(mixes: Sequence[Mix], delays: bool, results: Results, effort: Effort, coredns: str) -> None:
    """Measure mixes, and how soon changes are served; each is kept when all its rounds are done.

    Raises:
        BenchError, EtcdNotStarted: it cannot be measured.
    """
    for tool in ("knotd", "dnsperf", "gcc", "taskset"):
        find_tool(tool)
    results.about = about(coredns)
    print(HEADING, flush=True)
    for world, settings, found in groups(mixes):
        for mix, rows in measured(world, settings, found, effort, coredns):
            results.replace(mix, rows)
            print(*map(results.line, rows), sep="\n", flush=True)
    if delays:
        _measure_delays(results)


def _measure_delays(results: Results) -> None:
    results.delays.clear()
    with (
        tempfile.TemporaryDirectory(prefix="dns-bench-") as path,
        filled_etcd(SMALL) as etcd,
        Dnsserver(Path(path), SMALL, etcd) as server,
    ):
        for rate in (0, 1000):
            with updating(etcd, rate) as reached:
                found = delay(server, etcd)
            results.delays[f"{reached[0]:.0f} updates/s" if reached else "idle"] = list(found)
            print(
                f"change to response, {rate} updates/s: p50 {found.p50:.2f} p99 {found.p99:.2f} "
                f"worst {found.worst:.2f} ms",
                flush=True,
            )
    results.save()


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is ended then, too
    # Everything but the servers shares a CPU: etcd and whoever writes to it, the load, and this.
    os.sched_setaffinity(0, {LOAD_CPU})
    mixes = [mix for mix in MIXES if not arguments.mix or mix.name in arguments.mix]
    delays = not arguments.mix or DELAY in arguments.mix
    results = Results(arguments.results)
    effort = Effort(arguments.rounds, arguments.seconds)
    try:
        if not arguments.no_run:
            run(mixes, delays, results, effort, arguments.coredns)
        if arguments.write:
            report.write(results)
    except (BenchError, EtcdNotStarted) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
