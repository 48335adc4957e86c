"""Ownership texts that only the owners of a key can read, as ExternalDNS writes them. Pure.

Base64 of a nonce of 12 octets and AES-256-GCM over the gzipped text. The nonce is made of the key and the
text, not drawn: one text is sealed to the same octets every time, and two texts to different nonces.
"""

import base64
import binascii
import gzip
import hashlib
import hmac
import zlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY: Final = 32
"""Octets of a key."""

_NONCE: Final = 12

_MAX_TEXT: Final = 4096
"""Octets of an opened text; what is longer is none of ours, however small it is sealed."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class Seal:
    """Seals and opens texts with one key."""

    def __init__(self, key: bytes) -> None:
        self._key, self._cipher = key, AESGCM(key)

    @classmethod
    def of(cls, text: str) -> "Seal":
        """Return the seal of a key as configured: 32 characters, or 32 octets in base64.

        Raises:
            ValueError: neither.
        """
        octets = text.encode()
        if len(octets) != KEY:
            try:
                octets = base64.b64decode(octets, validate=True)
            except binascii.Error:
                octets = b""
        if len(octets) != KEY:
            raise ValueError(f"expected a key of {KEY} characters, or of {KEY} octets in base64")
        return cls(octets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seal) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def seal(self, text: str) -> str:
        """Return a text sealed; the same one for the same text."""
        octets = text.encode()
        nonce = hmac.digest(self._key, octets, hashlib.sha256)[:_NONCE]
        sealed = self._cipher.encrypt(nonce, gzip.compress(octets, mtime=0), None)
        return base64.b64encode(nonce + sealed).decode()

    def open(self, text: str) -> str | None:
        """Return what was sealed, None where a text was not sealed with this key."""
        try:
            octets = base64.b64decode(text.strip().strip('"'), validate=True)
            packed = self._cipher.decrypt(octets[:_NONCE], octets[_NONCE:], None)
            unpacker = zlib.decompressobj(_GZIP)
            opened = unpacker.decompress(packed, _MAX_TEXT)
            return opened.decode() if unpacker.eof else None
        except (binascii.Error, InvalidTag, UnicodeError, ValueError, zlib.error):
            return None
