"""The syncer program: arguments → objects → records in etcd. Exit status 0, 1 (fatal) or 2 (arguments)."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from dnsserver.ops import http
from dnsserver.ops import log as logs
from dnsserver.ops.metrics import Metrics
from dnsserver.skydns.store import Compacted, Conflict, Store, StoreUnavailable
from syncer.config import Config, load
from syncer.controller import Controller, Settings
from syncer.flags import ConfigError
from syncer.kube.client import ApiResource, ClientError, connect
from syncer.kube.informer import Informer
from syncer.kube.manifests import ManifestCache, Manifests
from syncer.kube.reflector import Reflector
from syncer.metrics import collect
from syncer.observation import World, observe, unseen
from syncer.registry.registry import Registry
from syncer.source.objects import read_ingress, read_node, read_service

ONCE_TIMEOUT: Final = 60.0
"""Seconds that --once waits for all objects to be seen."""

FAULT_PAUSE: Final = 5.0
"""Seconds."""

log = logging.getLogger("syncer")


class Fatal(Exception):
    """The program cannot go on. The text says why; exit status 1."""


def main() -> None:
    """Run the program and exit with its status."""
    try:
        config = load(sys.argv[1:], os.environ)
    except ConfigError as error:
        print(f"syncer: {error}", file=sys.stderr)
        sys.exit(2)
    logs.configure(config.log_level, config.log_format)
    for warning in config.warnings:
        log.warning("%s", warning)
    try:
        sys.exit(asyncio.run(_run_until_signal(_Program(config))))
    except Fatal as error:
        log.error("%s", error)
        sys.exit(1)


async def _run_until_signal(program: "_Program") -> int:
    work = asyncio.ensure_future(program.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        log.info("stopped")
        return 0


class _Program:
    """The composition root: it makes the parts, joins them, and owns every task."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = Store(config.etcd)
        registry = Registry(self._store, config.prefix, config.owner_id)
        settings = Settings(
            policy=config.policy,
            domain_filter=config.domain_filter,
            interval=config.interval,
            dry_run=config.dry_run,
            deletion_grace=config.deletion_grace,
            max_delete_share=config.max_delete_share,
        )
        self._worlds: list[World] = []
        self._watches: list[Callable[[], Awaitable[None]]] = []
        self._reflectors: list[Reflector] = []
        self._seen_until = 0.0
        self._controller = Controller(
            lambda: observe(self._worlds, config.options), registry, settings, clock=self._seen_time
        )

    async def run(self) -> int:
        """Run until done or cancelled; return the exit status.

        Raises:
            Fatal: it cannot start.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._store.close)
            if self._config.manifests is not None:
                await self._open_manifests(self._config.manifests)
            if self._config.sources != {"manifests"}:
                await self._open_api(stack)
            if not self._config.once:
                await self._listen(stack)
            async with asyncio.TaskGroup() as tasks:
                watches = [tasks.create_task(_supervise(watch)) for watch in self._watches]
                if not self._config.once:
                    await _supervise(self._controller.run)
                status = await self._run_once()
                for watch in watches:
                    watch.cancel()
            return status

    async def _open_manifests(self, directory: Path) -> None:
        reads = {
            ("networking.k8s.io/v1", "Ingress"): read_ingress,
            ("v1", "Service"): read_service,
            ("v1", "Node"): read_node,
        }
        manifests = Manifests(directory, reads, self._controller.notify)
        self._worlds.append(
            World(
                ingresses=ManifestCache(manifests, "Ingress"),
                services=ManifestCache(manifests, "Service"),
                nodes=ManifestCache(manifests, "Node"),
                faults=lambda: manifests.rejections,
            )
        )
        await manifests.look()
        self._watches.append(manifests.run)

    async def _open_api(self, stack: AsyncExitStack) -> None:
        config, notify = self._config, self._controller.notify
        try:
            client = await connect(
                kubeconfig=config.kubeconfig,
                server=config.server,
                in_cluster=config.in_cluster,
                request_timeout=config.request_timeout,
            )
        except ClientError as error:
            raise Fatal(str(error)) from None
        stack.push_async_callback(client.close)
        ingresses = services = nodes = None
        if "ingress" in config.sources:
            ingresses = Informer(read_ingress, notify)
            self._reflect(client.ingresses(config.options.namespace), ingresses)
        if "service" in config.sources:
            services = Informer(read_service, notify)
            self._reflect(client.services(config.options.namespace), services)
            if not config.options.service_types or "NodePort" in config.options.service_types:
                nodes = Informer(read_node, notify)
                self._reflect(client.nodes(), nodes)
        self._worlds.append(World(ingresses=ingresses, services=services, nodes=nodes))

    def _reflect(self, api: ApiResource, informer: Informer[Any]) -> None:
        reflector = Reflector(api, informer)
        self._reflectors.append(reflector)
        self._watches.append(reflector.run)

    def _seen_time(self) -> float:
        """Return seconds of a clock that stands still while any kind of object cannot be watched."""
        outage = sum(reflector.outage for reflector in self._reflectors)
        self._seen_until = max(self._seen_until, time.monotonic() - outage)
        return self._seen_until

    async def _listen(self, stack: AsyncExitStack) -> None:
        metrics = Metrics("syncer")
        metrics.add(lambda: collect(self._controller.statistics))
        pages = {
            "/metrics": metrics.page,
            "/healthz": lambda: http.Page(200, b"OK\n"),
            "/readyz": self._ready,
        }
        host, port = self._config.metrics_host, self._config.metrics_port
        try:
            server = await http.serve(host, port, pages)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Fatal(f"--metrics-address={host}:{port} cannot be taken: {reason}") from None
        await stack.enter_async_context(server)

    def _ready(self) -> http.Page:
        waiting = [f"not every {kind} was seen yet" for kind in unseen(self._worlds)]
        if not self._controller.statistics.is_store_up:
            waiting.append("etcd is not available")
        return http.Page(503 if waiting else 200, ("\n".join(waiting) or "OK").encode() + b"\n")

    async def _run_once(self) -> int:
        """Reconcile with what can be seen; return 0 if that was everything and it was written."""
        try:
            # A directory was looked at already: what could not be read then is not worth waiting for.
            if self._config.sources != {"manifests"}:
                async with asyncio.timeout(ONCE_TIMEOUT):
                    while unseen(self._worlds):
                        await self._controller.changed()
        except TimeoutError:
            pass
        try:
            await self._controller.reconcile()
        except (Conflict, StoreUnavailable, Compacted) as error:
            log.error("not everything was written: %s", error)
            return 1
        if missing := unseen(self._worlds):
            log.error("not every %s was seen; nothing was deleted for want of it", " and ".join(missing))
        return 1 if missing else 0


async def _supervise(run: Callable[[], Awaitable[None]]) -> None:
    """Run for ever. A fault that nobody foresaw costs a pause and a line, not the process."""
    while True:
        try:
            await run()
        except Exception as error:
            log.error("unforeseen fault, going on in %.0f s: %r", FAULT_PAUSE, error)
            log.debug("where it happened", exc_info=True)
            await asyncio.sleep(FAULT_PAUSE)


if __name__ == "__main__":
    main()
