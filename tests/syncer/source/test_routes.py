"""Gateway routes, from objects as Kubernetes writes them."""

import pytest
import yaml

from syncer.source.filters import Options
from syncer.source.gateway import read_gateway, read_http_route, read_namespace, read_route
from syncer.source.routes import endpoints_of_routes, intersection
from syncer.source.selector import Selector
from tests.syncer.source.surroundings import around

GATEWAY = """
metadata: {name: gw, namespace: infra, labels: {tier: public}}
spec:
  listeners:
  - {name: web, port: 80, protocol: HTTP, hostname: "*.test", allowedRoutes: {namespaces: {from: All}}}
  - {name: tls, port: 443, protocol: TLS, allowedRoutes: {namespaces: {from: All}}}
status: {addresses: [{value: 192.0.2.1}, {value: lb.example}]}
"""
ROUTE = """
metadata: {name: shop, namespace: web, annotations: {external-dns.kubernetes.io/ttl: 1m}}
spec: {hostnames: [shop.test], parentRefs: [{name: gw, namespace: infra}]}
status:
  parents:
  - parentRef: {name: gw, namespace: infra}
    conditions: [{type: Accepted, status: "True"}]
"""


def derive(route=ROUTE, gateway=GATEWAY, kind="HTTPRoute", namespaces="[]", **options):
    gateways = [read_gateway(yaml.safe_load(gateway))]
    known = [read_namespace(each) for each in yaml.safe_load(namespaces)]
    routes = [read_route(kind, yaml.safe_load(route))]
    return endpoints_of_routes(routes, around(gateways=gateways, namespaces=known), Options(**options))


def records(*arguments, **named):
    return {(e.name, e.type): e.targets for e in derive(*arguments, **named).endpoints}


PUBLISHED = {("shop.test", "A"): ("192.0.2.1",), ("shop.test", "CNAME"): ("lb.example",)}


def test_a_route_is_at_the_addresses_of_the_gateway_that_took_it_with_its_own_ttl():
    assert records() == PUBLISHED
    assert {(e.ttl, str(e.resource)) for e in derive().endpoints} == {(60, "httproute/web/shop")}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('status: "True"', 'status: "False"'),
        ("parentRefs: [{name: gw,", "parentRefs: [{name: other,"),
        ("hostnames: [shop.test]", "hostnames: [shop.example]"),
        ("namespace: web,", "namespace: web, labels: {a: b},"),
    ],
)
def test_a_route_that_was_not_taken_or_not_selected_is_not_published(old, new):
    options = {"label_filter": Selector.of("!a")} if "labels" in new else {}
    assert records(ROUTE.replace(old, new), **options) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("HTTP,", "TCP,"),
        ("from: All}}}\n  - {name: tls", "from: None}}}\n  - {name: tls"),
        ("from: All}}}\n  - {name: tls", "from: Same}}}\n  - {name: tls"),
        ("from: All}}}\n  - {name: tls", "from: All}, kinds: [{kind: GRPCRoute}]}}\n  - {name: tls"),
    ],
)
def test_a_listener_takes_only_what_it_allows(old, new):
    assert old in GATEWAY
    assert records(gateway=GATEWAY.replace(old, new)) == {}


def test_a_listener_may_choose_by_the_labels_of_the_namespace():
    selector = "from: Selector, selector: {matchLabels: {dns: yes-please}}"
    gateway = GATEWAY.replace("from: All}}}\n  - {name: tls", selector + "}}}\n  - {name: tls")
    labelled = "[{metadata: {name: web, labels: {dns: yes-please}}}]"
    assert records(gateway=gateway, namespaces=labelled) == PUBLISHED
    assert records(gateway=gateway, namespaces=labelled.replace("web", "db")) == {}


def test_same_means_the_gateways_own_namespace():
    gateway = GATEWAY.replace("namespaces: {from: All}", "namespaces: {}")
    assert records(gateway=gateway) == {}
    assert records(ROUTE.replace("namespace: web", "namespace: infra"), gateway=gateway) == PUBLISHED


def test_section_and_port_choose_a_listener():
    section = ROUTE.replace("name: gw, namespace: infra}", "name: gw, namespace: infra, sectionName: tls}")
    assert records(section) == {}
    assert records(section.replace("sectionName: tls", "port: 81")) == {}
    assert records(section.replace("sectionName: tls", "port: 80")) == PUBLISHED
    assert records(section, kind="TLSRoute") == PUBLISHED


def test_a_route_without_names_answers_to_its_listeners():
    assert set(records(ROUTE.replace("hostnames: [shop.test], ", ""))) == {
        ("*.test", "A"),
        ("*.test", "CNAME"),
    }


def test_the_target_annotation_of_the_gateway_counts_and_the_routes_does_not():
    target = "annotations: {external-dns.kubernetes.io/target: 192.0.2.9}"
    assert records(gateway=GATEWAY.replace("labels:", target + ", labels:")) == {
        ("shop.test", "A"): ("192.0.2.9",)
    }
    assert (
        records(ROUTE.replace("{external-dns.kubernetes.io/ttl: 1m}", target.split(": ", 1)[1])) == PUBLISHED
    )


@pytest.mark.parametrize(
    "options",
    [
        {"gateway_name": "other"},
        {"gateway_namespace": "web"},
        {"gateway_label_filter": Selector.of("tier!=public")},
    ],
)
def test_gateways_can_be_chosen_by_flag(options):
    assert records(**options) == {}


def test_names_are_pending_while_gateways_or_namespaces_are_not_known():
    routes = [read_http_route(yaml.safe_load(ROUTE))]
    derived = endpoints_of_routes(routes, around(namespaces=[]), Options())
    assert (derived.pending, derived.unsettled) == ({"shop.test"}, {"httproute/web/shop"})
    chosen = read_gateway(yaml.safe_load(GATEWAY.replace("from: All", "from: Selector")))
    assert endpoints_of_routes(routes, around(gateways=[chosen]), Options()).pending == {"shop.test"}


@pytest.mark.parametrize(
    ("listener", "route", "shared"),
    [
        ("", "a.test", "a.test"),
        ("*.test", "", "*.test"),
        ("*.test", "A.test", "a.test"),
        ("a.test", "*.test", "a.test"),
        ("*.test", "*.b.test", "*.b.test"),
        ("*.test", "test", ""),
        ("a.test", "b.test", ""),
        ("", "", ""),
    ],
)
def test_a_wildcard_has_in_common_what_is_below_it(listener, route, shared):
    assert intersection(listener, route) == shared
