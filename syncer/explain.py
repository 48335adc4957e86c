"""What one object publishes and where, or which rule keeps it from being published: `syncer explain`."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from dnsserver.skydns.connection import Compacted, StoreUnavailable
from dnsserver.skydns.store import MAX_OPERATIONS, Store
from syncer.config import Config
from syncer.endpoint import Endpoint, Rejection
from syncer.kube.client import connect
from syncer.observation import Observation, Observer
from syncer.plan import plan
from syncer.registry.inventory import Inventory, take_inventory
from syncer.registry.transactions import transactions
from syncer.source.annotations import read_wishes
from syncer.source.derived import Derived
from syncer.source.filters import Options, exclusion
from syncer.source.ingress import exclusion_of_ingress
from syncer.source.node import exclusion_of_node
from syncer.source.service import exclusion_of_service
from syncer.worlds import Worlds

SEEN_TIMEOUT: Final = 60.0
"""Seconds in which all objects are to be seen."""

HELP: Final = """\
usage: syncer explain KIND/NAMESPACE/NAME [the flags that syncer runs with]

Says what an object publishes (records, keys, ttl, owner), or why nothing. It reads the same sources and etcd
once, with the same flags and variables, and writes nothing.

  syncer explain ingress/default/cheese --source=ingress
  syncer explain service/web/nginx --source=service --domain-filter=k8s.local
  syncer explain ingress/default/cheese --source=manifests --manifests=config/examples
  syncer explain node//worker-1 --source=node

