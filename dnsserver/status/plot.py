"""Rates as a stacked plot in SVG, and its legend. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from dnsserver.status.markup import Html, element
from dnsserver.status.rates import INTERVAL, KEPT, Sample
from dnsserver.wire import const

WIDTH: Final = 1000
HEIGHT: Final = 220
LEFT: Final = 48
BOTTOM: Final = 22
TOP: Final = 8

SERIES: Final = ("NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "other")
"""From the bottom up; `other` are all the other rcodes."""


def by_series(rates: Mapping[int, float]) -> dict[str, float]:
    """Return rates by rcode added up by series."""
    sums = dict.fromkeys(SERIES, 0.0)
    for rcode, rate in rates.items():
        label = const.RCODES.get(rcode, "other")
        sums[label if label in sums else "other"] += rate
    return sums


def plot(samples: Sequence[Sample]) -> Html:
    """Return the picture of the last minutes, the present at the right."""
    stacks = [by_series(sample.rates) for sample in samples]
    top = _ceiling(max((sum(stack.values()) for stack in stacks), default=0.0))
    step = (WIDTH - LEFT) / (KEPT - 1)
    xs = [WIDTH - (len(stacks) - 1 - index) * step for index in range(len(stacks))]
    drawn: list[Html] = [*_grid(top)]
    base = [0.0] * len(stacks)
    for label in SERIES:
        upper = [below + stack[label] for below, stack in zip(base, stacks, strict=True)]
        if len(xs) > 1 and upper != base:
            there = [f"{x:.1f},{_y(value, top):.1f}" for x, value in zip(xs, upper, strict=True)]
            back = [f"{x:.1f},{_y(value, top):.1f}" for x, value in zip(xs, base, strict=True)]
            drawn.append(element("polygon", points=" ".join(there + back[::-1]), class_=label.lower()))
        base = upper
    title = element("title", "Responses a second, by rcode, over the last five minutes")
    return element("svg", title, *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")


def legend(rates: Mapping[int, float]) -> Html:
    """Return the colours with the present rates."""
    entries = (
        element(
            "li",
            element(
                "svg", element("rect", width="12", height="12", class_=label.lower()), viewBox="0 0 12 12"
            ),
            f"{label} {rate:,.1f}/s",
        )
        for label, rate in by_series(rates).items()
    )
    return element("figcaption", element("ul", *entries))


def _ceiling(value: float) -> float:
    """Return the least of 1, 2, 5, 10, 20, … that is not below a value."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 1 else 1.0
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)


def _grid(top: float) -> list[Html]:
    drawn = []
    for part in (0.0, 0.5, 1.0):
        y = f"{_y(part * top, top):.1f}"
        drawn += [
            element("line", x1=LEFT, x2=WIDTH, y1=y, y2=y, class_="grid"),
            element(
                "text", f"{part * top:,g}", x=LEFT - 6, y=y, text_anchor="end", dominant_baseline="middle"
            ),
        ]
    for minute in range(1, int(KEPT * INTERVAL // 60)):
        x = f"{WIDTH - minute * 60 / INTERVAL * (WIDTH - LEFT) / (KEPT - 1):.1f}"
        drawn.append(element("text", f"-{minute} min", x=x, y=HEIGHT - 6, text_anchor="middle"))
    return drawn
