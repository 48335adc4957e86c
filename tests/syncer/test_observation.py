from syncer.observation import World, observe, unseen
from syncer.source.filters import Options
from syncer.source.objects import read_ingress, read_node, read_service


class Cache:
    def __init__(self, *objects, has_synced=True, becomes_ready=False) -> None:
        self._objects, self.has_synced, self._becomes_ready = objects, has_synced, becomes_ready

    @property
    def is_awaited(self):
        return not self.has_synced

    def objects(self):
        self.has_synced = self.has_synced or self._becomes_ready
        return self._objects


INGRESS = read_ingress(
    {
        "metadata": {"name": "cheese"},
        "spec": {"rules": [{"host": "a.test"}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    }
)
SERVICE = read_service(
    {
        "metadata": {"name": "nginx", "annotations": {"external-dns.kubernetes.io/hostname": "n.test"}},
        "spec": {"type": "NodePort"},
    }
)
NODE = read_node(
    {"metadata": {"name": "n"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}}
)


def names(observation):
    return {endpoint.name for endpoint in observation.endpoints}


def test_all_worlds_are_seen_together():
    worlds = [World(ingresses=Cache(INGRESS)), World(services=Cache(SERVICE), nodes=Cache(NODE))]
    seen = observe(worlds, Options())
    assert names(seen) == {"a.test", "n.test"}
    assert (seen.kinds, seen.unsettled, unseen(worlds)) == ({"ingress", "service"}, set(), [])


def test_a_kind_that_has_not_synced_is_unsettled_and_the_other_is_not():
    worlds = [World(ingresses=Cache(has_synced=False), services=Cache(SERVICE), nodes=Cache(NODE))]
    seen = observe(worlds, Options())
    assert not seen.settled("ingress/default/cheese")
    assert seen.settled("service/default/nginx")
    assert unseen(worlds) == ["ingress"]


def test_what_nothing_asks_for_is_settled_when_everything_else_is():
    half = observe([World(ingresses=Cache(has_synced=False), services=Cache())], Options())
    assert not half.settled("crd/default/x")
    assert not half.settled("")
    assert observe([World(ingresses=Cache())], Options()).settled("crd/default/x")


def test_nodes_that_are_not_known_leave_node_ports_pending_and_services_settled():
    worlds = [World(services=Cache(SERVICE), nodes=Cache(has_synced=False))]
    seen = observe(worlds, Options())
    assert (names(seen), seen.pending) == (set(), {"n.test"})
    assert seen.settled("service/default/nginx")
    assert unseen(worlds) == ["node"]


def test_becoming_ready_while_it_is_looked_at_does_not_look_like_a_deletion():
    seen = observe([World(ingresses=Cache(has_synced=False, becomes_ready=True))], Options())
    assert not seen.settled("ingress/default/cheese")


def test_an_object_without_an_address_still_claims_its_names():
    raw = {"metadata": {"name": "cheese"}, "spec": {"rules": [{"host": "a.test"}, {"host": "b.test"}]}}
    seen = observe([World(ingresses=Cache(read_ingress(raw)))], Options())
    assert seen.endpoints == ()
    assert seen.waiting == {("a.test", "ingress/default/cheese"), ("b.test", "ingress/default/cheese")}
