import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from dnsserver.config import Config

TEXT = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")


def keys(annotation: Any) -> set[str]:
    """Return the keys of all models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        return set(fields).union(*(keys(field.annotation) for field in fields.values()))
    return set().union(*map(keys, get_args(annotation)))


@pytest.mark.parametrize("key", sorted(keys(Config)))
def test_every_key_is_in_the_reference(key):
    assert re.search(rf"[`.]{key}[`.\[]", TEXT)
