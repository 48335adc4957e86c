from pathlib import Path

import pytest
from pydantic import BaseModel

from dnsserver.config import Config
from dnsserver.config.load import _model_in

TEXT = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")


def keys(model: type[BaseModel]) -> list[str]:
    found = []
    for key, field in model.model_fields.items():
        found.append(key)
        try:
            found += keys(_model_in(field.annotation))
        except (StopIteration, TypeError):
            continue
    return found


@pytest.mark.parametrize("key", sorted(set(keys(Config))))
def test_every_key_is_in_the_reference(key):
    assert f"`{key}`" in TEXT or f".{key}`" in TEXT
