"""What has happened to the records of an object, for whoever looks at the object. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, get_args

from syncer.endpoint import Rejection
from syncer.plan import Change

Reason = Literal["RecordReady", "RecordDeleted", "RecordError"]

REASONS: Final[tuple[str, ...]] = get_args(Reason)


class Happening(NamedTuple):
    resource: str
    """The object, as `ingress/default/cheese`."""
    reason: Reason
    message: str


def of_changes(changes: Iterable[Change]) -> Iterator[Happening]:
    """Yield what changes that were carried out mean to the objects they were made for."""
    for change in changes:
        at = f"{change.name} {change.type}"
        if change.after is not None:
            text = f"{at} {','.join(change.after.targets)} is written"
            yield Happening(str(change.after.resource), "RecordReady", text)
        elif change.before is not None and change.before.resource:
            yield Happening(change.before.resource, "RecordDeleted", f"{at} is deleted")


def of_rejections(rejections: Iterable[Rejection]) -> Iterator[Happening]:
    """Yield what is told of things that are not published."""
    for rejection in rejections:
        yield Happening(rejection.resource, "RecordError", rejection.detail)
