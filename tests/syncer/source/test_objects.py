from hypothesis import given
from hypothesis import strategies as st

from syncer.endpoint import Rejection
from syncer.source.filters import Options
from syncer.source.ingress import endpoints_of_ingresses
from syncer.source.objects import read_ingress, read_node, read_pod, read_service, read_slice
from syncer.source.service import endpoints_of_services
from tests.syncer.source.surroundings import around

scalars = st.none() | st.booleans() | st.integers(-5, 99999) | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
GA = "external-dns.kubernetes.io/"
annotations = st.dictionaries(
    st.sampled_from(
        [GA + key for key in ("hostname", "internal-hostname", "target", "ttl", "access", "controller")]
    ),
    anything | st.sampled_from(["a.test", "a.test,,", "60", "192.0.2.1"]),
)


def loosely(**fields):
    return st.fixed_dictionaries({}, optional={key: value | anything for key, value in fields.items()})


names = st.sampled_from(["cheese", "cheese", "cheese", "UPPER", "a,external-dns/owner=x", ""])
metadata = st.fixed_dictionaries({"name": names}, optional={"namespace": names, "annotations": annotations})
entries = st.lists(loosely(ip=st.just("192.0.2.1"), hostname=st.just("lb.test")) | anything, max_size=3)
status = loosely(loadBalancer=loosely(ingress=entries), addresses=entries)
ingress_spec = loosely(
    rules=st.lists(loosely(host=st.just("a.test")) | anything, max_size=3),
    tls=st.lists(loosely(hosts=st.lists(st.just("b.test") | anything, max_size=2)), max_size=2),
    ingressClassName=st.just("nginx"),
)
service_spec = loosely(
    type=st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "New"]),
    clusterIP=st.sampled_from(["None", "10.0.0.1"]),
    externalIPs=st.lists(st.just("192.0.2.2") | anything, max_size=2),
)
raws = (
    st.fixed_dictionaries(
        {"metadata": metadata, "spec": ingress_spec | service_spec}, optional={"status": status | anything}
    )
    | loosely(metadata=metadata, spec=ingress_spec, status=status)
    | anything
)


@given(st.lists(raws, max_size=4))
def test_whatever_an_object_holds_reading_it_never_raises(objects):
    options = Options(publish_internal_services=True)
    endpoints_of_ingresses([read_ingress(raw) for raw in objects], options)
    known = around(
        nodes=[read_node(raw) for raw in objects],
        slices=[read_slice(raw) for raw in objects],
        pods=[read_pod(raw) for raw in objects],
    )
    endpoints_of_services([read_service(raw) for raw in objects], known, options)


def test_fields_of_the_wrong_type_are_named_and_the_rest_is_read():
    ingress = read_ingress(
        {
            "metadata": {"name": "cheese", "annotations": {"a": 1, "b": "2"}},
            "spec": {"rules": [{"host": "a.test"}, {"host": 7}, "x"], "tls": [{"hosts": 5}, {"hosts": None}]},
            "status": None,
        }
    )
    assert not isinstance(ingress, Rejection)
    assert ingress.rule_hosts == ("a.test",)
    assert ingress.annotations == {"b": "2"}
    assert sorted(fault.detail for fault in ingress.faults) == [
        "annotation a: expected a string (write it in quotes), got int",
        "host: expected a string, got int",
        "hosts: expected a list, got int",
        "rules[]: expected an object, got str",
    ]


def test_an_object_whose_name_would_break_the_ownership_text_is_refused():
    refused = read_service({"metadata": {"name": "a,external-dns/owner=x"}})
    assert isinstance(refused, Rejection)
    assert refused.reason == "shape"


def test_the_last_applied_configuration_is_not_kept():
    raw = {
        "metadata": {"name": "a", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}
    }
    service = read_service(raw)
    assert not isinstance(service, Rejection)
    assert service.annotations == {}
