import pytest

from syncer.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m", 60),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("500ms", 0.5),
        (".5s", 0.5),
        ("0", 0),
        ("+60s", 60),
        ("-1s", -1),
    ],
)
def test_go_durations_are_seconds(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "60", "1d", " 1m", "1m ", "m", "1m30", "1,5s", "one"])
def test_what_go_refuses_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)
