from pathlib import Path

from dnsserver.config import Config
from tools import reference

TEXT = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")


def test_the_table_of_keys_is_what_the_models_say():
    assert reference.document(TEXT) == TEXT, "run python -m tools.reference"


def test_every_key_says_what_it_means():
    assert [row.key for row in reference.rows(Config) if not row.meaning] == []


def test_every_link_of_the_table_is_of_a_key():
    assert reference.SEE.keys() <= {row.key for row in reference.rows(Config)}
