"""The etcd client: read a prefix at one revision, watch it from there, commit guarded transactions.

etcd3 gives the channel and the stubs and nothing else: its watch goes deaf after an outage, its range
ignores `limit` and `revision`. Every call has a deadline. An error closes the connection, and the next
call makes a new one to the next endpoint, with a new token and the certificate files as they are then.
"""

import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import grpc

from dnsserver.skydns import etcdpb
from dnsserver.skydns.address import EtcdAddress
from dnsserver.skydns.key import Key, range_end

etcdpb.install()

import etcd3  # noqa: E402
from etcd3 import etcdrpc as pb  # noqa: E402

CALL_TIMEOUT: Final = 5.0
"""Seconds for a unary call."""

PROBE_INTERVAL: Final = 5.0
"""Seconds without an event after which a watch asks whether its member still has a leader."""

PAGE: Final = 2000
"""Keys a range call returns: some milliseconds of decoding between two chances to answer a query."""

MAX_OPERATIONS: Final = 127
"""Keys one transaction may write; etcd's --max-txn-ops is 128, and one is left for a fence."""

_BACKLOG: Final = 64
"""Watch responses read ahead of the consumer; past it gRPC's flow control holds etcd back."""

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),  # a resumed watch may bring more than the default 4 MiB
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),  # etcd refuses pings more often than every 5 s
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it grpcio holds a stopped peer for 60 s
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
)


class StoreUnavailable(Exception):
    """etcd did not answer, or refused. Retry with back-off; the next call connects anew."""


class Compacted(Exception):
    """The revision asked for is gone. Take a snapshot again."""


class Conflict(Exception):
    """A key was changed by another writer since it was read; nothing was written. Read and plan again."""


class Fenced(Exception):
    """The fence of a transaction fell; nothing was written. Write no more before there is a new one."""


class Fence(NamedTuple):
    """A key that must still be the one created at a revision, for a transaction to count."""

    key: Key
    created: int


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
    cluster_id: int
    revision: int


class _Client(etcd3.Etcd3Client):  # type: ignore[misc]
    def _get_secure_creds(
        self, ca_cert: str, cert_key: str | None = None, cert_cert: str | None = None
    ) -> grpc.ChannelCredentials:
        # An empty ca_cert means the system's roots, which etcd3 cannot express: it takes a missing
        # CA for "no TLS" and would send the password in clear text.
        def octets(path: str | None) -> bytes | None:
            if not path:
                return None
            with open(path, "rb") as file:
                return file.read()

        credentials: grpc.ChannelCredentials = grpc.ssl_channel_credentials(
            octets(ca_cert), octets(cert_key), octets(cert_cert)
        )
        return credentials


