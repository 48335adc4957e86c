import pytest

from syncer.endpoint import ObjectRef
from syncer.source.filters import Options
from syncer.source.objects import Node, Service
from syncer.source.service import endpoints_of_services
from tests.syncer.source.surroundings import around

GA = "external-dns.kubernetes.io/"
NODE = Node(ref=ObjectRef("node", "", "n1"), external=("192.0.2.1",), internal=("10.0.0.1", "2001:db8::1"))
INNER = Node(ref=ObjectRef("node", "", "n2"), internal=("10.0.0.2",))
CORDONED = Node(ref=ObjectRef("node", "", "n3"), external=("192.0.2.3",), is_cordoned=True)


def service(type_="LoadBalancer", name="nginx", annotations=None, **more):
    wanted = annotations or {"hostname": "out.test", "internal-hostname": "in.test"}
    ref = ObjectRef("service", "default", name)
    return Service(ref=ref, annotations={GA + k: v for k, v in wanted.items()}, type=type_, **more)


def records(*services, nodes=(NODE, INNER, CORDONED), **options):
    known = around(nodes=nodes)
    derived = endpoints_of_services(services, known, Options(**options))
    return {(e.name, e.type): e.targets for e in derived.endpoints}


def test_a_load_balancer_is_at_its_status_inside_at_its_cluster_address():
    one = service(cluster_ip="10.1.0.1", addresses=("192.0.2.7", "lb.test"))
    assert records(one) == {
        ("out.test", "A"): ("192.0.2.7",),
        ("out.test", "CNAME"): ("lb.test",),
        ("in.test", "A"): ("10.1.0.1",),
    }
    external = service(cluster_ip="10.1.0.1", addresses=("192.0.2.7",), external_ips=("192.0.2.8",))
    assert records(external)["out.test", "A"] == ("192.0.2.8",)


def test_a_cluster_service_is_published_inside_and_outside_on_request():
    one = service("ClusterIP", cluster_ip="10.1.0.1")
    assert records(one) == {("in.test", "A"): ("10.1.0.1",)}
    assert ("out.test", "A") in records(one, publish_internal_services=True)


def test_a_headless_service_has_no_address_of_its_own():
    assert records(service("ClusterIP"), publish_internal_services=True) == {}


def test_a_node_port_is_at_the_nodes_that_are_not_cordoned():
    assert records(service("NodePort")) == {
        ("out.test", "A"): ("192.0.2.1",),
        ("in.test", "A"): ("192.0.2.1",),
    }


def test_without_external_addresses_the_internal_ones_are_taken():
    assert records(service("NodePort"), nodes=(INNER,))["out.test", "A"] == ("10.0.0.2",)


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        ("public", {("a.test", "A"): ("192.0.2.1",)}),
        ("private", {("a.test", "A"): ("10.0.0.1", "10.0.0.2"), ("a.test", "AAAA"): ("2001:db8::1",)}),
    ],
)
def test_access_chooses_the_nodes_addresses(access, expected):
    assert records(service("NodePort", annotations={"hostname": "a.test", "access": access})) == expected


def test_node_ports_are_pending_until_the_nodes_are_known():
    derived = endpoints_of_services([service("NodePort"), service(name="b")], around(), Options())
    assert derived.pending == {"out.test", "in.test"}


@pytest.mark.parametrize("type_", ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
def test_the_target_annotation_wins_over_everything(type_):
    one = service(type_, annotations={"hostname": "a.test", "target": "192.0.2.9"}, cluster_ip="10.1.0.1")
    assert records(one, nodes=None) == {("a.test", "A"): ("192.0.2.9",)}


def test_addresses_of_one_name_are_united_and_the_first_service_gives_the_ttl():
    one = service(name="a", annotations={"hostname": "a.test", "ttl": "60"}, addresses=("192.0.2.1",))
    two = service(name="b", annotations={"hostname": "a.test", "ttl": "90"}, addresses=("192.0.2.2",))
    derived = endpoints_of_services([two, one], [], Options())
    assert [(e.targets, e.ttl, e.resource.name) for e in derived.endpoints] == [
        (("192.0.2.1", "192.0.2.2"), 60, "a")
    ]


def test_filters_leave_services_out():
    one = service(addresses=("192.0.2.1",), cluster_ip="10.1.0.1")
    assert records(one, service_types=frozenset({"ClusterIP"})) == {}
    assert records(one, namespaces=frozenset({"other"})) == {}
    assert set(records(one, ignore_hostname_annotation=True)) == {("in.test", "A")}


def test_a_status_that_is_no_address_is_skipped_with_a_reason():
    derived = endpoints_of_services([service(addresses=("192.0.2.1", "1.2.3"))], [], Options())
    assert [e.targets for e in derived.endpoints] == [("192.0.2.1",)]
    assert str(derived.rejections[0]) == (
        "service/default/nginx: address: '1.2.3' is neither an address nor a host name"
    )
