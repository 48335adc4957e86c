"""The parts of transfers, joined: a journal and an announcer for each zone that some may transfer."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Transport
from dnsserver.transfer.contents import Contents
from dnsserver.transfer.history import Journal
from dnsserver.transfer.notify import Announcer, Secondary
from dnsserver.transfer.serve import Peer, Served, Transfers
from dnsserver.transfer.tsig import Keys
from dnsserver.transport.sockets import Address
from dnsserver.wire.name import Name, to_text
from dnsserver.zone.table import ZoneTable


class Policy(NamedTuple):
    """Who may transfer a zone, and who is told of its changes."""

    allow: Sequence[Peer]
    notify: Sequence[tuple[Address, Name | None]]
    """Addresses, with the key that signs."""


class TransferService:
    """Transfers of the table's zones. Made and used on the running event loop."""

    def __init__(
        self,
        table: ZoneTable,
        policies: Mapping[Name, Policy],
        keys: Keys,
        responders: Mapping[Transport, Responder],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._notifies: Counter[tuple[str, str]] = Counter()
        self._served: dict[Name, Served] = {}
        self._announcers: list[Announcer] = []
        for apex, policy in policies.items():
            zone = table.zones[apex]
            journal = Journal(table, zone, Contents(table, zone))
            self._served[apex] = Served(zone, journal, policy.allow)
            secondaries = [
                Secondary(zone, address, keys[key] if key else None, self._notifies)
                for address, key in policy.notify
            ]
            self._announcers.append(Announcer(zone, journal, secondaries))
        self.transfers = Transfers(self._served, keys, responders, clock=time.time, on_fault=on_fault)

    def start(self) -> None:
        """Begin to tell secondaries."""
        for announcer in self._announcers:
            announcer.start()

    def close(self) -> None:
        for announcer in self._announcers:
            announcer.close()

    def metrics(self) -> Iterable[Metric]:
        transfers = CounterMetricFamily(
            "dnsserver_transfers",
            "Transfers asked for, by zone (empty: none that is transferred), kind and outcome.",
            labels=["zone", "kind", "outcome"],
        )
        for labels, count in self.transfers.outcomes.items():
            transfers.add_metric(labels, count)
        yield transfers
        notifies = CounterMetricFamily(
            "dnsserver_notifies",
            "NOTIFYs, by zone: sent, and of these failed, without an answer or refused.",
            labels=["zone", "outcome"],
        )
        for pair, count in self._notifies.items():
            notifies.add_metric(pair, count)
        yield notifies
        journals = GaugeMetricFamily(
            "dnsserver_journal_octets", "Memory of the changes kept for IXFR, about.", labels=["zone"]
        )
        for apex, served in self._served.items():
            journals.add_metric([to_text(apex)], served.journal.octets)
        yield journals
