from hypothesis import given
from hypothesis import strategies as st

from syncer.observation import Observer
from syncer.source.filters import Options
from syncer.source.objects import read_ingress, read_node, read_service
from syncer.source.shaping import Shape
from syncer.source.tenants import Tenants
from syncer.world import World


class Cache:
    def __init__(self, *objects, has_synced=True, becomes_ready=False) -> None:
        self.has_synced, self._becomes_ready = has_synced, becomes_ready
        self.known, self._drained = {}, {}
        for obj in objects:
            self.put(obj)

    @property
    def is_awaited(self):
        return not self.has_synced

    def put(self, obj):
        self.known[obj.ref.namespace, obj.ref.name] = obj

    def items(self):
        return self.known.items()

    def drain(self):
        self.has_synced = self.has_synced or self._becomes_ready
        before, self._drained = self._drained, dict(self.known)
        keys = before.keys() | self.known.keys()
        return [(key, self.known.get(key)) for key in keys if before.get(key) is not self.known.get(key)]


def observer(*worlds, **more):
    made = Observer(Options(), **more)
    for world in worlds:
        made.add(world)
    return made


def ingress(name, hosts, address, namespace="default", created=""):
    hosts = [hosts] if isinstance(hosts, str) else hosts
    kind = "hostname" if "example" in address else "ip"
    return read_ingress(
        {
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created},
            "spec": {"rules": [{"host": host} for host in hosts]},
            "status": {"loadBalancer": {"ingress": [{kind: address}] if address else []}},
        }
    )


def node(name, address):
    addresses = [{"type": "InternalIP", "address": address}]
    return read_node({"metadata": {"name": name}, "status": {"addresses": addresses}})


INGRESS = ingress("cheese", "a.test", "192.0.2.1")
SERVICE = read_service(
    {
        "metadata": {"name": "nginx", "annotations": {"external-dns.kubernetes.io/hostname": "n.test"}},
        "spec": {"type": "NodePort"},
    }
)
NODE = node("n", "10.0.0.1")


def names(seen):
    return {name for name in seen.names() if seen.at(name).endpoints}


def waiting(seen):
    return {(name, resource) for name in seen.names() for resource in seen.at(name).waiting}


def pending(seen):
    return {name for name in seen.names() if seen.at(name).is_pending}


def test_all_worlds_are_seen_together():
    watched = observer(World(ingresses=Cache(INGRESS)), World(services=Cache(SERVICE), nodes=Cache(NODE)))
    seen = watched.look()
    assert names(seen) == seen.touched == {"a.test", "n.test"}
    assert (seen.kinds, seen.unsettled, watched.unseen()) == ({"ingress", "service"}, set(), [])


def test_a_kind_that_has_not_synced_is_unsettled_and_the_other_is_not():
    watched = observer(World(ingresses=Cache(has_synced=False), services=Cache(SERVICE), nodes=Cache(NODE)))
    seen = watched.look()
    assert not seen.settled("ingress/default/cheese")
    assert seen.settled("service/default/nginx")
    assert watched.unseen() == ["ingress"]


def test_what_nothing_asks_for_is_settled_when_everything_else_is():
    half = observer(World(ingresses=Cache(has_synced=False), services=Cache())).look()
    assert not half.settled("crd/default/x")
    assert not half.settled("")
    assert observer(World(ingresses=Cache())).look().settled("crd/default/x")


def test_nodes_that_are_not_known_leave_node_ports_pending_until_they_are():
    nodes = Cache(NODE, has_synced=False)
    watched = observer(World(services=Cache(SERVICE), nodes=nodes))
    seen = watched.look()
    assert (names(seen), pending(seen)) == (set(), {"n.test"})
    assert seen.settled("service/default/nginx")
    assert watched.unseen() == ["node"]
    nodes.has_synced = True
    seen = watched.look()
    assert (names(seen), pending(seen), seen.touched) == ({"n.test"}, set(), {"n.test"})


def test_becoming_ready_while_it_is_looked_at_does_not_look_like_a_deletion():
    seen = observer(World(ingresses=Cache(has_synced=False, becomes_ready=True))).look()
    assert not seen.settled("ingress/default/cheese")


def test_an_object_without_an_address_still_claims_its_names():
    raw = {"metadata": {"name": "cheese"}, "spec": {"rules": [{"host": "a.test"}, {"host": "b.test"}]}}
    seen = observer(World(ingresses=Cache(read_ingress(raw)))).look()
    assert names(seen) == set()
    assert waiting(seen) == {("a.test", "ingress/default/cheese"), ("b.test", "ingress/default/cheese")}


def test_only_what_has_changed_is_touched():
    cache = Cache(INGRESS, ingress("bread", "b.test", "192.0.2.2"))
    watched = observer(World(ingresses=cache))
    watched.look()
    assert watched.look().touched == set()
    cache.put(ingress("bread", "c.test", "192.0.2.2"))
    assert watched.look().touched == {"b.test", "c.test"}


def test_a_change_of_what_it_depends_on_touches_the_service():
    nodes = Cache(NODE)
    watched = observer(World(services=Cache(SERVICE), nodes=nodes, ingresses=Cache(INGRESS)))
    watched.look()
    nodes.put(node("n", "10.0.0.2"))
    seen = watched.look()
    assert (seen.touched, seen.at("n.test").endpoints[0].targets) == ({"n.test"}, ("10.0.0.2",))


REVERSE = Shape(create_ptr=True, managed_types=frozenset({"A", "PTR"}))


