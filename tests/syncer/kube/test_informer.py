from syncer.kube.informer import Informer, OnDemand, Union


def informer(*names):
    made = Informer(lambda raw: raw["metadata"]["name"], lambda: None)
    if names:
        made.replace([made.read({"metadata": {"name": name, "namespace": name}}) for name in names])
    return made


def test_what_nobody_asks_for_is_neither_begun_nor_awaited():
    started = []
    one = OnDemand(informer(), lambda: started.append(1))
    assert (one.is_awaited, started) == (False, [])
    assert not one.has_synced
    assert not one.has_synced
    assert (one.is_awaited, started) == (True, [1])


def test_several_namespaces_are_known_when_each_is():
    half = Union([informer("a"), informer()])
    assert (half.has_synced, half.is_awaited) == (False, True)
    whole = Union([informer("a"), informer("b", "c")])
    assert (whole.has_synced, whole.is_awaited, sorted(obj for _, obj in whole.items())) == (
        True,
        False,
        ["a", "b", "c"],
    )


def test_asking_whether_all_is_known_begins_each_part():
    started = []
    parts = [OnDemand(informer(), lambda n=n: started.append(n)) for n in (1, 2)]
    assert not Union(parts).has_synced
    assert started == [1, 2]


def raw(name, version=1):
    return {"metadata": {"name": name, "namespace": "x"}, "version": version}


def test_changes_are_drained_once_each_with_the_object_as_it_is_now():
    made = Informer(lambda item: item["version"], lambda: None)
    made.replace([made.read(raw("a")), made.read(raw("b"))])
    assert dict(made.drain()) == {("x", "a"): 1, ("x", "b"): 1}
    made.apply(raw("a", 2))
    made.apply(raw("a", 3))
    made.apply(raw("b", 1))
    made.remove(raw("b"))
    assert dict(made.drain()) == {("x", "a"): 3, ("x", "b"): None}
    made.replace([made.read(raw("c")), made.read(raw("a", 3))])
    made.replace([made.read(raw("c", 2))])
    assert dict(made.drain()) == {("x", "a"): None, ("x", "c"): 2}
    assert list(made.drain()) == []
