"""Many names from etcd: time, memory, stalls and freshness: `python -m tests.bench.scale`.

The server has a CPU of its own; etcd, its writers and who asks have the other.
"""

import argparse
import multiprocessing as mp
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import MAX_OPERATIONS, Store
from tests.bench.servers import LOAD_CPU, SERVER_CPU
from tests.bench.stalls import Asker, going_first, pin, stalls, starting_on
from tests.programs import DnsServer
from tests.proxy import Proxy
from tools.embedded_etcd import EmbeddedEtcd, free_port

STATIC: Final = "ns.dns.k8s.local"

POLL: Final = 0.02
"""Seconds between two looks whether the server is ready: each costs it half a millisecond."""


def host(number: int) -> str:
    return f"host-{number:07}"


def address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def key(number: int) -> Key:
    return Key(f"/skydns/local/k8s/{host(number)}/{number:08x}".encode())


def value(number: int) -> bytes:
    return f'{{"host":"{address(number)}","ttl":300,"targetstrip":1}}'.encode()


def fill(store: Store, names: int) -> None:
    def put(start: int) -> None:
        part = range(start, min(start + MAX_OPERATIONS, names))
        store.commit(puts={key(number): value(number) for number in part}, deletes=[], expected={})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(0, names, MAX_OPERATIONS)))


def memory(server: DnsServer) -> int:
    """Return the octets of memory that are resident."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def update_latencies(server: DnsServer, store: Store, count: int) -> list[float]:
    """Return the seconds from when etcd acknowledged a change until it was answered, sorted."""
    found = []
    with closing(Asker(server.port, "update.k8s.local")) as asker, going_first():
        for number in range(count):
            new = f"172.16.{number >> 8}.{number & 255}"
            put = f'{{"host":"{new}","targetstrip":1}}'.encode()
            store.commit(puts={Key(b"/skydns/local/k8s/update/x"): put}, deletes=[], expected={})
            began = time.clock_gettime_ns(time.CLOCK_REALTIME)
            while True:
                response, sent, _ = asker.ask()
                if response[-4:] == socket.inet_aton(new):
                    break
            found.append((sent - began) / 1e9)
            time.sleep(0.005)
    return sorted(found)


def _write(endpoint: str, rate: int, halt: Event) -> None:
    with closing(Store(EtcdAddress(endpoints=(endpoint,)))) as store:
        began, number = time.monotonic(), 0
        while not halt.wait(max(number / rate - (time.monotonic() - began), 0)):
            puts = {key(number % 5000 + at): value(number + at) for at in range(10)}
            store.commit(puts=puts, deletes=[], expected={})
            number += 10
    print(f"{number / (time.monotonic() - began):.0f} updates/s were made", flush=True)


@contextmanager
def updates(endpoint: str, rate: int) -> Iterator[None]:
    """Write other names, so many a second, from a process of its own, while the block runs."""
    if not rate:
        yield
        return
    context = mp.get_context("spawn")
    halt = context.Event()
    process = context.Process(target=_write, args=(endpoint, rate, halt))
    process.start()
    try:
        yield
    finally:
        halt.set()
        process.join()


def wait_ready(server: DnsServer) -> None:
    while server.page("/ready")[0] != 200:
        time.sleep(POLL)


def start(directory: Path, endpoint: str, names: int) -> DnsServer:
    """Start a server, print what it took until it was ready, and return it."""
    port = free_port()
    with stalls("first listing", port, STATIC) as watch:
        began = time.monotonic()
        with starting_on(SERVER_CPU):
            server = DnsServer(directory, etcd=endpoint, port=port)
        watch(server.process.pid)
        listening = time.monotonic() - began
        wait_ready(server)
        wall = time.monotonic() - began
        cpu = server.cpu_seconds()
    octets = memory(server)
    print(f"ready after {wall:.1f} s, {cpu:.1f} s of CPU; it listened after {listening:.1f} s", flush=True)
    print(f"resident: {octets >> 20} MiB, {octets / names:.0f} octets a record", flush=True)
    return server


def relist(server: DnsServer, store: Store, etcd: EmbeddedEtcd, proxy: Proxy, names: int) -> None:
    """Let the server miss a change that is compacted away, and list again while it is asked."""
    lists = server.metric("dnsserver_etcd_lists_total")
    with stalls("listed again", server.port, f"{host(7)}.k8s.local") as watch:
        watch(server.process.pid)
        proxy.cut()
        proxy.drop()
        for number in (names, names + 1):  # the first of two events is compacted away
            store.commit(puts={key(number): value(number)}, deletes=[key(3)], expected={})
        etcd.ctl("compact", str(store.head(Key(b"/")).revision))
        proxy.mend()
        while server.metric("dnsserver_etcd_lists_total") == lists:
            time.sleep(POLL)
    print(f"resident: {memory(server) / names:.0f} octets a record", flush=True)


def freshness(server: DnsServer, store: Store, endpoint: str) -> None:
    """Print how soon a change is answered."""
    for rate in (0, 1000):
        with updates(endpoint, rate):
            found = update_latencies(server, store, 300)
        told = f"p50 {found[150] * 1e3:.1f}, p99 {found[296] * 1e3:.1f}, max {found[-1] * 1e3:.1f}"
        print(f"update to answer, {rate} others a second, ms: {told}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--names", type=int, default=1_000_000)
    names = parser.parse_args(argv).names
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedEtcd("embedded", "--unsafe-no-fsync", "--quota-backend-bytes=8000000000") as etcd,
        Proxy(etcd.port) as proxy,
        closing(Store(EtcdAddress(endpoints=(etcd.endpoint,)), 60)) as store,
    ):
        fill(store, names)
        for pid in (etcd.pid, os.getpid()):
            pin(pid, LOAD_CPU)
        with start(Path(directory), etcd.endpoint, names):
            pass
        with starting_on(SERVER_CPU):
            server = DnsServer(Path(directory), etcd=f"http://127.0.0.1:{proxy.port}")
        with server:
            wait_ready(server)
            relist(server, store, etcd, proxy, names)
            freshness(server, store, etcd.endpoint)
    return 0


if __name__ == "__main__":
    sys.exit(main())
