"""The HTTP listeners of a process, by address; each has the pages that the configuration puts there."""

import asyncio
from collections.abc import Mapping

from dnsserver.ops import http
from dnsserver.transport.sockets import Address, ListenError

Pages = Mapping[Address, Mapping[str, http.Handler]]


class Endpoints:
    def __init__(self) -> None:
        self._servers: dict[Address, asyncio.Server] = {}
        self._pages: dict[Address, dict[str, http.Handler]] = {}

    async def open(self, pages: Pages) -> None:
        """Listen on the addresses that are new among these.

        Raises:
            ListenError: an address cannot be taken; all is as before.
        """
        opened: dict[Address, asyncio.Server] = {}
        for address, handlers in pages.items():
            if address in self._servers:
                continue
            self._pages[address] = dict(handlers)
            try:
                opened[address] = await http.serve(address.host, address.port, self._pages[address])
            except OSError as error:
                for server in opened.values():
                    server.close()
                raise ListenError(f"cannot listen on {address} (http): {error.strerror}") from None
        self._servers |= opened

    def keep(self, pages: Pages) -> None:
        """Show these pages, and close what has none. All their addresses are open."""
        for address in [address for address in self._servers if address not in pages]:
            self._servers.pop(address).close()
        for address, handlers in pages.items():
            self._pages[address].clear()
            self._pages[address].update(handlers)

    def close(self) -> None:
        self.keep({})