def test_a_reverse_name_follows_all_names_that_share_its_address():
    cache = Cache(INGRESS, ingress("bread", "b.test", "192.0.2.1"))
    watched = observer(World(ingresses=cache), shape=REVERSE)
    at = "1.2.0.192.in-addr.arpa"
    assert watched.look().at(at).endpoints[0].targets == ("a.test", "b.test")
    cache.put(ingress("bread", "b.test", "192.0.2.2"))
    seen = watched.look()
    assert seen.touched == {"b.test", at, "2.2.0.192.in-addr.arpa"}
    assert seen.at(at).endpoints[0].targets == ("a.test",)
    del cache.known["default", "cheese"]
    seen = watched.look()
    assert (seen.at(at).endpoints, at in seen.names()) == ((), False)


def test_a_namespace_may_claim_under_its_domains_alone():
    tenants = Tenants.of(["team-a=a.test,team-a=shared.test", "*=open.test"])
    hosts = ("x.a.test", "a.test", "x.shared.test", "x.b.test", "x.open.test")
    mine = ingress("cheese", hosts, "192.0.2.1", namespace="team-a")
    other = ingress("cheese", hosts, "", namespace="team-z")
    seen = observer(World(ingresses=Cache(mine, other)), tenants=tenants).look()
    assert names(seen) == {"x.a.test", "a.test", "x.shared.test"}
    assert waiting(seen) == {("x.open.test", "ingress/team-z/cheese")}
    said = [str(rejection) for found in seen.rejections.values() for rejection in found]
    assert len(said) == 2 + 4
    assert "ingress/team-a/cheese: x.b.test: the namespace may not claim it (--namespace-domains)" in said


def test_a_namespace_that_is_not_listed_may_claim_nothing():
    cheese = ingress("cheese", "x.a.test", "192.0.2.1")
    tenants = Tenants.of(["team-a=a.test"])
    assert names(observer(World(ingresses=Cache(cheese)), tenants=tenants).look()) == set()
    tenants = Tenants.of(["default=a.test"])
    assert names(observer(World(ingresses=Cache(cheese)), tenants=tenants).look()) == {"x.a.test"}


def test_among_tenants_a_name_belongs_to_the_namespace_of_the_oldest_claim_also_while_that_has_no_address():
    tenants = Tenants.of(["*=test"])
    old = ingress("old", "a.test", "", namespace="a", created="2024-01-01T00:00:00Z")
    beside = ingress("beside", "a.test", "192.0.2.2", namespace="a", created="2026-01-01T00:00:00Z")
    thief = ingress("thief", "a.test", "192.0.2.9", namespace="b", created="2025-01-01T00:00:00Z")
    cache = Cache(old, thief)
    watched = observer(World(ingresses=cache), tenants=tenants)
    asked = watched.look().at("a.test")
    assert (asked.endpoints, asked.waiting) == ((), {"ingress/a/old"})
    assert [str(r) for r in asked.rejections] == [
        "ingress/b/thief: a.test is not written: the name is taken by ingress/a/old"
    ]
    cache.put(beside)
    assert watched.look().at("a.test").endpoints[0].targets == ("192.0.2.2",)
    together = observer(World(ingresses=Cache(old, thief, beside))).look()
    assert together.at("a.test").endpoints[0].targets == (*("192.0.2.2", "192.0.2.9"),)


hosts = st.lists(st.sampled_from(["a.test", "b.test", "*.c.test"]), max_size=3)
addresses = st.sampled_from(["", "192.0.2.1", "192.0.2.2", "lb.example"])
made_ingresses = st.builds(
    lambda name, hosts, address, created: ingress(name, hosts, address, created=created),
    st.sampled_from(["one", "two", "three"]),
    hosts,
    addresses,
    st.sampled_from(["", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), made_ingresses),
        st.tuples(st.just("drop"), st.sampled_from(["one", "two", "three"])),
        st.tuples(st.just("node"), st.sampled_from(["10.0.0.1", "10.0.0.2"])),
        st.tuples(st.just("look"), st.none()),
    ),
    max_size=20,
)


@given(steps, st.booleans())
def test_looks_in_between_change_nothing_and_the_untouched_names_stay_as_they_were(happened, are_tenants):
    tenants = Tenants.of(["*=test"]) if are_tenants else None
    world = World(ingresses=Cache(), services=Cache(SERVICE), nodes=Cache(), publishes_nodes=True)
    watched = observer(world, shape=REVERSE, tenants=tenants)
    kept = {}
    for step, what in happened:
        match step:
            case "put":
                world.ingresses.put(what)
            case "drop":
                world.ingresses.known.pop(("default", what), None)
            case "node":
                world.nodes.put(node("n", what))
            case "look":
                seen = watched.look()
                kept |= {name: seen.at(name) for name in seen.touched}
    seen = watched.look()
    kept |= {name: seen.at(name) for name in seen.touched}
    fresh = observer(
        World(
            ingresses=Cache(*world.ingresses.known.values()),
            services=Cache(SERVICE),
            nodes=Cache(*world.nodes.known.values()),
            publishes_nodes=True,
        ),
        shape=REVERSE,
        tenants=tenants,
    ).look()
    assert set(seen.names()) == set(fresh.names())
    assert {n: a for n, a in kept.items() if n in fresh.names()} == {n: fresh.at(n) for n in fresh.names()}
    assert sum(watched.differences(2)) == 0


def test_what_was_overlooked_is_a_difference_and_is_put_right():
    cache = Cache(INGRESS)
    watched = observer(World(ingresses=cache))
    watched.look()
    cache.put(ingress("cheese", "b.test", "192.0.2.1"))
    cache.drain()
    assert watched.look().touched == set()
    assert sum(watched.differences(10)) == 1
    seen = watched.look()
    assert (seen.touched, names(seen)) == ({"a.test", "b.test"}, {"b.test"})
