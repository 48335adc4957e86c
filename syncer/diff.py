"""A plan to read, for people and for machines. Pure."""

import json
from typing import Any

from syncer.endpoint import Endpoint
from syncer.plan import Change, Current, Plan


def diff(planned: Plan) -> list[str]:
    """Return a plan as lines to read: `+` comes, `-` goes, `~` keeps its data and has its keys rewritten."""
    lines: list[str] = []
    for change in planned.changes:
        before, after = change.before, change.after
        old = _lines(change, before, before.resource) if before else []
        new = _lines(change, after, str(after.resource)) if after else []
        moved = [f"- {line}" for line in old if line not in new] + [
            f"+ {line}" for line in new if line not in old
        ]
        if not moved:
            resource = str(after.resource) if after else before.resource if before else ""
            moved = [f"~ {change.name} {change.type} ({resource})"]
        lines += moved
    return lines


def _lines(change: Change, data: Current | Endpoint, resource: str) -> list[str]:
    ttl = f" ttl {data.ttl}" if data.ttl else ""
    group = f" group {data.group}" if data.group else ""
    return [f"{change.name} {change.type} {text}{ttl}{group} ({resource})" for text in data.targets]


def operation(change: Change) -> str:
    """Return what a change does: `create`, `update` or `delete`."""
    if change.after is None:
        return "delete"
    return "update" if change.before is not None and change.before.targets else "create"


def json_lines(planned: Plan) -> list[str]:
    """Return a plan as JSON, an object for each name and type.

    Its fields: operation, name, type; before and after, each null or targets, ttl (seconds, 0: the zone's),
    group and resource.
    """
    return [
        json.dumps(
            {
                "operation": operation(change),
                "name": change.name,
                "type": change.type,
                "before": _data(change.before) if change.before else None,
                "after": _data(change.after) if change.after else None,
            }
        )
        for change in planned.changes
    ]


def _data(data: Current | Endpoint) -> dict[str, Any]:
    resource = str(data.resource)
    return {"targets": list(data.targets), "ttl": data.ttl, "group": data.group, "resource": resource}
