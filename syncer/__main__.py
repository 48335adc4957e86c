"""The syncer program: arguments → objects → records in etcd. Exit status 0, 1 (fatal) or 2 (arguments)."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Final

from dnsserver.ops import http
from dnsserver.ops import log as logs
from dnsserver.ops.metrics import Metrics
from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.store import Conflict, Fenced, Store
from syncer.config import Config, load
from syncer.controller import Controller
from syncer.explain import HELP, explain
from syncer.flags import ConfigError
from syncer.happening import Happening
from syncer.health import Health
from syncer.kube.client import ClientError, connect
from syncer.kube.events import Recorder
from syncer.leader import CALL_TIMEOUT, Election, leader_key
from syncer.metrics import collect, collect_events, collect_leadership
from syncer.observation import Observer
from syncer.reconciler import Settings
from syncer.registry.registry import Registry
from syncer.worlds import Worlds, api_kinds

ONCE_TIMEOUT: Final = 60.0
"""Seconds that --once waits for all objects to be seen."""

ONCE_LEADER_TIMEOUT: Final = 8.0
"""Seconds that --once waits to lead: the lease of a leader that crashed is over by then."""

FAULT_PAUSE: Final = 5.0
"""Seconds."""

log = logging.getLogger("syncer")


class Fatal(Exception):
    """The program cannot go on. The text says why; exit status 1."""


def main() -> None:
    """Run the program and exit with its status."""
    if sys.argv[1:2] == ["explain"]:
        sys.exit(_explain(sys.argv[2:]))
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


def _explain(argv: list[str]) -> int:
    """Print what an object publishes; return the exit status."""
    if not argv or argv[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if argv else 2
    try:
        if len(argv[0].split("/")) != 3:
            raise ConfigError(f"{argv[0]}: expected KIND/NAMESPACE/NAME, as ingress/default/cheese")
        config = load(argv[1:], os.environ)
        logs.configure("error", config.log_format)
        lines, is_there = asyncio.run(explain(config, argv[0]))
    except ConfigError as error:
        print(f"syncer explain: {error}", file=sys.stderr)
        return 2
    except ClientError as error:
        print(f"syncer explain: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0 if is_there else 1


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
        self._registry = Registry(
            self._store,
            config.prefix,
            config.owner_id,
            config.convention,
            changed=self._notify_from_thread,
        )
        settings = Settings(
            policy=config.policy,
            domain_filter=config.domain_filter,
            managed_types=config.shape.managed_types,
            interval=config.interval,
            dry_run=config.dry_run,
            prints=config.output if config.dry_run or config.once else "",
            deletion_grace=config.deletion_grace,
            max_delete_share=config.max_delete_share,
        )
        self._election = self._new_election() if config.leader_elect else None
        self._worlds = Worlds(config, lambda: self._controller.notify())
        self._observer = Observer(config.options, config.shape, config.tenants)
        self._controller = Controller(
            self._observer,
            self._registry,
            settings,
            clock=self._worlds.seen_time,
            leadership=self._election,
            tell=self._tell,
        )
        self._recorder: Recorder | None = None
        self._health = Health(self._controller, config.interval, self._election, self._observer.unseen)

    def _tell(self, happenings: Iterable[Happening]) -> None:
        if self._recorder is not None and not self._config.dry_run:
            self._recorder.note(happenings)

    def _has_seen_all(self) -> bool:
        # Looking at the objects says which others they depend on.
        self._controller.look()
        return not self._observer.unseen()

    async def run(self) -> int:
        """Run until done or cancelled; return the exit status.

        Raises:
            Fatal: it cannot start.
        """
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            stack.callback(self._close)
            if self._config.manifests is not None:
                await self._worlds.open_manifests(self._config.manifests)
            if self._config.sources != {"manifests"}:
                await self._open_api(stack)
            for world in self._worlds.all:
                self._observer.add(world)
            if not self._config.once:
                await self._listen(stack)
            async with asyncio.TaskGroup() as tasks:
                started = {name: tasks.create_task(_supervise(run)) for name, run in self._tasks()}
                self._health.tasks, self._health.reflectors = started, self._worlds.reflectors
                if not self._config.once:
                    await _supervise(self._controller.run)
                status = await self._run_once()
                for task in started.values():
                    task.cancel()
            return status

    def _tasks(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        watches = self._worlds.watches
        for number, watch in enumerate(watches, 1):
            yield f"watch {number} of {len(watches)}", watch
        if self._election is not None:
            yield "the election", self._election.run
        if self._recorder is not None:
            yield "events", self._recorder.run

    def _new_election(self) -> Election:
        store = Store(self._config.etcd, CALL_TIMEOUT)
        identity = f"{socket.gethostname()}-{os.getpid()}"
        return Election(
            store, leader_key(self._config.owner_id, self._config.prefix), identity, self._notify_from_thread
        )

    def _notify_from_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._controller.notify)

    def _close(self) -> None:
        self._registry.forget()
        self._store.close()
        if self._election is not None:
            self._election.close()

    async def _open_api(self, stack: AsyncExitStack) -> None:
        config = self._config
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
        self._worlds.open_api(client)
        if config.events:
            kinds = api_kinds(config.crd)
            self._recorder = Recorder(client.request, config.events, kinds, self._observer.find)

    async def _listen(self, stack: AsyncExitStack) -> None:
        metrics = Metrics("syncer")
        election, statistics, is_store_up = (
            self._election,
            self._controller.statistics,
            self._health.is_store_up,
        )
        metrics.add(lambda: collect(statistics, is_store_up(), election.errors if election else 0))
        if (recorder := self._recorder) is not None:
            metrics.add(lambda: collect_events(recorder.dropped))
        if election is not None:
            metrics.add(lambda: collect_leadership(election.fence is not None, election.terms))
        pages = {
            "/metrics": lambda *_: metrics.page(),
            "/healthz": lambda *_: self._health.alive(),
            "/readyz": lambda *_: self._health.ready(),
        }
        host, port = self._config.metrics_host, self._config.metrics_port
        try:
            server = await http.serve(host, port, pages)
        except OSError as error:
            reason = error.strerror or str(error)
            raise Fatal(f"--metrics-address={host}:{port} cannot be taken: {reason}") from None
        await stack.enter_async_context(server)

    async def _run_once(self) -> int:
        """Reconcile with what can be seen; return 0 if that was everything and it was written."""
        # A directory was looked at already: what could not be read then is not worth waiting for.
        if self._config.sources != {"manifests"}:
            await self._wait_until(self._has_seen_all, ONCE_TIMEOUT)
        if (election := self._election) is not None:
            await self._wait_until(lambda: election.fence is not None, ONCE_LEADER_TIMEOUT)
        try:
            await self._controller.reconcile()
        except Fenced:
            leader = election.holder if election is not None and election.is_store_up else ""
            reason = f"{leader} leads; let that one do it, or stop it" if leader else "etcd is unavailable"
            log.error("nothing was written: %s", reason)
            return 1
        except (Conflict, StoreUnavailable, Compacted) as error:
            log.error("not everything was written: %s", error)
            return 1
        if missing := self._observer.unseen():
            log.error("not every %s was seen; nothing was deleted for want of it", " and ".join(missing))
        return 1 if missing else 0

    async def _wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._controller.changed()


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
