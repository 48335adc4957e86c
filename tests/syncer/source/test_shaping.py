import ipaddress
import re

import pytest

from syncer.endpoint import Endpoint, ObjectRef, Target
from syncer.source.derived import merge
from syncer.source.filters import RegexFilter
from syncer.source.shaping import MANAGED, Shape
from tests.syncer.source.surroundings import published

REF = ObjectRef("service", "default", "web")


def endpoint(name="a.test", type_="A", targets=("192.0.2.1",), **more):
    return Endpoint(name=name, type=type_, targets=tuple(targets), resource=REF, **more)


def records(*endpoints, **flags):
    return {(e.name, e.type): e.targets for e in published(endpoints, Shape(**flags))}


NET = (ipaddress.ip_network("192.0.2.0/24"),)


def test_only_managed_types_are_left():
    assert records(endpoint(), endpoint(type_="SRV", targets=["0 50 1 a.test"])).keys() == {("a.test", "A")}
    assert records(endpoint(), managed_types=frozenset({"SRV"})) == {}


def test_targets_are_chosen_by_net_and_aliases_only_by_leaving_out():
    both = endpoint(targets=("192.0.2.1", "198.51.100.1"))
    alias = endpoint("b.test", "CNAME", ["x.test"])
    assert records(both, alias, target_net_filter=NET) == {("a.test", "A"): ("192.0.2.1",)}
    assert records(both, alias, exclude_target_net=NET) == {
        ("a.test", "A"): ("198.51.100.1",),
        ("b.test", "CNAME"): ("x.test",),
    }
    assert records(endpoint(), exclude_target_net=NET) == {}


def test_forced_targets_replace_all_but_keep_names_and_other_types():
    found = records(
        endpoint(),
        endpoint(type_="AAAA", targets=["2001:db8::1"]),
        default_targets=(Target("A", "203.0.113.1"),),
        force_default_targets=True,
    )
    assert found == {("a.test", "A"): ("203.0.113.1",)}


def test_a_default_ttl_is_for_what_sets_none():
    found = published([endpoint(), endpoint("b.test", ttl=5)], Shape(default_ttl=60))
    assert {e.name: e.ttl for e in found} == {"a.test": 60, "b.test": 5}


def test_reverse_records_gather_the_names_of_an_address_with_their_lowest_ttl():
    everything = [
        endpoint(ttl=60),
        endpoint("b.test", ttl=30),
        endpoint("*.test"),
        endpoint("c.test", "AAAA", ["2001:db8::1"]),
    ]
    shape = Shape(create_ptr=True, managed_types=MANAGED | {"PTR"})
    found = {e.name: (e.targets, e.ttl) for e in published(everything, shape) if e.type == "PTR"}
    assert found["1.2.0.192.in-addr.arpa"] == (("a.test", "b.test"), 30)
    assert len(found) == 2
    assert all(e.type != "PTR" for e in published(everything, Shape(managed_types=MANAGED | {"PTR"})))
    asked = published([endpoint(wants_ptr=True)], Shape(managed_types=MANAGED | {"PTR"}))
    assert sorted(e.type for e in asked) == ["A", "PTR"]


@pytest.mark.parametrize(
    ("include", "exclude", "name", "held"),
    [
        (r"^a\.", None, "a.test", True),
        (r"^a\.", None, "b.test", False),
        (r"test$", r"^b", "b.test", False),
        (None, r"^b", "a.test", True),
    ],
)
def test_expressions_choose_names_and_the_exclusion_is_first(include, exclude, name, held):
    made = RegexFilter(include and re.compile(include), exclude and re.compile(exclude))
    assert made.holds(name) is held


def test_where_addresses_are_united_the_oldest_object_gives_the_ttl_and_the_resource():
    old = ObjectRef("service", "default", "z", "2024-01-01T00:00:00Z")
    young = ObjectRef("service", "default", "a", "2025-01-01T00:00:00Z")
    both = [
        Endpoint(name="a.test", type="A", targets=("192.0.2.1",), ttl=5, resource=young),
        Endpoint(name="a.test", type="A", targets=("192.0.2.2",), ttl=9, resource=old),
    ]
    [united] = merge(both, across_ttls=True)
    assert (united.targets, united.ttl, united.resource) == (("192.0.2.1", "192.0.2.2"), 9, old)
    assert len(merge(both, across_ttls=False)) == 2


def test_what_is_reached_through_a_translator_has_its_ipv4_address_too():
    nat64 = (ipaddress.ip_network("64:ff9b::/96"),)
    both = endpoint(type_="AAAA", targets=("64:ff9b::c000:205", "2001:db8::1"))
    assert records(both, nat64_networks=nat64) == {
        ("a.test", "AAAA"): ("64:ff9b::c000:205", "2001:db8::1"),
        ("a.test", "A"): ("192.0.2.5",),
    }
    assert records(both, endpoint(), nat64_networks=nat64)["a.test", "A"] == ("192.0.2.1", "192.0.2.5")
    assert ("a.test", "A") not in records(both)
