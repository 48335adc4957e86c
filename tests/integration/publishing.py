"""A syncer that publishes what one namespace of a Kubernetes API has."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.programs import Syncer, until

SOURCES = ("--source=ingress", "--source=service")


@asynccontextmanager
async def publishing(
    etcd: str, prefix: str, kubeconfig: Path, namespace: str, sources: Sequence[str] = SOURCES
) -> AsyncIterator[Syncer]:
    """Start it and wait until its pages are there, API or not. The API may be one of this event loop."""
    where = f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"
    with Syncer(etcd, prefix, *sources, *where) as syncer:
        await until(syncer.is_up, 30, "the syncer has started")
        yield syncer
        await asyncio.to_thread(syncer.stop)
