"""What etcd holds, as shapes. Pure."""

from typing import NamedTuple

from dnsserver.skydns.key import Key


class Entry(NamedTuple):
    """A key as etcd has it. `value` is None where the key was deleted."""

    key: Key
    value: bytes | None
    revision: int
    lease: int = 0


class Page(NamedTuple):
    """Some keys of a snapshot, in key order; all pages of one snapshot have one revision."""

    entries: list[Entry]
    revision: int
    cluster_id: int


class Batch(NamedTuple):
    """What one watch response brought: every change up to `revision`; no entries is a sign of life."""

    entries: list[Entry]
    revision: int


class Head(NamedTuple):
    """Where a cluster stands."""

    cluster_id: int
    revision: int
