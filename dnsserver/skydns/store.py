"""What is read from etcd and written there: a prefix at one revision, a watch from there, transactions.

etcd3's own watch goes deaf after an outage, its range ignores `limit` and `revision`; so only its stubs are
used.
"""

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from dnsserver.skydns import etcdpb
from dnsserver.skydns.connection import Compacted, Connection, StoreUnavailable
from dnsserver.skydns.entry import Batch, Entry, Head, Page
from dnsserver.skydns.key import Key, range_end
from dnsserver.skydns.pieces import pieces

etcdpb.install()

from etcd3 import etcdrpc as pb  # noqa: E402

PROBE_INTERVAL: Final = 2.0
"""Seconds without an event after which a watch asks whether its member still has a leader."""

PROBE_TIMEOUT: Final = 3.0
"""Seconds until that must be answered."""

PAGE: Final = 1000
"""Keys that the first call for a snapshot returns."""

PAGE_OCTETS: Final = 1 << 22
"""What a page should have: the next is of so many keys. For each etcd walks over all keys that follow."""

MAX_PAGE: Final = 50_000

PAGE_TIMEOUT: Final = 10.0
"""Seconds until a page must be there."""

PIECE: Final = 250
"""Keys that are parsed and handed over at once: with their decoding, about a millisecond.

Linux may let a thread that is busy go on until the next tick, some 4 ms, before one that answers queries gets
the same CPU.
"""

MAX_OPERATIONS: Final = 127
"""Keys one transaction may write; etcd's --max-txn-ops is 128, and one is left for a fence."""

GATHER_TIME: Final = 0.004
"""Seconds after changes in which further ones are gathered: each batch costs several threads' turns."""

GATHERED: Final = 1000
"""Changes of a batch beyond which no further revision is put into it."""

_BACKLOG: Final = 64
"""Watch responses read ahead of the consumer; past it gRPC's flow control holds etcd back."""


class Conflict(Exception):
    """A key was changed by another writer since it was read; nothing was written. Read and plan again."""


class Fenced(Exception):
    """The fence of a transaction fell; nothing was written. Write no more before there is a new one."""


class Fence(NamedTuple):
    """A key that must still be the one created at a revision, for a transaction to count."""

    key: Key
    created: int


