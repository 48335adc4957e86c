"""Leases, and keys that live as long as one: what an election is made of. Blocking."""

from typing import Any, NamedTuple

from dnsserver.skydns import etcdpb
from dnsserver.skydns.connection import Connection, StoreUnavailable
from dnsserver.skydns.key import Key

etcdpb.install()

from etcd3 import etcdrpc as pb  # noqa: E402


class Holder(NamedTuple):
    """Who has a key."""

    value: str
    lease: int
    """0: none, the key stays for ever."""
    created: int
    """The revision of its creation, which no later holder has again."""


class Leases:
    """The leases of one etcd. Every call raises StoreUnavailable where etcd does not answer."""

    def __init__(self, store: Connection) -> None:
        self._store = store

    def grant(self, ttl: int) -> int:
        """Return a new lease of `ttl` seconds, at least etcd's own minimum."""
        response = self._store.call(lambda client: client.leasestub.LeaseGrant, pb.LeaseGrantRequest(TTL=ttl))
        lease: int = response.ID
        return lease

    def keep_alive(self, lease: int) -> int:
        """Renew a lease; return the seconds it lives from now on, 0 where it is no more."""

        def renew(client: Any) -> Any:
            # A stream of one request: a lasting one would go deaf with its member.
            return lambda request, **how: next(client.leasestub.LeaseKeepAlive(iter([request]), **how), None)

        response = self._store.call(renew, pb.LeaseKeepAliveRequest(ID=lease))
        if response is None:
            raise StoreUnavailable("etcd ended a keep-alive without an answer")
        ttl: int = response.TTL
        return max(ttl, 0)

    def revoke(self, lease: int) -> None:
        """End a lease, and with it its keys."""
        self._store.call(lambda client: client.leasestub.LeaseRevoke, pb.LeaseRevokeRequest(ID=lease))

    def holder(self, key: Key) -> Holder | None:
        """Return who has a key now, by a linearizable read; None: nobody."""
        response = self._store.call(lambda client: client.kvstub.Range, pb.RangeRequest(key=key))
        return _holder(response.kvs[0]) if response.kvs else None

    def take(self, key: Key, value: str, lease: int) -> Holder:
        """Create a key under a lease unless it exists; return who has it then.

        Where the call fails it may have been created.
        """
        absent = pb.Compare(result=pb.Compare.EQUAL, target=pb.Compare.CREATE, key=key, create_revision=0)
        put = pb.RequestOp(request_put=pb.PutRequest(key=key, value=value.encode(), lease=lease))
        read = pb.RequestOp(request_range=pb.RangeRequest(key=key))
        response = self._store.call(
            lambda client: client.kvstub.Txn, pb.TxnRequest(compare=[absent], success=[put], failure=[read])
        )
        if response.succeeded:
            return Holder(value, lease, response.header.revision)
        return _holder(response.responses[0].response_range.kvs[0])


def _holder(kv: Any) -> Holder:
    return Holder(kv.value.decode("utf-8", "replace"), kv.lease, kv.create_revision)
