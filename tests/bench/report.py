"""Results as docs/performance.md shows them: tables between two marks, and a plot."""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.results import BASE, PLAIN, Results, Row
from tests.bench.servers import ROOT, BenchError
from tests.bench.workload import Mix

PAGE: Final = ROOT / "docs" / "performance.md"
PLOT: Final = ROOT / "docs" / "performance.png"

BEGIN: Final = "<!-- results: python -m tests.bench --write -->\n"
END: Final = "<!-- end of results -->\n"

NAMES: Final = {
    "dnsserver": "dnsserver",
    PLAIN: "plain dnsserver",
    "floor": "floor (C echo)",
    "knot": "Knot",
    "nsd": "NSD",
    "bind": "BIND",
    "coredns": "CoreDNS",
}

OURS: Final = ("dnsserver", PLAIN)

COLOURS: Final = {
    "dnsserver": "#d1495b",
    "floor": "#9aa5b1",
    "knot": "#2e4057",
    "nsd": "#00798c",
    "bind": "#edae49",
    "coredns": "#66a182",
}


def write(results: Results) -> None:
    """Bring the page and the plot to the results.

    Raises:
        BenchError: the page has no place for them, or matplotlib is missing.
    """
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{PAGE.name} has no lines {BEGIN.strip()} and {END.strip()}")
    plot(results, PLOT)
    PAGE.write_text(before + begin + tables(results) + end + after)


def tables(results: Results) -> str:
    """Return what was measured, as Markdown."""
    origin = "; ".join(f"{what} {text}" for what, text in results.about.items())
    parts = [
        f"\nOne run: {origin}.\n\n",
        "CPU time of a response, µs, and as a ratio to Knot's, medians of all rounds; of ours the least and "
        "the largest ratio too, and with settings of a mix the one to the plain dnsserver's:\n\n",
        _table(results, lambda row: _cpu(results, row), with_target=True),
        "\nResponses a second, as many as came while the load generator had the other core:\n\n",
        _table(results, lambda row: f"{row.rate:,}"),
        "\nLatency at half of that rate, 50th and 99th percentile, ms; queries lost in all rounds:\n\n",
        _table(results, _latency),
        _delays(results),
        f"\n![CPU time per response, as a ratio to Knot's]({PLOT.name})\n\n",
    ]
    return "".join(parts)


def _cpu(results: Results, row: Row) -> str:
    told = []
    if row.server != BASE and (ratios := results.ratios(row)):
        told.append(f"{median(ratios):.2f}")
        if row.server in OURS and len(ratios) > 1:
            told[-1] += f"; {min(ratios):.2f}–{max(ratios):.2f}"
    if row.server == OURS[0] and (plain := results.ratio(row, PLAIN)):
        told.append(f"plain × {plain:.2f}")
    return f"{row.cost:.2f}" + (f" ({'; '.join(told)})" if told else "")


def _latency(row: Row) -> str:
    times = "" if row.p50 is None else f"{row.p50:.2f}, {row.p99:.2f}"
    return times + (f"; {row.lost} lost" if row.lost else "")


def _table(results: Results, cell: Callable[[Row], str], *, with_target: bool = False) -> str:
    servers = [server for server in NAMES if server in results.servers]
    heads = ["mix", *(["wanted"] if with_target else []), *(NAMES[server] for server in servers)]
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)]]
    for mix, rows in results.measured():
        made = max(row.updates for row in rows.values())
        line = [mix.what + (f" ({made:.0f} made)" if made else "")]
        if with_target:
            line.append(f"≤ {mix.target:.2f}" if mix.target else "")
        lines.append(line + [cell(rows[server]) if server in rows else "" for server in servers])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _delays(results: Results) -> str:
    if not results.delays:
        return ""
    lines = "".join(
        f"| {when} | {p50:.2f} | {p99:.2f} | {worst:.2f} |\n"
        for when, (p50, p99, worst) in results.delays.items()
    )
    return (
        "\nFrom etcd's acknowledgement of a change until a response has it, ms:\n\n"
        "| etcd | p50 | p99 | worst |\n| --- | --: | --: | --: |\n" + lines
    )


def plot(results: Results, file: Path) -> None:
    """Draw the CPU time per response of each server and mix, as a ratio to Knot's.

    Raises:
        BenchError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BenchError("missing matplotlib: uv sync --inexact --group bench") from None
    measured = [(mix, rows) for mix, rows in results.measured() if BASE in rows]
    figure = Figure(figsize=(9, 0.42 * len(measured) + 1.6), layout="constrained")
    axes = figure.add_subplot()
    for server, colour in COLOURS.items():
        points = [
            (results.ratio(rows[server]), -at) for at, (_, rows) in enumerate(measured) if server in rows
        ]
        if points:
            own = server == "dnsserver"
            axes.scatter(
                *zip(*points, strict=True),
                s=90 if own else 46,
                color=colour,
                marker="D" if own else "o",
                label=NAMES[server],
                zorder=3 if own else 2,
                edgecolors="white",
                linewidths=0.8,
            )
    for at, (mix, _) in enumerate(measured):
        if mix.target:
            axes.plot([mix.target] * 2, [-at - 0.38, -at + 0.38], color="#d1495b", linewidth=1.6, zorder=1)
    _label(axes, [mix for mix, _ in measured], results)
    figure.savefig(file, dpi=150, bbox_inches="tight", pad_inches=0.15)


def _label(axes, mixes: list[Mix], results: Results) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in (0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10, 20) if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.axvline(1, color=COLOURS[BASE], linewidth=0.8, zorder=0)
    axes.set_yticks([-at for at in range(len(mixes))], [mix.what for mix in mixes])
    axes.set_ylim(-len(mixes) + 0.4, 0.6)
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(
        "CPU time per response, ratio to Knot's (log scale); less is better; bars: what is wanted"
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, 1.12), ncols=6, frameon=False, handletextpad=0.2)
