"""Changes in etcd while queries are answered, and how soon they are served.

`python -m tests.bench.updates URL RATE` makes them: a program of its own, not to delay who measures.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.store import Store
from tests.bench.servers import LOAD_CPU, ROOT, BenchError, Server, pinned
from tests.bench.workload import SMALL, query

KEYS: Final = 10
"""Hosts that one transaction changes: etcd shares a CPU with the load, and is not to be what slows it."""

SAMPLES: Final = 300
PAUSE: Final = 0.01
"""Seconds between two changes that are timed: more than the time in which the server gathers some."""

SERVED_TIMEOUT: Final = 5.0
"""Seconds after which a change that is not served is a fault."""


class Delay(NamedTuple):
    """Milliseconds from etcd's acknowledgement of a change until a response has it."""

    p50: float
    p99: float
    worst: float


@contextmanager
def updating(etcd: str, rate: int) -> Iterator[list[float]]:
    """Change `rate` hosts a second until the block ends; then the list holds the rate that was reached."""
    reached: list[float] = []
    if not rate:
        yield reached
        return
    command = pinned(LOAD_CPU, [sys.executable, "-m", "tests.bench.updates", etcd, str(rate)])
    began = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        writer.stdout.readline()  # it has begun
        began = time.monotonic()
        try:
            yield reached
        finally:
            writer.terminate()
            reached.append(int(writer.stdout.readline() or 0) / (time.monotonic() - began))


def delay(server: Server, etcd: str, samples: int = SAMPLES) -> Delay:
    """Change one host after the other, by itself, and return how soon the change was served.

    Raises:
        BenchError: a change was not served.
    """
    store = Store(EtcdAddress(endpoints=(etcd,)))
    asked = query(SMALL.first)
    times = []
    with contextlib.closing(store), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect(("127.0.0.1", server.port))
        for number in range(samples):
            address = f"10.254.{number >> 8}.{number & 255}"
            store.commit(puts=dict([SMALL.change(0, address)]), deletes=(), expected={})
            began = time.perf_counter()
            while True:
                client.send(asked)
                if client.recv(512).endswith(socket.inet_aton(address)):
                    break
                if time.perf_counter() > began + SERVED_TIMEOUT:
                    raise BenchError(f"{server.name}: a change is not served after {SERVED_TIMEOUT:.0f} s")
            times.append((time.perf_counter() - began) * 1e3)
            time.sleep(PAUSE)
    times.sort()
    return Delay(times[len(times) // 2], times[len(times) * 99 // 100], times[-1])


def main() -> int:
    halt = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: halt.set())
    url, rate = sys.argv[1], float(sys.argv[2])
    done = 0
    print("began", flush=True)
    with contextlib.closing(Store(EtcdAddress(endpoints=(url,)))) as store:
        began = time.monotonic()
        while not halt.wait(max(0.0, began + done / rate - time.monotonic())):
            changes = [
                SMALL.change(1 + number % (SMALL.hosts - 1), f"10.253.{number >> 8 & 255}.{number & 255}")
                for number in range(done, done + KEYS)
            ]
            with contextlib.suppress(StoreUnavailable):
                store.commit(puts=dict(changes), deletes=(), expected={})
                done += KEYS
        print(done, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
