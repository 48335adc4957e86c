import pytest

from syncer.source.selector import Selector

LABELS = {"app": "web", "tier": "front", "n": "5", "x.io/y": ""}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("app", True),
        ("!app", False),
        ("none", False),
        ("!none", True),
        ("app=web", True),
        ("app == web , tier!=back", True),
        ("app!=web", False),
        ("none!=web", True),
        ("app in (db, web)", True),
        ("app notin (db,web)", False),
        ("none notin (db)", True),
        ("none in (db)", False),
        ("n>4,n<6", True),
        ("n>5", False),
        ("app>1", False),
        ("x.io/y=", True),
    ],
)
def test_a_selector_fits_as_in_kubernetes(text, fits):
    assert Selector.of(text).fits(LABELS) is fits


@pytest.mark.parametrize("text", ["=x", "a b", "a in x", "a in (b", ",", "a>b", "!", "a=b=c", "-a=b", "a,,b"])
def test_what_is_no_selector_is_refused(text):
    with pytest.raises(ValueError, match=r"selector|number"):
        Selector.of(text)
