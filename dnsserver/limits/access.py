"""Access by the client's address, before anything else is done for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, Protocol

from dnsserver.handle import Handle, Respond, Response
from dnsserver.limits.networks import Network, first_list
from dnsserver.wire.message import HEADER_OCTETS
from dnsserver.wire.name import FormatError, Name, end_of_name
from dnsserver.zone.table import ZoneTable

Action = Literal["allow", "refuse", "drop"]


class Rule(Protocol):
    @property
    def networks(self) -> Sequence[Network]: ...

    @property
    def action(self) -> Action: ...


ActionOf = Callable[[bytes], Action]
"""The octets of an address → what its messages get."""

NO_ZONES: Final[Mapping[Name, ActionOf]] = {}


def action_of(rules: Sequence[Rule]) -> ActionOf:
    """Return what tells the action of the first rule that has an address; whom none has is allowed."""
    index_of = first_list([rule.networks for rule in rules])
    actions: tuple[Action, ...] = (*(rule.action for rule in rules), "allow")
    return lambda address: actions[index_of(address)]


class Access:
    """Applies rules to the messages of one transport, and counts."""

    def __init__(self, action: ActionOf, zones: Mapping[Name, ActionOf] = NO_ZONES) -> None:
        """Take the rules for all messages, and those for questions about some zones, by apex."""
        self._action, self._zones = action, zones
        self.refused = self.dropped = 0
        """Messages."""

    def admits(self, address: bytes) -> bool:
        """Say whether a client may have a connection: unless all its messages would be dropped."""
        return self._action(address) != "drop"

    def around(self, handle: Handle, refuse: Respond) -> Handle:
        """Return `handle` for those who are allowed; `refuse` gives the response to the refused."""
        action_of = self._action

        def checked(message: bytes, address: bytes, port: int) -> Response:
            action = action_of(address)
            if action == "allow":
                return handle(message, address, port)
            return self._denied(action, message, refuse)

        return checked

    def around_zones(self, handle: Handle, refuse: Respond, table: ZoneTable) -> Handle:
        """Return `handle` for those whom the rules of the zone allow that a question's name is in."""
        zones = self._zones

        def checked(message: bytes, address: bytes, port: int) -> Response:
            name = _name_asked(message)
            zone = table.zone_of(name) if name else None
            action_of = zones.get(zone.apex) if zone else None
            action = action_of(address) if action_of else "allow"
            if action == "allow":
                return handle(message, address, port)
            return self._denied(action, message, refuse)

        return checked

    def _denied(self, action: Action, message: bytes, refuse: Respond) -> bytes | None:
        if action == "drop":
            self.dropped += 1
            return None
        self.refused += 1
        return refuse(message)


def _name_asked(message: bytes) -> Name | None:
    """Return the name of a message's one question; None where there is none that is answered with data."""
    if message[4:6] != b"\0\1":
        return None
    try:
        return Name(message[HEADER_OCTETS : end_of_name(message, HEADER_OCTETS)].lower())
    except FormatError:
        return None
