"""Access by the client's address, before anything else is done for it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from dnsserver.handle import Handle, Respond, Response
from dnsserver.limits.networks import Network, first_list

Action = Literal["allow", "refuse", "drop"]


class Rule(NamedTuple):
    networks: Iterable[Network]
    action: Action


def action_of(rules: Sequence[Rule]) -> Callable[[bytes], Action]:
    """Return what tells the action of the first rule that has an address; whom none has is allowed."""
    index_of = first_list([rule.networks for rule in rules])
    actions: tuple[Action, ...] = (*(rule.action for rule in rules), "allow")
    return lambda address: actions[index_of(address)]


class Access:
    """Applies rules to the messages of one transport, and counts."""

    def __init__(self, action: Callable[[bytes], Action]) -> None:
        self._action = action
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
            if action == "drop":
                self.dropped += 1
                return None
            self.refused += 1
            return refuse(message)

        return checked
