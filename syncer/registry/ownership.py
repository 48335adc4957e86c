"""The names that ownership texts stand at, and the labels that tell keys of one name apart. Pure.

Also for a name at a zone's apex the ownership stands at `a-k8s.local`, outside the zone, as with
ExternalDNS: a syncer knows names and no apexes, ExternalDNS can take over again, and no reader serves it.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from dnsserver.skydns.key import MAX_LABEL
from syncer.endpoint import RecordType

TYPES: Final[tuple[RecordType, ...]] = ("A", "AAAA", "CNAME", "MX", "PTR", "SRV", "TXT")

_TEMPLATE: Final = "%{record_type}"

_MAX_NAME: Final = 244
"""Characters of a name that a key's label of 8 still fits below (RFC 1035 §2.3.4)."""

_AFFIX: Final = re.compile(r"(?:[a-z0-9_.-]|%\{record_type\})*")

_LABEL: Final = re.compile(r"[0-7][0-9a-f]{7}")
_OWNER_ID: Final = re.compile(r"[A-Za-z0-9_.:/@-]{1,200}")


def is_owner_id(text: str) -> bool:
    """Say whether a text can be an owner id: it must survive in a list with commas, within quotes."""
    return _OWNER_ID.fullmatch(text) is not None


def is_affix(text: str) -> bool:
    """Say whether a text can stand around the first label of a name."""
    return _AFFIX.fullmatch(text) is not None


class Owned(NamedTuple):
    """What an ownership text may be about."""

    name: str
    type: RecordType
    is_certain: bool
    """The text's own name says the type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Where ownership texts stand: `<prefix><type>-<first label><suffix>.<rest>`, all lower case."""

    prefix: str = ""
    suffix: str = ""
    """With `%{record_type}` in either, the type stands there instead of before the first label."""
    wildcard: str = ""
    """Stands for `*`; empty: the star stays."""

    def name_of_ownership(self, name: str, type_: RecordType) -> str | None:
        """Return the name below which a record's ownership stands; None where it would be too long.

        For such a name the ownership is the text of the records themselves.
        """
        label, dot, rest = name.partition(".")
        label = self.wildcard if label == "*" and self.wildcard else label
        typed = label if self._has_template else f"{type_.lower()}-{label}"
        prefix, suffix = self._affixes(type_)
        at = f"{prefix}{typed}{suffix}{dot}{rest}"
        fits = len(at) <= _MAX_NAME and all(0 < len(part) <= MAX_LABEL for part in at.split("."))
        return at if fits else None

    def names_owned(self, name: str) -> Iterator[Owned]:
        """Yield what an ownership text at `name` may be about, the likeliest first.

        Without a type in the name it is about the name itself, but for AAAA: that is what ExternalDNS
        wrote before it knew AAAA. A text that does not stand where this naming puts it was written
        before there was a prefix or a suffix.
        """
        found = list(self._own(name)) or list(_by_type(name))
        for owned in found:
            label, dot, rest = owned.name.partition(".")
            if self.wildcard and label == self.wildcard:
                yield owned._replace(name=f"*{dot}{rest}")
            yield owned

    @property
    def _has_template(self) -> bool:
        return _TEMPLATE in self.prefix + self.suffix

    def _affixes(self, type_: RecordType) -> tuple[str, str]:
        type_text = type_.lower()
        return self.prefix.replace(_TEMPLATE, type_text), self.suffix.replace(_TEMPLATE, type_text)

    def _own(self, name: str) -> Iterator[Owned]:
        if self._has_template:
            for type_ in sorted(TYPES, key=len, reverse=True):
                if bare := _without(name, *self._affixes(type_)):
                    yield Owned(bare, type_, True)
        elif bare := _without(name, self.prefix, self.suffix):
            yield from _by_type(bare)


def _without(name: str, prefix: str, suffix: str) -> str:
    """Return a name without what stands around its first label; empty where that is not there."""
    if not name.startswith(prefix):
        return ""
    labels = name.removeprefix(prefix).split(".")
    head = 1 + suffix.count(".")
    first = ".".join(labels[:head])
    if not first.endswith(suffix) or first == suffix:
        return ""
    return ".".join([first.removesuffix(suffix), *labels[head:]])


def _by_type(name: str) -> Iterator[Owned]:
    for type_ in TYPES:
        if name.startswith(prefix := f"{type_.lower()}-"):
            yield Owned(name.removeprefix(prefix), type_, True)
            return
    yield Owned(name, "A", False)
    yield Owned(name, "CNAME", False)


class Sealing(Protocol):
    """Encrypts texts."""

    def seal(self, text: str) -> str:
        """Return a text sealed; the same one for the same text."""
        ...

    def open(self, text: str) -> str | None:
        """Return what was sealed, None where a text was not sealed with this key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """How ownership is told and taken."""

    naming: Naming = field(default_factory=Naming)
    has_texts: bool = True
    """False: no ownership is kept, and every key of the usual shape is ours."""
    is_strict: bool = False
    """Every key of ours names us in its field `owner`; keys of others are as if they were not there."""
    seal: Sealing | None = None
    """Opens texts that are encrypted."""
    is_sealed: bool = False
    """Texts are written encrypted; needs a seal."""
    migrate_from: str = ""
    """An owner id whose records are ours too, and are rewritten to say so. Empty: none."""


def label_of(name: str, type_: str, data: str, salt: int = 0) -> str:
    """Return the label of a key, of the form that ExternalDNS draws at random: 31 bits in hex.

    It depends on the record alone, so a repeated write hits the same key, and two writers collide
    instead of doubling the record. `salt` gives another where a stranger's key has taken that one.
    """
    octets = "\0".join((name, type_, data, *([str(salt)] if salt else ()))).encode("utf-8", "surrogateescape")
    return f"{int.from_bytes(hashlib.sha256(octets).digest()[:4]) & 0x7FFFFFFF:08x}"


def is_label(label: bytes) -> bool:
    """Say whether a key's label is one that ExternalDNS or a syncer would have made."""
    return _LABEL.fullmatch(label.decode("latin-1")) is not None
