"""What stands between the transports and the responders, as the configuration has it."""

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dnsserver.answer.respond import Responder
from dnsserver.answer.tally import Transport
from dnsserver.config import models
from dnsserver.config.secrets import cookie_secrets
from dnsserver.handle import Handle, Respond, Responding, Response
from dnsserver.limits.access import Access, action_of
from dnsserver.limits.cookies import Cookies
from dnsserver.limits.message import bad_cookie
from dnsserver.limits.networks import Network, first_list
from dnsserver.limits.queries import QueryLimit
from dnsserver.limits.rates import Limit, Rates
from dnsserver.querylog.entry import coredns, in_json
from dnsserver.querylog.log import CLOSE, Choice, QueryLog
from dnsserver.wire import const
from dnsserver.zone.table import ZoneTable

log = logging.getLogger("dnsserver.policies")

REREAD: Final = 10.0
"""Seconds until a changed file of secrets is seen."""

STANDARD_OUTPUT: Final = 1
"""The descriptor that the query log is written to; all else is logged to standard error."""

_LINES: Final = {"coredns": coredns, "json": in_json}


class Policies:
    """The policies of one server, with their counters. `start` and `close` run on its event loop."""

    def __init__(self, config: models.Config) -> None:
        self._told = _told(config)
        self._access = self._rates = self._cookies = self._log = None
        self._timer: asyncio.TimerHandle | None = None
        self._rules = config.acl
        self.query_limit: QueryLimit | None = None
        self._zones = {apex: action_of(rules) for apex, rules in config.zone_acl.items()}
        if config.acl or self._zones:
            self._access = Access(action_of(config.acl), self._zones)
        if rrl := config.rrl:
            limit = Limit(rrl.responses_per_second, rrl.window, rrl.slip, rrl.table_size)
            exempt = first_list([rrl.exempt])  # 0 for who is in it
            self._rates = Rates(limit, time.monotonic_ns, lambda address: not exempt(address))
        if most := config.query_limit:
            self.query_limit = QueryLimit(most.queries_per_second, tuple(most.exempt))
        if config.cookies:
            self._cookies = Cookies(config.cookies.secrets, time.time)
            self._secret_file, self._secrets = config.cookies.path, config.cookies.secrets
            self._secret_fault = ""
        if config.log.queries != "none":
            choice = Choice(config.log.queries, config.log.query_sample, config.log.query_rate)
            self._log = QueryLog(choice, _LINES[config.log.query_format], STANDARD_OUTPUT)

    def start(self) -> None:
        """Write the query log, and follow the file of secrets."""
        if self._log:
            self._log.start()
        self._follow()

    def _follow(self) -> None:
        if self._cookies:
            self._timer = asyncio.get_running_loop().call_later(REREAD, self._reread, self._cookies)

    def close(self, *, wait: bool = True) -> None:
        """End; if asked to wait, when the query log is written."""
        if self._log:
            self._log.close(CLOSE if wait else 0)
        if self._timer:
            self._timer.cancel()

    def succeeded_by(self, config: models.Config) -> "Policies":
        """Return the policies of the next configuration, these themselves if it has the same; started."""
        if _told(config) == self._told:
            return self
        self.close(wait=False)
        policies = Policies(config)
        policies.start()
        return policies

    def admits(self, address: bytes) -> bool:
        """Say whether a client may have a TCP connection."""
        return self._access is None or self._access.admits(address)

    def denied(self) -> list[tuple[Network, float]]:
        """Return the networks of the access list in order, with what part of their datagrams may pass."""
        return [
            (network, 0.0 if rule.action == "drop" else 1.0)
            for rule in self._rules
            for network in rule.networks
        ]

    def around(
        self, responder: Responder, deferred: Handle, transport: Transport, table: ZoneTable
    ) -> tuple[Responding | None, Handle]:
        """Return what a transport asks first and then, with the policies around both.

        Where there is no policy it is asked for the octets alone, as cheaply as without this.
        """
        rates = self._rates if transport == "udp" else None
        if not (self._access or self._cookies or self._log or rates):
            return responder, deferred
        handle = unproven = answer = _either(responder.respond, deferred)
        if rates:
            exists = table.nodes.__contains__
            handle, unproven = rates.around(answer, exists), rates.around(answer, exists, bad_cookie)
        if self._cookies:
            over_udp = transport == "udp"
            handle = self._cookies.around(handle, unproven, answer, responder.refuse, udp=over_udp)
        if self._access:
            refuse = partial(responder.refuse, rcode=const.REFUSED, error=const.EDE_PROHIBITED)
            if self._zones:
                handle = self._access.around_zones(handle, refuse, table)
            if self._rules:
                handle = self._access.around(handle, refuse)
        if self._log:
            handle = self._log.around(handle, transport)
        return None, handle

    def metrics(self) -> Iterable[Metric]:
        if access := self._access:
            counts = {"refuse": access.refused, "drop": access.dropped}
            yield _counter("acl_denied", "Messages denied by access lists.", "action", counts)
        if rates := self._rates:
            counts = {"drop": rates.withheld - rates.slipped, "slip": rates.slipped}
            yield _counter("rrl_limited", "Responses withheld, and those cut instead.", "action", counts)
            yield GaugeMetricFamily("dnsserver_rrl_accounts", "Accounts of responses.", value=rates.accounts)
        if cookies := self._cookies:
            counts = {name: getattr(cookies, name) for name in ("valid", "new", "invalid", "malformed")}
            yield _counter("cookies", "Queries with a cookie, by what it is.", "cookie", counts)
        if lines := self._log:
            counts = {"written": lines.written, "limited": lines.limited, "lost": lines.lost}
            yield _counter("query_log_lines", "Lines of the query log.", "fate", counts)

    def _reread(self, cookies: Cookies) -> None:
        try:
            secrets = cookie_secrets(self._secret_file)
        except ValueError as error:
            if str(error) != self._secret_fault:
                log.warning("cookies stay as they are: %s", error)
            self._secret_fault = str(error)
        else:
            self._secret_fault = ""
            if secrets != self._secrets:
                self._secrets = secrets
                cookies.replace(secrets)
                log.info("%s has changed: cookies are made with what it holds now", self._secret_file)
        self._follow()


def _told(config: models.Config) -> object:
    return config.acl, config.zone_acl, config.query_limit, config.rrl, config.cookies, config.log


def _either(respond: Respond, deferred: Handle) -> Handle:
    def answer(message: bytes, address: bytes, port: int) -> Response:
        reply = respond(message)
        return deferred(message, address, port) if reply is None else reply

    return answer


def _counter(suffix: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"dnsserver_{suffix}", text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
