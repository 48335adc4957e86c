from dataclasses import replace

import pytest

from syncer.endpoint import ObjectRef
from syncer.source.filters import Options
from syncer.source.ingress import endpoints_of_ingresses
from syncer.source.objects import Ingress

GA = "external-dns.kubernetes.io/"


def ingress(name="cheese", annotations=None, **more):
    fields = {"rule_hosts": ("a.test",), "addresses": ("192.0.2.1",)} | more
    ref = ObjectRef("ingress", "default", name)
    return Ingress(ref=ref, annotations={GA + k: v for k, v in (annotations or {}).items()}, **fields)


def records(*ingresses, **options):
    derived = endpoints_of_ingresses(ingresses, Options(**options))
    return {(e.name, e.type, e.targets) for e in derived.endpoints}


def test_hosts_of_rules_tls_and_annotation_get_the_addresses_in_the_status():
    one = ingress(tls_hosts=("b.test",), annotations={"hostname": "c.test"})
    assert records(one) == {(f"{host}.test", "A", ("192.0.2.1",)) for host in "abc"}
    assert records(one, ignore_ingress_rules_spec=True, ignore_ingress_tls_spec=True) == {
        ("c.test", "A", ("192.0.2.1",))
    }
    assert ("c.test", "A", ("192.0.2.1",)) not in records(one, ignore_hostname_annotation=True)


def test_addresses_of_both_families_and_names_become_their_types():
    one = ingress(addresses=("192.0.2.1", "2001:db8::1", "lb.test"))
    assert {type_ for _, type_, _ in records(one)} == {"A", "AAAA", "CNAME"}


def test_the_target_annotation_replaces_the_status():
    assert records(ingress(annotations={"target": "192.0.2.9"})) == {("a.test", "A", ("192.0.2.9",))}
    assert records(ingress(annotations={"target": "010.1.1.1"})) == set()


def test_without_a_status_nothing_is_published():
    assert records(ingress(addresses=())) == set()


def test_a_host_in_several_rules_is_one_record_and_a_wildcard_is_literal():
    assert records(ingress(rule_hosts=("A.test", "a.test", "*.test"))) == {
        ("a.test", "A", ("192.0.2.1",)),
        ("*.test", "A", ("192.0.2.1",)),
    }


def test_addresses_of_one_name_and_ttl_are_united_over_ingresses():
    one, two = ingress("one"), ingress("two", addresses=("192.0.2.2",))
    assert records(one, two) == {("a.test", "A", ("192.0.2.1", "192.0.2.2"))}
    assert endpoints_of_ingresses([two, one], Options()).endpoints[0].resource.name == "one"


def test_different_ttls_stay_apart():
    one, two = ingress("one"), ingress("two", annotations={"ttl": "60"}, addresses=("192.0.2.2",))
    assert records(one, two) == {("a.test", "A", ("192.0.2.1",)), ("a.test", "A", ("192.0.2.2",))}


def test_names_as_targets_are_never_united():
    one, two = ingress("one", addresses=("x.test",)), ingress("two", addresses=("y.test",))
    assert records(one, two) == {("a.test", "CNAME", ("x.test",)), ("a.test", "CNAME", ("y.test",))}


def test_an_alias_of_itself_is_refused():
    derived = endpoints_of_ingresses([ingress(addresses=("a.test",))], Options())
    assert derived.endpoints == ()
    assert derived.rejections[0].detail == "a.test would be an alias of itself"


@pytest.mark.parametrize(
    ("class_name", "annotation", "selected"),
    [("nginx", "", True), ("", "nginx", True), ("other", "nginx", False), ("", "", False)],
)
def test_the_class_is_the_field_or_else_the_annotation(class_name, annotation, selected):
    one = replace(ingress(class_name=class_name), annotations={"kubernetes.io/ingress.class": annotation})
    assert bool(records(one, ingress_classes=frozenset({"nginx"}))) is selected


def test_only_the_namespace_asked_for_counts():
    assert records(ingress(), namespaces=frozenset({"default"}))
    assert not records(ingress(), namespaces=frozenset({"other"}))


def test_one_bad_host_does_not_stop_the_others():
    derived = endpoints_of_ingresses([ingress(rule_hosts=("a..b", "a.test"))], Options())
    assert [e.name for e in derived.endpoints] == ["a.test"]
    assert [str(r) for r in derived.rejections] == [
        "ingress/default/cheese: spec.rules: 'a..b' is no host name: the label ''"
    ]


def test_ttl_and_group_come_from_annotations():
    derived = endpoints_of_ingresses([ingress(annotations={"ttl": "1m", "coredns-group": "g"})], Options())
    assert (derived.endpoints[0].ttl, derived.endpoints[0].group) == (60, "g")