Kinds: ingress, service, node, crd (DNSEndpoint), httproute, grpcroute, tlsroute.
"""

_EXCLUSIONS: Final[Mapping[str, Callable[[Any, Options], str]]] = {
    "ingress": exclusion_of_ingress,
    "service": exclusion_of_service,
    "node": exclusion_of_node,
}


async def explain(config: Config, resource: str) -> tuple[list[str], bool]:
    """Return what there is to say about an object, and whether there is one.

    Raises:
        ClientError: there is no way to reach an API.
    """
    observer = Observer(config.options, config.shape, config.tenants)
    async with AsyncExitStack() as stack:
        observation = await _observed(config, observer, stack)
    lines = [f"not every {kind} could be seen" for kind in observer.unseen()]
    obj = observer.kept(resource)
    if obj is None:
        return [*lines, f"{resource}: {_why_unknown(config, resource)}"], False
    if isinstance(obj, Rejection):
        return [*lines, str(obj)], True
    lines.append(f"{resource}:")
    if why := _exclusion(resource, obj, config.options):
        return [*lines, f"  nothing is published: {why}"], True
    part = observer.part(resource)
    lines += [f"  not published: {rejection.detail}" for rejection in part.rejections]
    if not (names := _names(part)):
        return [*lines, "  it asks for no name that could be published"], True
    inventory, fault = await asyncio.to_thread(_inventory, config)
    lines += [f"  {fault}"] if fault else []
    for name in sorted(names):
        lines += (f"  {line}" for line in _about(name, part, observation, inventory, config))
    return lines, True


async def _observed(config: Config, observer: Observer, stack: AsyncExitStack) -> Observation:
    changed = asyncio.Event()
    worlds = Worlds(config, changed.set)
    if config.manifests is not None:
        await worlds.open_manifests(config.manifests)
    if config.sources != {"manifests"}:
        client = await connect(
            kubeconfig=config.kubeconfig,
            server=config.server,
            in_cluster=config.in_cluster,
            request_timeout=config.request_timeout,
        )
        stack.push_async_callback(client.close)
        worlds.open_api(client)
    for world in worlds.all:
        observer.add(world)
    watches = [asyncio.ensure_future(watch()) for watch in worlds.watches]
    try:
        observation = observer.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(SEEN_TIMEOUT if config.sources != {"manifests"} else 0):
                while observer.unseen():
                    await changed.wait()
                    changed.clear()
                    observation = observer.look()
        return observation
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


def _inventory(config: Config) -> tuple[Inventory, str]:
    """Return what etcd holds, and what is wrong with it."""
    store = Store(config.etcd)
    try:
        entries = [entry for page in store.pages(config.prefix) for entry in page.entries]
        return take_inventory(entries, config.prefix, config.owner_id, config.convention), ""
    except (StoreUnavailable, Compacted) as error:
        empty = take_inventory([], config.prefix, config.owner_id, config.convention)
        return empty, f"etcd is not available ({error}); what it holds is not known"
    finally:
        store.close()


def _why_unknown(config: Config, resource: str) -> str:
    kind, _, rest = resource.partition("/")
    namespace = rest.partition("/")[0]
    sources = config.manifest_sources if "manifests" in config.sources else config.sources
    source = f"gateway-{kind}" if kind.endswith("route") else kind
    if source not in sources | config.sources:
        return f"{source} is not among the sources ({', '.join(sorted(config.sources))})"
    if config.options.namespaces and namespace not in config.options.namespaces:
        return f"the namespace is none of --namespace ({', '.join(sorted(config.options.namespaces))})"
    return "there is no such object"


def _exclusion(resource: str, obj: Any, options: Options) -> str:
    if why := _EXCLUSIONS.get(resource.partition("/")[0], exclusion)(obj, options):
        return why
    if read_wishes(obj.annotations, obj.ref, options.annotation_prefixes).is_ignored:
        return "its annotation controller names another controller"
    return ""


def _names(part: Derived) -> set[str]:
    return {e.name for e in part.endpoints} | {name for name, _ in part.waiting} | part.pending


def _about(
    name: str, part: Derived, observation: Observation, inventory: Inventory, config: Config
) -> Iterator[str]:
    """Yield what becomes of one name that the object asks for."""
    if not config.domain_filter.holds(name):
        yield f"{name}: outside of the domains that may be written (--domain-filter and the like)"
        return
    asked = observation.at(name)
    if asked.is_pending or name in part.pending:
        yield f"{name}: objects that its addresses depend on are not known yet"
        return
    if any(claimed == name for claimed, _ in part.waiting):
        yield f"{name}: the object has no address for it; what is in etcd stays for --deletion-grace"
    types = {endpoint.type for endpoint in asked.endpoints}
    for type_ in sorted({e.type for e in part.endpoints if e.name == name} - types):
        managed = type_ in config.shape.managed_types
        why = "no target is left by the net filters" if managed else "not among --managed-record-types"
        yield f"{name} {type_}: {why}" if not asked.rejections else f"{name} {type_}: not written"
    planned = plan(
        asked.endpoints,
        inventory.at(name).current,
        config.owner_id,
        config.policy,
        settled=observation.settled,
    )
    rejections = (*asked.rejections, *planned.rejections)
    yield from (f"not published: {rejection}" for rejection in rejections)
    refused = {r.detail.partition(" is not written")[0] for r in planned.rejections}
    changes = {change.type: change for change in planned.changes}
    for endpoint in asked.endpoints:
        if _shown(endpoint) in refused or f"{name} {endpoint.type}" in refused:
            continue
        ttl = f" ttl {endpoint.ttl}" if endpoint.ttl else ""
        yield f"{name} {endpoint.type} {', '.join(endpoint.targets)}{ttl} owner {config.owner_id}"
        if endpoint.type not in changes:
            held = inventory.holding(name, endpoint.type)
            yield from (f"  {key.key.decode()} is there" for key in (*held.hosts, *held.texts))
    for txn in transactions(planned, inventory, MAX_OPERATIONS):
        yield from (f"  {k.decode()} {v.decode()} is to be written" for k, v in sorted(txn.puts.items()))
        yield from (f"  {key.decode()} is to be deleted" for key in sorted(txn.deletes))


def _shown(endpoint: Endpoint) -> str:
    return f"{endpoint.name} {endpoint.type} {','.join(endpoint.targets)}"
