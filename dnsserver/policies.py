"""What stands between the transports and the responders, as the configuration has it."""

from collections.abc import Iterable
from functools import partial

from prometheus_client.core import CounterMetricFamily, Metric

from dnsserver.answer.respond import Responder
from dnsserver.config import models
from dnsserver.handle import Handle, Respond, Response
from dnsserver.limits.access import Access, Rule, action_of
from dnsserver.wire import const


class Policies:
    """The policies of one server, with their counters."""

    def __init__(self, config: models.Config) -> None:
        self.access = None
        if config.acl:
            self.access = Access(action_of([Rule(rule.networks, rule.action) for rule in config.acl]))

    def admits(self, address: bytes) -> bool:
        """Say whether a client may have a TCP connection."""
        return self.access is None or self.access.admits(address)

    def around(self, responder: Responder, deferred: Handle) -> tuple[Respond | None, Handle]:
        """Return what a transport asks first and then, with the policies around both.

        Where there is no policy it is asked for the octets alone, as cheaply as without this.
        """
        if self.access is None:
            return responder.respond, deferred
        respond = responder.respond

        def answer(message: bytes, address: bytes, port: int) -> Response:
            reply = respond(message)
            return deferred(message, address, port) if reply is None else reply

        refuse = partial(responder.refuse, rcode=const.REFUSED, error=const.EDE_PROHIBITED)
        return None, self.access.around(answer, refuse)

    def metrics(self) -> Iterable[Metric]:
        if self.access:
            denied = CounterMetricFamily(
                "dnsserver_acl_denied",
                "Messages denied by access lists, by action.",
                labels=["action"],
            )
            denied.add_metric(["refuse"], self.access.refused)
            denied.add_metric(["drop"], self.access.dropped)
            yield denied
