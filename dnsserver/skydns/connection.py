"""A connection to one member of an etcd cluster at a time.

Every call has a deadline. An error closes the connection, and the next call makes a new one to the next
endpoint, with a new token and the certificate files as they are then.
"""

import threading
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import grpc

from dnsserver.skydns import etcdpb
from dnsserver.skydns.address import EtcdAddress

etcdpb.install()

import etcd3  # noqa: E402

CALL_TIMEOUT: Final = 5.0
"""Seconds for a unary call."""

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),  # a resumed watch may bring more than the default 4 MiB
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),  # etcd refuses pings more often than every 5 s
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it grpcio holds a stopped peer for 60 s
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 2_000),  # also what TCP, TLS and HTTP/2 may take together to connect
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
)


class StoreUnavailable(Exception):
    """etcd did not answer, or refused. Retry with back-off; the next call connects anew."""


class Compacted(Exception):
    """The revision asked for is gone. Take a snapshot again."""


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


class Connection:
    """Blocking; safe to use from several threads."""

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

    def call(self, method: Callable[[Any], Any], request: Any, timeout: float | None = None) -> Any:
        """Make one unary call: `method` picks it from the client. `timeout` instead of the usual.

        Raises:
            StoreUnavailable, Compacted: as the two say.
        """
        client = self._connect()
        try:
            timeout = timeout or self._call_timeout
            return method(client)(request, timeout=timeout, metadata=client.metadata)
        except (grpc.RpcError, ValueError) as error:  # ValueError: the channel was closed meanwhile
            raise self._failure(client, error) from None

    def begin(
        self, method: Callable[[Any], Any], request: Any, timeout: float | None = None
    ) -> Callable[[], Any]:
        """Begin one unary call; return what waits for its end, and raises what `call` does."""
        client = self._connect()
        try:
            timeout = timeout or self._call_timeout
            future = method(client).future(request, timeout=timeout, metadata=client.metadata)
        except ValueError as error:  # the channel was closed meanwhile
            raise self._failure(client, error) from None

        def end() -> Any:
            try:
                return future.result()
            except (grpc.RpcError, grpc.FutureCancelledError, ValueError) as error:
                raise self._failure(client, error) from None

        return end

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
        """Return what an error means to the caller, the connection closed unless it is a compaction."""
        if isinstance(error, (StoreUnavailable, Compacted)):
            return error  # of a call by the way
        error.__traceback__ = None  # the error is the call, which those hold who made it: a cycle
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


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.Call):
        return f"{error.code().name}: {(error.details() or '')[:160]}"
    return str(error)[:160] or type(error).__name__
