from syncer.endpoint import ObjectRef
from syncer.source.filters import Options
from syncer.source.node import endpoints_of_nodes
from syncer.source.objects import Node


def node(name="n1", **more):
    return Node(ref=ObjectRef("node", "", name), **{"internal": ("10.0.0.1", "2001:db8::1")} | more)


def records(*nodes, **options):
    return {(e.name, e.type): e.targets for e in endpoints_of_nodes(nodes, Options(**options)).endpoints}


def test_a_node_is_at_its_external_addresses_or_else_at_its_internal_ones():
    assert records(node()) == {("n1", "A"): ("10.0.0.1",), ("n1", "AAAA"): ("2001:db8::1",)}
    assert records(node(external=("192.0.2.1",))) == {("n1", "A"): ("192.0.2.1",)}
    both = records(node(external=("192.0.2.1",)), expose_internal_ipv6=True)
    assert both["n1", "AAAA"] == ("2001:db8::1",)


def test_a_cordoned_node_is_left_out_unless_asked_for():
    assert records(node(is_cordoned=True)) == {}
    assert records(node(is_cordoned=True), exclude_unschedulable=False)


def test_the_templates_names_stand_in_place_of_the_nodes_name():
    one = node(templated=("n1.test",))
    assert {name for name, _ in records(one, templates=True)} == {"n1.test"}
    assert {name for name, _ in records(one, templates=True, combine_fqdn_annotation=True)} == {
        "n1",
        "n1.test",
    }
