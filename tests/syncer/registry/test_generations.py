"""What ExternalDNS left in etcd, generation by generation, as written-out keys and values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.endpoint import Endpoint, ObjectRef
from syncer.registry.ownership import Convention, Naming
from tests.syncer.registry.test_transactions import Etcd, desires, holdings, stores

REF = ObjectRef("ingress", "default", "web")
OURS = (
    rb'"text":"\"heritage=external-dns,external-dns/owner=default,'
    rb'external-dns/resource=ingress/default/web\""'
)
THEIRS = OURS.replace(b"owner=default", b"owner=them")


def a(name="foo.k8s.local", *targets, type_="A", **more):
    return Endpoint(name=name, type=type_, targets=targets or ("1.2.3.4",), resource=REF, **more)


V0_18 = {
    b"/skydns/local/k8s/foo/3e50afa9": b'{"host":"1.2.3.4","targetstrip":1}',
    b"/skydns/local/k8s/a-foo/1fd148cb": b"{" + OURS + b',"targetstrip":1}',
    b"/skydns/local/k8s/foo/5577006b": b'{"host":"2001:db8::1","ttl":60,"targetstrip":1}',
    b"/skydns/local/k8s/aaaa-foo/0e2ac1a4": b"{" + OURS + b',"targetstrip":1}',
    b"/skydns/local/k8s/bar/2ab3c4d5": b'{"host":"lb.example.net","targetstrip":1,"group":"g1"}',
    b"/skydns/local/k8s/cname-bar/6e1f2a3b": b"{" + OURS + b',"targetstrip":1}',
    b"/skydns/local/k8s/*/11111111": b'{"host":"1.2.3.4","targetstrip":1}',
    b"/skydns/local/k8s/a-*/22222222": b"{" + OURS + b',"targetstrip":1}',
    b"/skydns/local/k8s/33333333": b'{"host":"1.2.3.4","targetstrip":1}',
    b"/skydns/local/a-k8s/44444444": b"{" + OURS + b',"targetstrip":1}',
}
DESIRED = [
    a(),
    a("foo.k8s.local", "2001:db8::1", type_="AAAA", ttl=60),
    a("bar.k8s.local", "lb.example.net", type_="CNAME", group="g1"),
    a("*.k8s.local"),
    a("k8s.local"),
]


def test_what_external_dns_writes_today_is_adopted_and_not_one_key_is_written():
    etcd = Etcd(V0_18)
    assert etcd.planned(DESIRED)[0].changes == ()
    etcd.sync([])
    assert etcd.values() == {}


V0_12 = V0_18 | {
    b"/skydns/local/k8s/foo/3e50afa9": b'{"host":"1.2.3.4",' + OURS + b',"targetstrip":1}',
}


def test_of_0_12_to_0_17_only_the_text_in_the_host_key_goes():
    etcd = Etcd(V0_12)
    etcd.sync(DESIRED)
    assert etcd.values() == V0_18
    assert etcd.revision == 2


V0_5_9 = {b"/skydns/local/k8s/foo/3e50afa9": b'{"host":"1.2.3.4",' + OURS + b',"targetstrip":1}'}


def test_of_0_5_9_to_0_11_the_key_stays_and_the_ownership_gets_one_of_its_own():
    etcd = Etcd(V0_5_9)
    etcd.sync([a()])
    values = etcd.values()
    assert values.pop(b"/skydns/local/k8s/foo/3e50afa9") == b'{"host":"1.2.3.4","targetstrip":1}'
    ((key, value),) = values.items()
    assert key.startswith(b"/skydns/local/k8s/a-foo/")
    assert value == b"{" + OURS + b',"targetstrip":1}'
    assert etcd.planned([a()])[0].changes == ()


def test_texts_that_0_22_left_behind_at_each_update_go_and_the_record_is_not_touched():
    leaked = {
        b"/skydns/local/k8s/a-foo/5%07x" % number: b"{" + OURS + b',"targetstrip":1}' for number in range(9)
    }
    gone = {b"/skydns/local/k8s/a-gone/12345678": b"{" + OURS + b',"targetstrip":1}'}
    etcd = Etcd(V0_18 | leaked | gone)
    etcd.sync(DESIRED)
    assert etcd.values() == V0_18


def test_orphans_of_another_owner_stay():
    theirs = {b"/skydns/local/k8s/a-gone/12345678": b"{" + THEIRS + b',"targetstrip":1}'}
    etcd = Etcd(theirs)
    etcd.sync([])
    assert etcd.values() == theirs


def test_a_bare_key_is_moved_below_its_name_and_what_only_begins_alike_stays():
    neighbour = {b"/skydns/local/k8s/foobar": b'{"host":"1.2.3.9"}'}
    etcd = Etcd({b"/skydns/local/k8s/foo": b'{"host":"1.2.3.4",' + OURS + b"}"} | neighbour)
    etcd.sync([a()])
    values = etcd.values()
    assert b"/skydns/local/k8s/foo" not in values
    assert [v for k, v in values.items() if b"/foo/" in k] == [b'{"host":"1.2.3.4","targetstrip":1}']
    etcd.sync([])
    assert etcd.values() == neighbour


def test_a_mixed_case_key_that_nobody_can_ask_for_is_put_in_lower_case():
    etcd = Etcd(
        {
            b"/skydns/local/k8s/Foo/3e50afa9": b'{"host":"1.2.3.4","targetstrip":1}',
            b"/skydns/local/k8s/a-Foo/1fd148cb": b"{" + OURS + b',"targetstrip":1}',
        }
    )
    etcd.sync([a()])
    assert all(key == key.lower() for key in etcd.values())
    assert len(etcd.values()) == 2
    assert etcd.planned([a()])[0].changes == ()


def strictly(values, owner=b"default"):
    return {key: value[:-1] + b',"owner":"' + owner + b'"}' for key, value in values.items()}


STRICT = Convention(is_strict=True)


def test_strict_ownership_adopts_every_key_in_place_and_then_rests():
    etcd = Etcd(V0_18, STRICT)
    etcd.sync(DESIRED)
    assert etcd.values() == strictly(V0_18)
    assert etcd.planned(DESIRED)[0].changes == ()


def test_strict_ownership_reads_what_external_dns_wrote_strictly():
    assert Etcd(strictly(V0_18), STRICT).planned(DESIRED)[0].changes == ()


def test_strictly_owned_names_may_have_keys_of_several_owners():
    theirs = strictly({k: v.replace(b"=default", b"=them") for k, v in V0_18.items()}, b"them")
    by_hand = {b"/skydns/local/k8s/foo/x1": b'{"host":"9.9.9.9"}'}
    etcd = Etcd(theirs | by_hand, STRICT)
    etcd.sync([a()])
    assert [v for v in etcd.values().values() if b'"owner":"default"' in v and b"host" in v] == [
        b'{"host":"1.2.3.4","targetstrip":1,"owner":"default"}'
    ]
    assert etcd.planned([a()])[0].changes == ()
    etcd.sync([])
    assert etcd.values() == theirs | by_hand


def test_under_strict_ownership_a_strangers_key_beside_a_new_one_of_ours_stays_a_strangers():
    by_hand = {b"/skydns/local/k8s/foo/1a2b3c4d": b'{"host":"1.2.3.4"}'}
    etcd = Etcd(by_hand, STRICT)
    etcd.sync([a()])
    assert etcd.planned([a()])[0].changes == ()
    etcd.sync([])
    assert etcd.values() == by_hand


@given(desires, desires, stores)
def test_under_strict_ownership_runs_converge_and_spare_what_is_not_ours(first, second, before):
    etcd = Etcd(before, STRICT)
    held_by_us = holdings(etcd.inventory())
    ours = {held.key for holding in held_by_us for held in (*holding.hosts, *holding.texts)}
    for desired in (first, second):
        etcd.sync(desired)
        assert etcd.planned(desired)[0].changes == ()
    after = etcd.values()
    assert all(after[key] == value for key, value in before.items() if key not in ours)


def test_migration_rewrites_the_owner_once_and_then_rests():
    old = {key: value.replace(b"owner=default", b"owner=old") for key, value in V0_18.items()}
    etcd = Etcd(old, Convention(migrate_from="old"))
    etcd.sync(DESIRED)
    assert etcd.values() == V0_18
    assert etcd.planned(DESIRED)[0].changes == ()


def test_migration_of_strictly_owned_keys_rewrites_their_field_too():
    old = {k: v.replace(b"owner=default", b"owner=old") for k, v in strictly(V0_18, b"old").items()}
    etcd = Etcd(old, Convention(migrate_from="old", is_strict=True))
    etcd.sync(DESIRED)
    assert etcd.values() == strictly(V0_18)


def test_a_stale_text_of_the_old_owner_does_not_win_over_ours():
    stale = {
        b"/skydns/local/k8s/a-foo/7fffffff": b"{" + OURS.replace(b"=default", b"=old") + b',"targetstrip":1}'
    }
    etcd = Etcd(V0_18 | stale, Convention(migrate_from="old"))
    etcd.sync(DESIRED)
    assert etcd.values() == V0_18


def test_migration_leaves_a_third_owner_alone():
    third = {key: value.replace(b"owner=default", b"owner=third") for key, value in V0_18.items()}
    etcd = Etcd(third, Convention(migrate_from="old"))
    etcd.sync([])
    assert etcd.values() == third


NOOP = Convention(has_texts=False)


def test_without_a_registry_records_have_no_texts_and_every_usual_key_is_ours():
    usual = {b"/skydns/local/k8s/gone/3e50afa9": b'{"host":"1.2.3.4","targetstrip":1}'}
    unusual = {b"/skydns/local/k8s/by-hand": b'{"host":"9.9.9.9"}'}
    etcd = Etcd(usual | unusual, NOOP)
    etcd.sync([a()])
    values = {key: value for key, value in etcd.values().items() if key not in unusual}
    assert list(values.values()) == [b'{"host":"1.2.3.4","targetstrip":1}']
    assert next(iter(values)).startswith(b"/skydns/local/k8s/foo/")
    assert etcd.planned([a()])[0].changes == ()
    etcd.sync([])
    assert etcd.values() == unusual


@given(desires, desires)
def test_without_a_registry_runs_converge_and_write_no_text(first, second):
    etcd = Etcd((), NOOP)
    for desired in (first, second):
        etcd.sync(desired)
        assert etcd.planned(desired)[0].changes == ()
        assert all(b"heritage" not in value for value in etcd.values().values())


NAMINGS = [
    Naming(prefix="_edns."),
    Naming(prefix="own-"),
    Naming(suffix="-own"),
    Naming(prefix="%{record_type}-own-"),
    Naming(wildcard="any"),
    Naming(prefix="x.", wildcard="b"),
]


@given(desires, desires, st.sampled_from(NAMINGS))
def test_runs_converge_and_leave_nothing_behind_with_every_prefix_and_suffix(first, second, naming):
    etcd = Etcd((), Convention(naming=naming))
    for desired in (first, second):
        etcd.sync(desired)
        assert etcd.planned(desired)[0].changes == ()
    etcd.sync([])
    assert etcd.values() == {}


def test_a_star_and_the_label_that_stands_for_it_each_keep_their_ownership():
    etcd = Etcd((), Convention(naming=Naming(wildcard="any")))
    both = [a("*.k8s.local"), a("any.k8s.local")]
    etcd.sync(both)
    assert etcd.planned(both)[0].changes == ()
    etcd.sync(both[:1])
    assert etcd.ours().keys() == {("*.k8s.local", "A")}


def test_a_prefix_over_existing_data_moves_the_texts_and_no_record():
    etcd = Etcd(V0_18, Convention(naming=Naming(prefix="_edns.")))
    etcd.sync(DESIRED)
    values = etcd.values()
    hosts = {key: value for key, value in V0_18.items() if b"host" in value}
    assert hosts.items() <= values.items()
    assert all(b"/_edns/" in key for key in values.keys() - hosts.keys())
    assert etcd.planned(DESIRED)[0].changes == ()


@pytest.mark.parametrize("prefix", ["_edns.", "own-"])
def test_a_prefix_that_is_forgotten_costs_no_ownership_text(prefix):
    etcd = Etcd((), Convention(naming=Naming(prefix=prefix)))
    etcd.sync(DESIRED)
    before = etcd.values()
    etcd.convention = Convention()
    etcd.sync([])
    assert etcd.values() == before
