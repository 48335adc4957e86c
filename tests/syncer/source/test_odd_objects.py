"""Whatever Gateways, routes, DNSEndpoints, slices and Pods hold, nothing but a rejection comes of it."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from syncer.source.crd import endpoints_of_dns_endpoints, read_dns_endpoint
from syncer.source.filters import Options
from syncer.source.gateway import read_gateway, read_http_route, read_namespace
from syncer.source.node import endpoints_of_nodes
from syncer.source.objects import read_node, read_pod, read_slice
from syncer.source.routes import endpoints_of_routes
from syncer.source.shaping import Shape
from tests.syncer.source.surroundings import around, published
from tests.syncer.source.test_headless import PODS, SLICES
from tests.syncer.source.test_objects import anything
from tests.syncer.source.test_routes import GATEWAY, ROUTE

WHOLE = [
    yaml.safe_load(GATEWAY.replace("from: All", "from: Selector, selector: {matchLabels: {a: b}}")),
    yaml.safe_load(GATEWAY),
    yaml.safe_load(ROUTE),
    *yaml.safe_load(SLICES),
    *yaml.safe_load(PODS),
    {
        "metadata": {"name": "x"},
        "spec": {
            "endpoints": [{"dnsName": "a.test", "recordType": "A", "recordTTL": 5, "targets": ["192.0.2.1"]}]
        },
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
    },
]


def paths(value, at=()):
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from paths(part, (*at, key))


def spoilt(value, at, by):
    if not at:
        return by
    if isinstance(value, dict):
        return value | {at[0]: spoilt(value[at[0]], at[1:], by)}
    return [spoilt(part, at[1:], by) if number == at[0] else part for number, part in enumerate(value)]


@st.composite
def objects(draw):
    whole = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 2))):
        whole = spoilt(whole, draw(st.sampled_from(list(paths(whole)))), draw(anything))
    return whole


@given(st.lists(objects(), min_size=1, max_size=3))
def test_an_object_with_any_field_spoilt_is_read_as_far_as_it_goes(raws):
    options = Options()
    routes = [read_http_route(raw) for raw in (*raws, *WHOLE)]
    known = around(
        gateways=[read_gateway(raw) for raw in (*WHOLE, *raws)],
        namespaces=[read_namespace(raw) for raw in raws],
    )
    found = [
        endpoints_of_routes(routes, known, options),
        endpoints_of_dns_endpoints([read_dns_endpoint(raw) for raw in raws], options),
        endpoints_of_nodes([read_node(raw) for raw in raws], options),
    ]
    for raw in raws:
        read_pod(raw)
        read_slice(raw)
    everything = [endpoint for derived in found for endpoint in derived.endpoints]
    published(everything, Shape(create_ptr=True, managed_types=frozenset({"A", "PTR"})))