class Store(Connection):
    """Blocking; safe to use from several threads."""

    def head(self, prefix: Key) -> Head:
        """Return the cluster's id and current revision, by a linearizable read of `prefix` alone."""
        request = pb.RangeRequest(key=prefix, limit=1, count_only=True)
        response = self.call(lambda client: client.kvstub.Range, request, PROBE_TIMEOUT)
        return Head(response.header.cluster_id, response.header.revision)

    def entry(self, key: Key) -> Entry | None:
        """Return one key as it is now, by a linearizable read; None: it is not there."""
        response = self.call(lambda client: client.kvstub.Range, pb.RangeRequest(key=key))
        return _entry(response.kvs[0]) if response.kvs else None

    def pages(self, prefix: Key, size: int = PAGE, *, keys_only: bool = False) -> Iterator[Page]:
        """Yield all keys below `prefix` in key order, at the revision of the first page.

        There is always at least one page. With `keys_only` the values are empty.

        Raises:
            StoreUnavailable: at any page.
            Compacted: the first page's revision was compacted away meanwhile.
        """
        end = range_end(prefix)

        def call(start: Key, size: int, revision: int) -> Callable[[], Any]:
            request = pb.RangeRequest(
                key=start, range_end=end, limit=size, revision=revision, keys_only=keys_only
            )
            return self.begin(_range, request, PAGE_TIMEOUT)

        waiting, revision = call(prefix, size, 0), 0
        while True:
            parts = []
            for part in pieces(waiting(), PIECE):
                parts.append(part)
                time.sleep(0)  # whoever waits for this CPU has it now, and not with the next tick
            header, last = self._range_response(parts[0]).header, self._range_response(parts[-1])
            revision = revision or header.revision
            if last.more:
                # Under way while this page is decoded and applied.
                size = min(max(size * PAGE_OCTETS // sum(map(len, parts)), 1), size * 4, MAX_PAGE)
                waiting = call(Key(last.kvs[-1].key + b"\0"), size, revision)
            for part in parts:
                entries = [_entry(kv) for kv in self._range_response(part).kvs]
                yield Page(entries, revision, header.cluster_id)
            if not last.more:
                return

    def _range_response(self, octets: bytes) -> Any:
        try:
            return pb.RangeResponse.FromString(octets)
        except DecodeError as error:
            raise StoreUnavailable(f"{self.endpoint}: {error}") from None

    def watch(self, prefix: Key, revision: int, probe_interval: float = PROBE_INTERVAL) -> Iterator[Batch]:
        """Yield every change below `prefix` from `revision` on, whole revisions only, in order, each once.

        Revisions that are there at once, or follow each other within GATHER_TIME, come as one batch.

        The first batch comes as soon as etcd has accepted the watch, and an empty one after every
        `probe_interval` seconds without a change, when the member has shown that it has a leader.

        Raises:
            StoreUnavailable: the stream ended, the watch was refused, or the member lost its leader.
            Compacted: `revision`, or the one before it, is no longer there.
        """
        client = self._connect()
        # Of the very revision it was compacted to, etcd may have lost the deletes, and says nothing:
        # https://github.com/etcd-io/etcd/issues/19179. So this asks for one that is known already.
        create = pb.WatchCreateRequest(
            key=prefix,
            range_end=range_end(prefix),
            start_revision=max(revision - 1, 1),
            progress_notify=True,
            fragment=True,
        )
        requests: queue.SimpleQueue[object] = queue.SimpleQueue()
        requests.put(pb.WatchRequest(create_request=create))
        # A member cut off from its peers would keep the stream open and silent.
        metadata = (*(client.metadata or ()), ("hasleader", "true"))
        responses: queue.Queue[Any] = queue.Queue(_BACKLOG)
        call = pb.WatchStub(client.channel).Watch(iter(requests.get, None), metadata=metadata)
        pump = threading.Thread(target=_pump, args=(call, responses), name="etcd-watch", daemon=True)
        pump.start()
        try:
            yield from self._batches(responses, prefix, revision - 1, probe_interval)
        except Exception as error:
            raise self._failure(client, error) from None
        finally:
            requests.put(None)
            call.cancel()
            while pump.is_alive():  # it may be waiting for room
                _drain(responses)
                pump.join(0.01)

    def _batches(
        self, responses: "queue.Queue[Any]", prefix: Key, reached: int, probe_interval: float
    ) -> Iterator[Batch]:
        pending: list[Entry] = []
        while True:
            try:
                response = responses.get(timeout=probe_interval)
            except queue.Empty:
                self.head(prefix)
                yield Batch([], reached)
                continue
            if isinstance(response, Exception):
                raise response
            if response.compact_revision:
                raise Compacted(f"revision {response.compact_revision} is the oldest that is left")
            if response.canceled:
                raise _Ended(f"watch refused: {response.cancel_reason}")
            pending += [_entry(event.kv, deleted=bool(event.type)) for event in response.events]
            if response.fragment:
                continue  # the rest of this revision is still to come
            if response.events and len(pending) < GATHERED and not responses.empty():
                continue
            pending = [entry for entry in pending if entry.revision > reached]
            if pending:
                # Not the header's revision: it may be ahead of the events.
                reached = pending[-1].revision
            elif not response.events and not response.created:
                reached = max(reached, response.header.revision)
            yield Batch(pending, reached)
            if pending:
                time.sleep(GATHER_TIME)
            pending = []

    def granted_ttl(self, lease: int) -> int:
        """Return the seconds a lease was granted for; 0 if it is no more.

        Raises:
            StoreUnavailable: etcd did not answer.
        """
        response = self.call(
            lambda client: client.leasestub.LeaseTimeToLive, pb.LeaseTimeToLiveRequest(ID=lease)
        )
        granted: int = response.grantedTTL
        return max(granted, 0)

    def commit(
        self,
        *,
        puts: Mapping[Key, bytes],
        deletes: Collection[Key],
        expected: Mapping[Key, int],
        fence: Fence | None = None,
    ) -> int:
        """Write and delete keys in one transaction, if every `expected` key is as it was read.

        `expected` maps a key to the revision of its last change, 0 for a key that must not exist.
        Deletes are of exact keys. Returns the transaction's revision.

        Raises:
            Conflict: an expected key has changed; nothing was written.
            Fenced: the fence has fallen; nothing was written.
            StoreUnavailable: it is not known whether it was written, or will be yet by a member that stands
                still and goes on. Read before the next attempt, and expect what was read.
            ValueError: more than MAX_OPERATIONS keys.
        """
        if len(puts) + len(deletes) > MAX_OPERATIONS or len(expected) > MAX_OPERATIONS:
            raise ValueError(f"over {MAX_OPERATIONS} keys in one transaction")
        compare = [
            pb.Compare(result=pb.Compare.EQUAL, target=pb.Compare.MOD, key=key, mod_revision=revision)
            for key, revision in expected.items()
        ]
        success = [pb.RequestOp(request_put=pb.PutRequest(key=k, value=v)) for k, v in puts.items()]
        success += [pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=k)) for k in deletes]
        failure = []
        if fence is not None:
            created = pb.Compare(
                result=pb.Compare.EQUAL,
                target=pb.Compare.CREATE,
                key=fence.key,
                create_revision=fence.created,
            )
            compare.append(created)
            failure.append(pb.RequestOp(request_range=pb.RangeRequest(key=fence.key, keys_only=True)))
        response = self.call(
            lambda client: client.kvstub.Txn,
            pb.TxnRequest(compare=compare, success=success, failure=failure),
        )
        if not response.succeeded:
            if fence is not None:
                there = response.responses[0].response_range.kvs
                if not there or there[0].create_revision != fence.created:
                    raise Fenced(fence.key.decode("utf-8", "replace"))
            raise Conflict(", ".join(sorted(key.decode("utf-8", "replace") for key in expected)[:3]))
        revision: int = response.header.revision
        return revision


class _Ended(Exception):
    """A watch came to its end, as no watch should."""


def _range(client: Any) -> Any:
    """Return the call for a range whose response stays in octets."""
    return client.channel.unary_unary(
        "/etcdserverpb.KV/Range", request_serializer=pb.RangeRequest.SerializeToString
    )


def _entry(kv: Any, *, deleted: bool = False) -> Entry:
    return Entry(kv.key, None if deleted else kv.value, kv.mod_revision, kv.lease)


def _pump(call: Any, responses: "queue.Queue[Any]") -> None:
    try:
        for response in call:
            responses.put(response)
        responses.put(_Ended("the watch stream ended"))
    except Exception as error:
        responses.put(error)


def _drain(responses: "queue.Queue[Any]") -> None:
    try:
        while True:
            responses.get_nowait()
    except queue.Empty:
        return
