"""Domain names in wire form: length-prefixed labels, root label last, no compression.

A `Name` is canonical: ASCII letters lower case (RFC 4343). Equal names are equal octets, so a name is
a dict key and nothing above this module compares labels.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NewType

Name = NewType("Name", bytes)

ROOT: Final = Name(b"\0")

MAX_LABEL: Final = 63
MAX_NAME: Final = 255
"""Octets, the root label included (RFC 1035 §2.3.4)."""


class FormatError(ValueError):
    """Octets that are no DNS message. Answered with FORMERR, counted, never logged per packet."""


class NameFault(ValueError):
    """Text or labels that are no domain name; the text says why."""


def end_of_name(message: bytes, start: int) -> int:
    """Return the offset past the name at `start`.

    Question names only: a compression pointer is an error, because nothing stands before the question
    to point at.

    Raises:
        FormatError: over 63 octets in a label, over 255 in all, pointer, or out of octets.
    """
    at, limit = start, min(len(message), start + MAX_NAME)
    while at < limit:
        length = message[at]
        if length == 0:
            return at + 1
        if length > MAX_LABEL:
            raise FormatError("a label over 63 octets, or a pointer")
        at += length + 1
    raise FormatError("a name without end, or over 255 octets")


def canonical(octets: bytes) -> Name:
    """Fold a name in wire form to lower case. Length octets are below `A`, so they are left alone."""
    return Name(octets.lower())


def from_labels(labels: Sequence[bytes]) -> Name:
    """Return the name of labels, leftmost first, without the root.

    Raises:
        NameFault: an empty label, one over 63 octets, or a name over 255.
    """
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL:
            raise NameFault(f"a label of {len(label)} octets; expected 1..{MAX_LABEL}")
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(name) > MAX_NAME:
        raise NameFault(f"a name of {len(name)} octets; at most {MAX_NAME}")
    return canonical(name)


def labels_of(name: bytes) -> tuple[bytes, ...]:
    """Return the labels of a name in wire form, leftmost first, without the root."""
    labels, at = [], 0
    while length := name[at]:
        labels.append(name[at + 1 : at + 1 + length])
        at += length + 1
    return tuple(labels)


def parent(name: Name) -> Name:
    """Return the name without its leftmost label. The root has no parent."""
    return name[name[0] + 1 :]  # type: ignore[return-value]  # Name() is a call, and this is done a million times


def ancestors(name: Name) -> Iterator[Name]:
    """Yield the parent, its parent, … and last the root."""
    while name[0]:
        name = parent(name)
        yield name


def is_within(name: Name, ancestor: Name) -> bool:
    """Say whether `name` is `ancestor` or below it, label by label."""
    at = len(name) - len(ancestor)
    if at < 0 or not name.endswith(ancestor):
        return False
    start = 0
    while start < at:
        start += name[start] + 1
    return start == at


def from_text(text: str, origin: Name = ROOT) -> Name:
    r"""Return the name of zone-file text (RFC 1035 §5.1): `@` is the origin, no final dot is relative to it.

    `\.` and `\DDD` escape one octet. Text beyond ASCII is taken as UTF-8 octets: no IDNA is applied.

    Raises:
        NameFault: empty, an empty or too long label, a bad escape, or a name over 255 octets.
    """
    if text == "@":
        return origin
    if text == ".":
        return ROOT
    labels: list[bytes] = []
    label = bytearray()
    octets, at, absolute = text.encode("utf-8", "surrogateescape"), 0, False
    while at < len(octets):
        octet = octets[at]
        if octet == 0x5C:
            value, at = _escaped(octets, at + 1)
            label.append(value)
            continue
        at += 1
        if octet == 0x2E:
            labels.append(bytes(label))
            label.clear()
            absolute = at == len(octets)
        else:
            label.append(octet)
    if not absolute:
        labels.append(bytes(label))
        labels.extend(labels_of(origin))
    return from_labels(labels)


def _escaped(octets: bytes, at: int) -> tuple[int, int]:
    digits = octets[at : at + 3]
    if digits[:1].isdigit():
        if len(digits) < 3 or not digits.isdigit() or int(digits) > 255:
            raise NameFault(r"a bad escape: expected \DDD with DDD from 000 to 255")
        return int(digits), at + 3
    if not digits:
        raise NameFault("a backslash at the end")
    return digits[0], at + 1


_SPECIAL: Final = frozenset(b'."\\();@$')


def to_text(name: bytes) -> str:
    """Return the zone-file text of a name, with its final dot. Plain ASCII, whatever the octets."""
    if name == ROOT:
        return "."
    return "".join(
        "".join(
            chr(octet) if 0x20 < octet < 0x7F and octet not in _SPECIAL
            else f"\\{chr(octet)}" if octet in _SPECIAL
            else f"\\{octet:03d}"
            for octet in label
        ) + "."
        for label in labels_of(name)
    )  # fmt: skip
