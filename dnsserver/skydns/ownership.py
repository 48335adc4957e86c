"""Ownership texts: a registry's note beside a record, of who may change it and which object it is for.

`"heritage=external-dns,external-dns/owner=OWNER,external-dns/resource=KIND/NAMESPACE/NAME"`, with literal
quotes, is what ExternalDNS writes. Pure.
"""

import base64
import binascii
from typing import Final, NamedTuple

_HERITAGE: Final = "heritage=external-dns"
_OWNER: Final = "external-dns/owner="
_RESOURCE: Final = "external-dns/resource="

_SEAL: Final = 12 + 16
"""Octets of nonce and tag of AES-GCM."""


class Ownership(NamedTuple):
    owner_id: str
    resource: str
    """The object the record was made for; empty where the text does not say."""


def is_ownership(text: str) -> bool:
    """Say whether a record's text is a registry's note about its owner, which is never served."""
    return text.removeprefix('"').startswith("heritage=")


def may_be_sealed(text: str) -> bool:
    """Say whether a text may be an encrypted one: base64 of a nonce, what is sealed, and its tag."""
    try:
        return len(base64.b64decode(text.strip().strip('"'), validate=True)) > _SEAL
    except (binascii.Error, ValueError):
        return False


def text_of(ownership: Ownership) -> str:
    """Return the text of an ownership, with the literal quotes that ExternalDNS writes."""
    return f'"{_HERITAGE},{_OWNER}{ownership.owner_id},{_RESOURCE}{ownership.resource}"'


def parse_text(text: str) -> Ownership | None:
    """Return the ownership in a record's text, or None where it is none of ExternalDNS's convention."""
    heritage, *labels = text.strip().strip('"').split(",")
    if heritage != _HERITAGE:
        return None
    owner = next((part.removeprefix(_OWNER) for part in labels if part.startswith(_OWNER)), "")
    resource = next((part.removeprefix(_RESOURCE) for part in labels if part.startswith(_RESOURCE)), "")
    return Ownership(owner, resource) if owner else None
