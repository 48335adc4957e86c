"""Names ↔ etcd keys: `/PREFIX/` + the labels reversed, joined by `/`.

Labels here are octets, leftmost first, without the root: `a.b.k8s.local` is
`(b"a", b"b", b"k8s", b"local")`, its key `/skydns/local/k8s/b/a`. Pure.
"""

from collections.abc import Sequence
from typing import Final, NewType

from dnsserver.skydns.record import RecordError

Key = NewType("Key", bytes)
"""A whole etcd key, prefix included."""

Labels = tuple[bytes, ...]

MAX_LABEL: Final = 63
MAX_NAME: Final = 255
"""Octets of a name in wire form: the labels, a length octet each, and the root (RFC 1035 §2.3.4)."""


def prefix_of(path: str) -> Key:
    """Return the key prefix of a path as configured: `/skydns` and `skydns/` are both `/skydns/`.

    The closing slash keeps `/skydns-old/…` out of a range over `/skydns`.
    """
    return Key(f"/{path.strip('/')}/".replace("//", "/").encode("utf-8"))


def range_end(prefix: Key) -> Key:
    """Return the end of the range that holds exactly the keys which begin with `prefix`."""
    return Key(prefix[:-1] + bytes([prefix[-1] + 1]))


def key_of(labels: Sequence[bytes], prefix: Key) -> Key:
    """Return the key of a name.

    Raises:
        RecordError: a label that is empty, over 63 octets or holds a slash, or a name over 255 octets.
    """
    _check(labels)
    for label in labels:
        if b"/" in label:
            raise RecordError("key", f"label {label!r} holds a slash, which separates labels in a key")
    return Key(prefix + b"/".join(reversed(labels)))


def labels_of(key: bytes, prefix: Key) -> Labels:
    """Return the name that a key stands for, lower-cased (RFC 4343), targetstrip not yet cut.

    Raises:
        RecordError: outside the prefix, an empty or too long label, or a name over 255 octets.
    """
    if not key.startswith(prefix):
        raise RecordError("key", "outside the prefix")
    labels = tuple(key[len(prefix) :].lower().split(b"/")[::-1])
    _check(labels)
    return labels


def _check(labels: Sequence[bytes]) -> None:
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL:
            raise RecordError("key", f"a label of {len(label)} octets; expected 1..{MAX_LABEL}")
    if sum(map(len, labels)) + len(labels) + 1 > MAX_NAME:
        raise RecordError("key", f"a name over {MAX_NAME} octets")
