"""The models of who is answered, and how often."""

from typing import Annotated, Literal

from pydantic import Field

from dnsserver.config.fields import AddressOrNetwork, Model


class AccessRule(Model):
    networks: Annotated[list[AddressOrNetwork], Field(min_length=1)]
    """Addresses and networks."""
    action: Literal["allow", "refuse", "drop"]
    """What their messages get: an answer, REFUSED, or nothing."""
