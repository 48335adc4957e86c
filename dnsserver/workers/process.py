"""A worker as its parent has it: a process, and the channel to it."""

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Final, Self

import dnsserver
from dnsserver.workers.channel import Channel

GRACE: Final = 1.0
"""Seconds for a worker to end by itself when its channel is closed."""


class WorkerProcess:
    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self._process, self.channel = process, channel
        self.pid: Final = process.pid

    @classmethod
    async def spawned(cls) -> Self:
        """Start a worker, as a program of its own: gRPC, which both use, does not survive a fork."""
        ours, theirs = zip(
            socket.socketpair(), socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET), strict=True
        )
        numbers = tuple(sock.fileno() for sock in theirs)
        # The package is found where this one was, and nothing in the working directory goes before it.
        environment = {**os.environ, "PYTHONPATH": str(Path(dnsserver.__file__).parents[1])}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "dnsserver.workers.worker", *map(str, numbers)),
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
            pass_fds=numbers,
            start_new_session=True,  # Ctrl-C is for the parent
        )
        for sock in theirs:
            sock.close()
        return cls(process, await Channel.over(*ours))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> int:
        """Close the channel, wait until the process has ended, or end it, and return its exit code."""
        self.channel.close()
        try:
            async with asyncio.timeout(GRACE):
                return await self._process.wait()
        except TimeoutError:
            self.kill()
            return await self._process.wait()
