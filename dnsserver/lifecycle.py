"""A program from start to exit: signals, reloads, the lame duck, and the pages that probes and scrapes ask.

SIGHUP reloads. SIGTERM and SIGINT end it: it is not ready any more, after SIGTERM serves for `lameduck`
seconds on, so that nobody sends it more, answers what has arrived, and returns. A second one cuts this short.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dnsserver.config import Config, ConfigError
from dnsserver.config.load import static_records
from dnsserver.endpoints import Endpoints
from dnsserver.ops import http
from dnsserver.ops import log as logs
from dnsserver.ops.metrics import build_version, page
from dnsserver.transport.sockets import Address, ListenError
from dnsserver.wire import name

log = logging.getLogger("dnsserver")

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class Serving(Protocol):
    """What answers: one process, or many behind the same words."""

    async def start(self) -> None:
        """Begin. Raises ListenError, with nothing left open."""

    async def reload(self, config: Config) -> None:
        """Go over to another configuration. Raises ListenError, with all as before."""

    async def drain(self) -> None:
        """Take no more queries and answer what has arrived."""

    async def close(self) -> None:
        """End at once."""

    async def missing(self) -> str:
        """Say what it waits for until it is ready; nothing when it is."""

    async def metrics(self) -> Iterable[Metric]: ...

    async def status(self, path: str, query: str) -> http.Page:
        """Return a page of the status site."""


class Lifecycle:
    def __init__(self, config: Config, read: Callable[[], Config], serving: Serving) -> None:
        """Run `serving` by `config`, and from each reload on by what `read` returns, or its ConfigError."""
        self._config, self._read, self._serving = config, read, serving
        self._endpoints = Endpoints()
        self._reload = asyncio.Event()
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._lameduck = 0.0
        self._failed_reloads = 0
        self._loaded_at = time.time()

    async def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            ListenError: an address cannot be taken; nothing is left open.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        for number in ENDING:
            loop.add_signal_handler(number, self._end, number)
        try:
            await self._serving.start()
            await self._endpoints.open(self._pages(self._config))
            self._tell()
            reloads = asyncio.create_task(self._follow_reloads())
            await self._ending.wait()
            reloads.cancel()
            log.info("stopping")
            await self._unless_hurried(asyncio.sleep(self._lameduck))
            await self._unless_hurried(self._serving.drain())
        finally:
            await self._serving.close()
            self._endpoints.close()

    def _end(self, number: signal.Signals) -> None:
        if self._ending.is_set():
            self._hurry.set()
        # Who types Ctrl-C is no balancer that needs time to notice.
        self._lameduck = self._config.lameduck if number == signal.SIGTERM else 0
        self._ending.set()

    async def _unless_hurried(self, work: Coroutine[object, object, object]) -> None:
        """Wait for the end of `work`, or of our patience."""
        tasks = [asyncio.create_task(work), asyncio.create_task(self._hurry.wait())]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        for task in done:
            task.result()

    async def _follow_reloads(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            try:
                await self._go_over()
            except (ConfigError, ListenError) as error:
                for fault in str(error).splitlines():
                    log.error("not reloaded: %s", fault)
            except Exception:
                log.exception("not reloaded: a fault here")
            else:
                continue
            self._failed_reloads += 1
            self._endpoints.keep(self._pages(self._config))

    async def _go_over(self) -> None:
        """Read the configuration again and go over to it, or stay with the present one as a whole."""
        config = await asyncio.to_thread(self._read)
        pages = self._pages(config)
        await self._endpoints.open(pages)
        await self._serving.reload(config)
        self._endpoints.keep(pages)
        logs.configure(config.log.level, config.log.format)
        if config.workers != self._config.workers:
            log.warning("workers: stays as it was until the next start")
        self._config = config
        self._loaded_at = time.time()
        log.info("reloaded")

    def _tell(self) -> None:
        zones = ", ".join(name.to_text(apex) for zone in self._config.zones for apex in zone.name)
        listeners = ", ".join(map(str, self._config.listen))
        log.info("dnsserver %s serves %s on %s", build_version(), zones, listeners)
        records = sum(len(static_records(zone, apex)) for zone in self._config.zones for apex in zone.name)
        etcd = self._config.etcd
        log.info(
            "%d records of the configuration, %s",
            records,
            f"others below {etcd.prefix} in etcd at {', '.join(etcd.endpoints)}" if etcd else "no etcd",
        )
        for address, pages in self._pages(self._config).items():
            log.info("http://%s has %s", address, ", ".join(pages))

    def _pages(self, config: Config) -> dict[Address, dict[str, http.Handler]]:
        pages: dict[Address, dict[str, http.Handler]] = {}
        for option, path, handler in (
            (config.metrics, "/metrics", self._metrics),
            (config.health, "/health", lambda *_: http.Page(200, b"OK\n")),
            (config.ready, "/ready", self._ready),
            (config.status, "/", self._serving.status),
            (config.status, "/records", self._serving.status),
        ):
            if option:
                pages.setdefault(option.listen, {})[path] = handler
        return pages

    async def _ready(self, *_: str) -> http.Page:
        missing = "stopping" if self._ending.is_set() else await self._serving.missing()
        return http.Page(503, f"{missing}\n".encode()) if missing else http.Page(200, b"OK\n")

    async def _metrics(self, *_: str) -> http.Page:
        return page([*await self._serving.metrics(), *self._own_metrics()])

    def _own_metrics(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "dnsserver_reload_failed", "Reloads refused because of faults.", value=self._failed_reloads
        )
        yield GaugeMetricFamily(
            "dnsserver_reload_success_timestamp_seconds",
            "When the configuration in use was read.",
            value=self._loaded_at,
        )
