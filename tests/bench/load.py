"""The load upon a server, on the other CPU: what saturates it, or dnsperf."""

import re
import subprocess
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.connections import connect_and_ask
from tests.bench.servers import LOAD_CPU, BenchError, Server, compiled, find_tool, pinned
from tests.bench.workload import Mix

OUTSTANDING: Final = 200
"""Queries without a response yet, at most: some full batches, below what sockets hold."""

RCODES: Final = {"NOERROR": 0, "NXDOMAIN": 3}


class Load(NamedTuple):
    """What one run brought."""

    answered: int
    lost: int
    octets: int
    """Of a response, on average."""
    rate: float
    """Responses a second."""
    cpu: float
    """Microseconds of the server's CPU time for a response."""


def drive(server: Server, mix: Mix, queries: Path, seconds: float, *, passes: int = 0, skip: int = 0) -> Load:
    """Ask a server for some seconds, or until the file is through `passes` times, and return what it cost.

    The first `skip` queries of the file come last, where it is not dnsperf that asks.

    Raises:
        BenchError: the load failed, or there were no responses, or not those that the mix is about.
    """
    if mix.connects:
        return _connections(server, seconds)
    if mix.saturates:
        return _saturated(server, mix, queries, seconds, passes, skip)
    before = server.cpu_seconds()
    output = _dnsperf(server, mix, queries, seconds, *(("-n", str(passes)) if passes else ()), *mix.options)
    used = server.cpu_seconds() - before
    answered = int(_number("Queries completed", output))
    return Load(
        answered,
        int(_number("Queries lost", output)),
        int(_number(r"request \d+, response", output)),
        _number("Queries per second", output),
        used / answered * 1e6,
    )


def _saturated(server: Server, mix: Mix, queries: Path, seconds: float, passes: int, skip: int) -> Load:
    """Ask by batches: dnsperf takes as long for a query as a server for a response, and saturates none."""
    before = server.cpu_seconds()
    arguments = map(str, (server.port, queries, seconds, OUTSTANDING, passes, RCODES[mix.rcode], skip))
    command = [str(compiled("ask.c", queries.parent)), *arguments]
    run = subprocess.run(pinned(LOAD_CPU, command), capture_output=True, text=True, check=False)
    used = server.cpu_seconds() - before
    answered, octets, lost, nanoseconds = map(int, run.stdout.split() or [0] * 4)
    if not answered:
        raise BenchError(f"{mix.name} on {server.name}: {run.stderr.strip() or 'no responses'}")
    return Load(answered, lost, octets // answered, answered / nanoseconds * 1e9, used / answered * 1e6)


def latencies(server: Server, mix: Mix, queries: Path, seconds: float, rate: float) -> tuple[float, float]:
    """Ask a server `rate` times a second and return the 50th and 99th percentile of the latency, in ms.

    Raises:
        BenchError: as `drive` does.
    """
    if mix.connects:
        return _percentiles(connect_and_ask(server.port, _names(server), seconds).times)
    options = [option for option in mix.options if option != str(mix.rate) and option != "-Q"]
    output = _dnsperf(server, mix, queries, seconds, "-v", "-Q", str(max(1, int(rate))), *options)
    lines = (line for line in output.splitlines() if line.startswith("> ") and not line.startswith("> T"))
    return _percentiles([float(line.rpartition(" ")[2]) * 1e3 for line in lines])


def _percentiles(times: list[float]) -> tuple[float, float]:
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def _connections(server: Server, seconds: float) -> Load:
    before, began = server.cpu_seconds(), time.perf_counter()
    found = connect_and_ask(server.port, _names(server), seconds)
    took, used = time.perf_counter() - began, server.cpu_seconds() - before
    answered = len(found.octets)
    if not answered:
        raise BenchError(f"{server.name}: no responses over TCP")
    return Load(answered, found.lost, sum(found.octets) // answered, answered / took, used / answered * 1e6)


def _names(server: Server) -> list[str]:
    world = server.world
    return [f"{world.host(number)}.{world.zone}" for number in range(world.hosts)]


def _dnsperf(server: Server, mix: Mix, queries: Path, seconds: float, *flags: str) -> str:
    command = [find_tool("dnsperf"), "-s", "127.0.0.1", "-p", str(server.port), "-d", str(queries), "-B"]
    command += ["-t", "1", "-q", str(OUTSTANDING), "-l", str(seconds), *flags]
    run = subprocess.run(pinned(LOAD_CPU, command), capture_output=True, text=True, check=False)
    rcodes = re.findall(r"([A-Z]+) \d+ \(", run.stdout)
    if run.returncode or rcodes != [mix.rcode]:
        reason = run.stderr.strip().rpartition("\n")[2] or f"responses: {', '.join(rcodes) or 'none'}"
        raise BenchError(f"dnsperf, {mix.name} on {server.name}: {reason}")
    return run.stdout


def _number(label: str, output: str) -> float:
    found = re.search(rf"{label}:?\s+(\d+(\.\d+)?)", output)
    return float(found[1]) if found else 0