class Store:
    """A connection to one member of an etcd cluster at a time. Blocking; safe to use from several threads."""

    def __init__(self, address: EtcdAddress, call_timeout: float = CALL_TIMEOUT) -> None:
        self._address, self._call_timeout = address, call_timeout
        self._turn = 0
        self._lock = threading.Lock()
        self._client: _Client | None = None
        self._closed = False

    @property
    def endpoint(self) -> str:
        """The member that the next call goes to."""
        return self._address.endpoints[self._turn % len(self._address.endpoints)]

    def close(self) -> None:
        """End every call that is under way; calls after this raise StoreUnavailable."""
        self._closed = True
        self._disconnect(self._client)

    def head(self, prefix: Key) -> Head:
        """Return the cluster's id and current revision, by a linearizable read of `prefix` alone."""
        response = self.call(
            lambda client: client.kvstub.Range, pb.RangeRequest(key=prefix, limit=1, count_only=True)
        )
        return Head(response.header.cluster_id, response.header.revision)

    def pages(self, prefix: Key, size: int = PAGE) -> Iterator[Page]:
        """Yield all keys below `prefix` in key order, at the revision of the first page.

        There is always at least one page.

        Raises:
            StoreUnavailable: at any page.
            Compacted: the first page's revision was compacted away meanwhile.
        """
        start, end, revision = prefix, range_end(prefix), 0
        while True:
            response = self.call(
                lambda client: client.kvstub.Range,
                pb.RangeRequest(key=start, range_end=end, limit=size, revision=revision),
            )
            revision = revision or response.header.revision
            entries = [_entry(kv) for kv in response.kvs]
            yield Page(entries, revision, response.header.cluster_id)
            if not response.more:
                return
            start = Key(entries[-1].key + b"\0")

    def watch(self, prefix: Key, revision: int, probe_interval: float = PROBE_INTERVAL) -> Iterator[Batch]:
        """Yield every change below `prefix` from `revision` on, whole revisions only.

        The first batch comes as soon as etcd has accepted the watch, and an empty one after every
        `probe_interval` seconds without a change, when the member has shown that it has a leader.

        Raises:
            StoreUnavailable: the stream ended, the watch was refused, or the member lost its leader.
            Compacted: `revision` is no longer there.
        """
        client = self._connect()
        create = pb.WatchCreateRequest(
            key=prefix,
            range_end=range_end(prefix),
            start_revision=revision,
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
            yield from self._batches(responses, prefix, revision, probe_interval)
        except (StoreUnavailable, Compacted):
            raise
        except Exception as error:
            raise self._failure(client, error) from None
        finally:
            requests.put(None)
            call.cancel()
            while pump.is_alive():  # it may be waiting for room
                _drain(responses)
                pump.join(0.01)

    def _batches(
        self, responses: "queue.Queue[Any]", prefix: Key, revision: int, probe_interval: float
    ) -> Iterator[Batch]:
        pending: list[Entry] = []
        reached = revision - 1
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
                raise Compacted(
                    f"revision {revision} was compacted, {response.compact_revision} is the oldest"
                )
            if response.canceled:
                raise StoreUnavailable(f"{self.endpoint}: watch refused: {response.cancel_reason}")
            pending += [
                Entry(
                    event.kv.key,
                    None if event.type else event.kv.value,
                    event.kv.mod_revision,
                    event.kv.lease,
                )
                for event in response.events
            ]
            if response.fragment:
                continue  # the rest of this revision is still to come
            if pending:
                # Not the header's revision: it may be ahead of the events.
                reached = max(reached, pending[-1].revision)
            elif not response.created:
                reached = max(reached, response.header.revision)
            yield Batch(pending, reached)
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
            StoreUnavailable: it is not known whether it was written: read before the next attempt.
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

    def call(self, method: Callable[[Any], Any], request: Any) -> Any:
        """Make one unary call: `method` picks it from the client.

        Raises:
            StoreUnavailable, Compacted: as the two say.
        """
        client = self._connect()
        try:
            return method(client)(request, timeout=self._call_timeout, metadata=client.metadata)
        except (grpc.RpcError, ValueError) as error:  # ValueError: the channel was closed meanwhile
            raise self._failure(client, error) from None

    def _connect(self) -> _Client:
        with self._lock:
            if self._closed:
                raise StoreUnavailable("closed")
            if self._client is None:
                try:
                    self._client = self._new_client()
                except (grpc.RpcError, OSError, ValueError) as error:
                    reason = _reason(error)
                    endpoint, self._turn = self.endpoint, self._turn + 1
                    raise StoreUnavailable(f"{endpoint}: {reason}") from None
            return self._client

    def _new_client(self) -> _Client:
        address, parts = self._address, urlsplit(self.endpoint)
        secure = parts.scheme == "https"
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        options = list(_CHANNEL_OPTIONS)
        if address.server_name:
            options.append(("grpc.ssl_target_name_override", address.server_name))  # type: ignore[arg-type]
        return _Client(
            host=host,
            port=parts.port or 2379,
            ca_cert=address.ca_file if secure else None,
            cert_cert=(address.cert_file or None) if secure else None,
            cert_key=(address.key_file or None) if secure else None,
            timeout=self._call_timeout,
            user=address.username or None,
            password=address.password or None,
            grpc_options=options,
        )

    def _failure(self, client: _Client, error: Exception) -> Exception:
        if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.OUT_OF_RANGE:
            return Compacted(error.details())
        endpoint = self.endpoint
        self._disconnect(client)
        return StoreUnavailable(f"{endpoint}: {_reason(error)}")

    def _disconnect(self, client: _Client | None) -> None:
        with self._lock:
            if client is None or client is not self._client:
                return
            self._client, self._turn = None, self._turn + 1
        client.close()


def _entry(kv: Any, *, deleted: bool = False) -> Entry:
    return Entry(kv.key, None if deleted else kv.value, kv.mod_revision, kv.lease)


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.Call):
        return f"{error.code().name}: {(error.details() or '')[:160]}"
    return str(error)[:160] or type(error).__name__


def _pump(call: Any, responses: "queue.Queue[Any]") -> None:
    try:
        for response in call:
            responses.put(response)
        responses.put(StoreUnavailable("the watch stream ended"))
    except Exception as error:
        responses.put(error)


def _drain(responses: "queue.Queue[Any]") -> None:
    try:
        while True:
            responses.get_nowait()
    except queue.Empty:
        return
