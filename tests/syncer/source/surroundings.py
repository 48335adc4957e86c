from syncer.desired import Desired, ObjectKey
from syncer.source.around import Around
from syncer.source.derived import Derived
from syncer.source.shaping import Shape
from syncer.source.tenants import Tenants


def around(**objects) -> Around:
    """An Around that knows these objects, by the attribute they are looked up with, and no other kinds."""
    kinds = {"nodes": "node", "slices": "endpointslice", "pods": "pod"}
    kinds |= {"gateways": "gateway", "namespaces": "namespace", "hosts": "host"}
    known = {kinds[name] for name, items in objects.items() if items is not None}
    made = Around(lambda kind: kind in known)
    for name, items in objects.items():
        for number, item in enumerate(items or ()):
            getattr(made, name).take(("", str(number)), item)
    return made


def published(endpoints, shape=None) -> list:
    """What is published of these endpoints of one source."""
    desired = Desired(lambda source: True, shape or Shape(), Tenants())
    desired.take(ObjectKey(0, "", ""), Derived(tuple(endpoints)))
    desired.take_touched()
    return [endpoint for name in sorted(desired.names) for endpoint in desired.at(name).endpoints]
