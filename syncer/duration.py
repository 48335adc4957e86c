"""Durations as Go writes them: `1m`, `1h30m`, `1.5s`, `500ms`. Pure."""

import re
from typing import Final

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(h|ms|m|s|us|µs|μs|ns)")
_WHOLE: Final = re.compile(rf"[+-]?(?:{_PART.pattern})+")


def parse_duration(text: str) -> float:
    """Return the seconds of a Go duration.

    Raises:
        ValueError: not a Go duration; a number without a unit is none, except `0`.
    """
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; expected for example 30s, 1m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return -seconds if text.startswith("-") else seconds
