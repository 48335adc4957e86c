"""Many names from etcd: time, memory, stalls and freshness: `python -m tests.bench.scale`.

Stalls are the latencies of a steady trickle of queries from another process. On a machine that does other
things too they are mostly theirs; so is wall time. CPU time and memory are not.
"""

import argparse
import multiprocessing as mp
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import dns.message

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key
from dnsserver.skydns.store import MAX_OPERATIONS, Store
from tests.programs import DnsServer, eventually
from tests.proxy import Proxy
from tools.embedded_etcd import EmbeddedEtcd

RATE: Final = 500
"""Queries a second that look for stalls."""

STATIC: Final = "ns.dns.k8s.local"


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


def _trickle(port: int, name: str, stop: Connection, results: Connection) -> None:
    query = dns.message.make_query(name, "A", id=0).to_wire()
    latencies = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(5)
        while not stop.poll(1 / RATE):
            began = time.perf_counter()
            client.send(query)
            client.recv(512)
            latencies.append(time.perf_counter() - began)
    results.send(latencies)


@contextmanager
def stalls(label: str, port: int, name: str) -> Iterator[None]:
    """Print the latencies of queries for a name while the block runs."""
    halted, halt = mp.Pipe(duplex=False)
    results, sender = mp.Pipe(duplex=False)
    process = mp.get_context("spawn").Process(target=_trickle, args=(port, name, halted, sender))
    process.start()
    try:
        yield
    finally:
        halt.send(None)
        found = sorted(results.recv())
        process.join()
    at = {share: found[int((len(found) - 1) * share)] for share in (0.5, 0.99, 0.999)}
    told = ", ".join(f"p{share * 100:g} {seconds * 1e3:.1f}" for share, seconds in at.items())
    print(f"{label}: {len(found)} queries, ms: {told}, max {found[-1] * 1e3:.1f}", flush=True)


def update_latencies(server: DnsServer, store: Store, count: int) -> list[float]:
    """Return the seconds from when etcd acknowledged a change until it was answered, sorted."""
    found = []
    query = dns.message.make_query("update.k8s.local", "A", id=0).to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", server.port))
        client.settimeout(5)
        for number in range(count):
            new = f"172.16.{number >> 8}.{number & 255}"
            put = f'{{"host":"{new}","targetstrip":1}}'.encode()
            store.commit(puts={Key(b"/skydns/local/k8s/update/x"): put}, deletes=[], expected={})
            began = time.perf_counter()
            while True:
                client.send(query)
                if client.recv(512)[-4:] == socket.inet_aton(new):
                    break
            found.append(time.perf_counter() - began)
            time.sleep(0.005)
    return sorted(found)


@contextmanager
def updates(store: Store, rate: int) -> Iterator[None]:
    """Write so many other names a second while the block runs."""
    halt = threading.Event()

    def write() -> None:
        began, number = time.monotonic(), 0
        while not halt.wait(max(number / rate - (time.monotonic() - began), 0)):
            puts = {key(number % 5000 + at): value(number + at) for at in range(10)}
            store.commit(puts=puts, deletes=[], expected={})
            number += 10

    thread = threading.Thread(target=write)
    thread.start()
    yield
    halt.set()
    thread.join()


def start(directory: Path, endpoint: str, names: int) -> DnsServer:
    """Start a server, print what it took until it was ready, and return it."""
    began = time.monotonic()
    server = DnsServer(directory, etcd=endpoint)
    with stalls("first listing", server.port, STATIC):
        eventually(lambda: server.page("/ready")[0] == 200, 300)
        wall = time.monotonic() - began
        cpu = server.cpu_seconds()
    octets = memory(server)
    print(f"ready after {wall:.1f} s, {cpu:.1f} s of CPU", flush=True)
    print(f"resident: {octets >> 20} MiB, {octets / names:.0f} octets a record", flush=True)
    return server


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--names", type=int, default=1_000_000)
    names = parser.parse_args(argv).names
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedEtcd("embedded", "--unsafe-no-fsync", "--quota-backend-bytes=8000000000") as etcd,
        Proxy(etcd.port) as proxy,
    ):
        store = Store(EtcdAddress(endpoints=(etcd.endpoint,)), 60)
        fill(store, names)
        with start(Path(directory), etcd.endpoint, names):
            pass
        with DnsServer(Path(directory), etcd=f"http://127.0.0.1:{proxy.port}") as server:
            server.wait_ready(300)
            lists = server.metric("dnsserver_etcd_lists_total")
            with stalls("listed again", server.port, f"{host(7)}.k8s.local"):
                proxy.cut()
                proxy.drop()
                for number in (names, names + 1):  # the first of two events is compacted away
                    store.commit(puts={key(number): value(number)}, deletes=[key(3)], expected={})
                etcd.ctl("compact", str(store.head(Key(b"/")).revision))
                proxy.mend()
                eventually(lambda: server.metric("dnsserver_etcd_lists_total") > lists, 300)
            print(f"resident: {memory(server) / names:.0f} octets a record", flush=True)
            for label, rate in (("idle", 0), ("1000 updates/s", 1000)):
                with updates(store, rate) if rate else stalls(label, server.port, STATIC):
                    found = update_latencies(server, store, 300)
                told = f"p50 {found[150] * 1e3:.1f}, p99 {found[296] * 1e3:.1f}, max {found[-1] * 1e3:.1f}"
                print(f"update to answer, {label}, ms: {told}", flush=True)
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
