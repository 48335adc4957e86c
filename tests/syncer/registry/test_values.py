import pytest

from dnsserver.skydns.key import prefix_of
from dnsserver.skydns.record import decode, encode
from syncer.endpoint import Endpoint, ObjectRef
from syncer.plan import plan
from syncer.registry.registry import Registry
from syncer.registry.values import record_of, target_of

REF = ObjectRef("crd", "default", "x")
CASES = [
    ("a.test", "A", "192.0.2.1"),
    ("a.test", "AAAA", "2001:db8::1"),
    ("b.test", "CNAME", "x.test"),
    ("a.test", "MX", "10 mail.test"),
    ("a.test", "MX", "0 mail.test"),
    ("_s._tcp.a.test", "SRV", "0 50 30080 a.test"),
    ("a.test", "TXT", "v=spf1 -all"),
    ("1.2.0.192.in-addr.arpa", "PTR", "a.test"),
]


@pytest.mark.parametrize(("name", "type_", "data"), CASES)
def test_a_target_reads_back_from_its_value(name, type_, data):
    assert target_of(name, decode(encode(record_of(type_, data, ttl=5)))) == (type_, data)


def test_all_types_are_written_once_and_deleted_whole(store, prefix):
    registry = Registry(store, prefix_of(prefix), "default")
    desired = [
        Endpoint(name=n, type=t, targets=(d,), resource=REF) for n, t, d in CASES if d != "0 mail.test"
    ]

    def sync(wanted):
        inventory = registry.read()
        planned = plan(wanted, inventory.current, "default")
        registry.commit(planned, inventory)
        return planned

    assert len(sync(desired).changes) == len(desired)
    assert sync(desired).changes == ()
    sync([])
    assert [entry for page in store.pages(prefix_of(prefix)) for entry in page.entries] == []
