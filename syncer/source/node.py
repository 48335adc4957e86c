"""Nodes → endpoints: the node's name, or the template's, at its addresses. Pure."""

from collections.abc import Iterable, Iterator

from syncer.endpoint import Endpoint, Rejection, host_name
from syncer.source.annotations import read_wishes
from syncer.source.derived import Derived, derived, endpoints_for, usable_targets
from syncer.source.filters import Options, exclusion
from syncer.source.node_port import external_of
from syncer.source.objects import Node


def endpoints_of_nodes(nodes: Iterable[Node | Rejection], options: Options) -> Derived:
    """Return what nodes ask for: their external addresses, or the internal ones of a node without any."""
    parts = (part for node in nodes for part in _endpoints_of(node, options))
    return derived(parts, across_ttls=True)


def exclusion_of_node(node: Node, options: Options) -> str:
    """Return which filter leaves a node out; empty: none."""
    if node.is_cordoned and options.exclude_unschedulable:
        return "it is cordoned, and --exclude-unschedulable is on"
    return exclusion(node, options)


def _endpoints_of(node: Node | Rejection, options: Options) -> Iterator[Endpoint | Rejection]:
    if isinstance(node, Rejection):
        yield node
        return
    if exclusion_of_node(node, options):
        return
    wishes = read_wishes(node.annotations, node.ref, options.annotation_prefixes)
    if wishes.is_ignored:
        return
    yield from node.faults
    yield from wishes.faults
    targets = wishes.targets
    if targets is None:
        texts = external_of(node, options) if node.external else node.internal
        found, faults = usable_targets(texts, node.ref, "status.addresses")
        yield from faults
        targets = tuple(found)
    names = node.templated
    if not options.templates or options.combine_fqdn_annotation:
        try:
            names = (host_name(node.ref.name), *names)
        except ValueError as error:
            yield Rejection(str(node.ref), "hostname", str(error))
    yield from endpoints_for(dict.fromkeys(names), targets, wishes, node.ref)
