"""PTR records: CoreDNS reads a reverse name's own key and nothing below it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from dnsserver.skydns.ownership import Ownership, text_of
from syncer.endpoint import Endpoint, ObjectRef
from tests.syncer.registry.test_transactions import Etcd, json_of

REF = ObjectRef("ingress", "default", "web")
AT = "4.3.2.1.in-addr.arpa"
OWN = b"/skydns/arpa/in-addr/1/2/3/4"


def ptr(*targets):
    return Endpoint(name=AT, type="PTR", targets=tuple(sorted(targets)), resource=REF)


def hosts(etcd):
    values = {key: json.loads(value) for key, value in etcd.values().items()}
    return {key: value["host"] for key, value in values.items() if "host" in value}


def test_the_first_name_stands_at_the_own_key_and_the_others_below():
    etcd = Etcd()
    etcd.sync([ptr("b.test", "c.test")])
    found = hosts(etcd)
    assert found.pop(OWN) == "b.test"
    [(key, other)] = found.items()
    assert (key.startswith(OWN + b"/"), other) == (True, "c.test")
    assert json.loads(etcd.values()[OWN]) == {"host": "b.test"}
    etcd.sync([ptr("a.test", "b.test", "c.test")])
    assert hosts(etcd)[OWN] == "a.test"
    etcd.sync([ptr("c.test")])
    assert hosts(etcd) == {OWN: "c.test"}
    etcd.sync([])
    assert etcd.values() == {}


def test_what_external_dns_wrote_is_taken_over():
    text = text_of(Ownership("default", str(REF)))
    etcd = Etcd({OWN: json_of(host="a.test"), OWN[:-1] + b"ptr-4": json_of(text=text)})
    etcd.sync([ptr("a.test")])
    assert hosts(etcd) == {OWN: "a.test"}
    assert etcd.planned([ptr("a.test")])[0].changes == ()
    etcd.sync([])
    assert etcd.values() == {}


def test_a_strangers_record_at_the_own_key_stays():
    by_hand = {OWN: json_of(host="printer.test")}
    etcd = Etcd(by_hand)
    etcd.sync([ptr("a.test")])
    assert etcd.values() == by_hand
    unreadable = {OWN: b"no json"}
    etcd = Etcd(unreadable)
    etcd.sync([ptr("a.test")])
    assert etcd.planned([ptr("a.test")])[0].changes == ()
    etcd.sync([])
    assert etcd.values() == unreadable


names = st.sets(st.sampled_from(["a.test", "b.test", "c.test", "d.test"]), min_size=1)


@given(names, names)
def test_from_any_names_to_any_others_it_converges(first, second):
    etcd = Etcd()
    for wanted in (first, second):
        etcd.sync([ptr(*wanted)])
        assert etcd.planned([ptr(*wanted)])[0].changes == ()
        assert set(hosts(etcd).values()) == wanted
        assert hosts(etcd)[OWN] == min(wanted)
