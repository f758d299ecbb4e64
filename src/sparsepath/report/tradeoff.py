"""Quality against latency of every candidate: the picture the whole run was made for."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from sparsepath.artifacts.schema import Candidate
from sparsepath.report import figure as fig
from sparsepath.report.choice import Group, full_model, group_of, pareto, recommended
from sparsepath.report.html import el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import Section, figure_box, stack, switch

MARKS: dict[Group, tuple[str, str]] = {
    "full": (fig.INK, "diamond"),
    "submodel": (fig.BLUE, "circle"),
    "int8": (fig.SKY, "square"),
    "dynamic": (fig.VERMILION, "triangle-up"),
    "topk": (fig.PURPLE, "pentagon"),
    "ensemble": (fig.PURPLE, "hexagon"),
    "plain": (fig.GREEN, "cross"),
    "check": (fig.GREY, "x"),
}
"""Colour and symbol of every group, the same in each chart."""

_TINY_MS = 1e-3

_PLOT_PIXELS = (820.0, 420.0)
"""About how large the plot is where names are shown."""

_NAME_PIXELS = (72.0, 30.0)
"""About half the size of a name of two lines, with some air."""

_PLACES = ((-80, -74), (70, -74), (-80, 74), (80, 74), (0, -96), (0, 96), (-140, 40), (140, 40))
"""Places of a name, in pixels right and down from its point, the best liked first."""


class _Plot(NamedTuple):
    """What is drawn."""

    items: list[Candidate]
    chosen: Candidate | None
    axis: str
    """Title of the latency axis, as a key of the words."""


def tradeoff(view: View) -> Section | None:
    """The plot of accuracy against latency, near the top and whole."""
    items = view.candidates
    if not items:
        return None
    words = view.words
    plot = _plot(items, recommended(view.results))
    traces = _traces(words, plot)
    near, n_below = _near_range(plot)
    everything = _range([end for item in plot.items for end in item.quality.accuracy_ci95])
    variants = {
        "near": _variant(words, plot, traces, near),
        "all": _variant(words, plot, traces, everything),
    }
    if n_below == 0:
        del variants["near"]
    choices = [(key, words(f"tradeoff.{key}")) for key in variants]
    below = words("tradeoff.below", n=words.integer(n_below)) if n_below else None
    body = stack(
        switch("fig-tradeoff", choices, words("tradeoff.view")) if n_below else None,
        figure_box("fig-tradeoff", 560, words("tradeoff.alt"), 520),
        el("p", below, cls="small") if below else None,
        el("p", words("tradeoff.read"), cls="small"),
    )
    return Section("tradeoff", body, {"fig-tradeoff": fig.Figure(variants, has_tools=True)})


def _plot(items: Sequence[Candidate], chosen: Candidate | None) -> _Plot:
    """Take mean latencies, which do dynamic candidates justice; medians where a mean is missing."""
    if all(item.cost.latency_ms_mean is not None for item in items):
        return _Plot(list(items), chosen, "axis.latency.mean")
    median = {item.name: _with_median(item) for item in items}
    return _Plot(list(median.values()), chosen and median[chosen.name], "axis.latency")


def hover(words: Words, item: Candidate) -> str:
    """What is said about a candidate under the pointer."""
    change, mean = item.relative.accuracy_change_ci95, item.cost.latency_ms_mean
    lines = [
        f"<b>{fig.label(item.name)}</b>",
        f"{words(f'group.{group_of(item)}')} · {item.precision}",
        words(
            "hover.accuracy",
            value=words.percent(item.quality.accuracy),
            interval=words.percent_range(item.quality.accuracy_ci95),
        ),
        words(
            "hover.change",
            value=words.points(item.relative.accuracy_change),
            interval=f" ({words.points_range(change)})" if change else "",
        ),
        words(
            "hover.latency" if mean is None else "hover.latency.mean",
            value=words.milliseconds(item.cost.latency_ms_p50),
            mean="" if mean is None else words.milliseconds(mean),
            p95=words.milliseconds(item.cost.latency_ms_p95),
            speedup=words.times(item.relative.speedup),
        ),
        words("hover.size", value=words.size(item.cost.size_bytes)),
    ]
    if item.shape:
        lines.append(words("hover.layers", n=words.integer(len(item.shape.layers))))
    return "<br>".join(lines)


def scatter(
    words: Words, group: Group, items: Sequence[Candidate], x_values: Sequence[float]
) -> fig.Json:
    """One group's points with intervals and hover texts."""
    colour, symbol = MARKS[group]
    is_hollow = group in {"submodel", "int8"}
    fills: list[Any] = [colour if item.pareto or not is_hollow else "#ffffff" for item in items]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": words(f"group.{group}"),
        "x": list(x_values),
        "y": [item.quality.accuracy for item in items],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [item.quality.accuracy_ci95[1] - item.quality.accuracy for item in items],
            "arrayminus": [item.quality.accuracy - item.quality.accuracy_ci95[0] for item in items],
            "thickness": 1,
            "width": 0,
            "color": fig.faded(colour, 0.4),
        },
        "marker": {
            "symbol": symbol,
            "size": 13 if group in {"full", "dynamic"} else 10,
            "color": fills,
            "line": {"color": colour, "width": 1.8},
        },
        "hovertext": [hover(words, item) for item in items],
        "hoverinfo": "text",
    }


def by_group(items: Sequence[Candidate]) -> dict[Group, list[Candidate]]:
    """Candidates by group, groups in the order of the legend, empty ones left out."""
    found: dict[Group, list[Candidate]] = {group: [] for group in reversed(MARKS)}
    for item in items:
        found[group_of(item)].append(item)
    return {group: members for group, members in found.items() if members}


def _traces(words: Words, plot: _Plot) -> list[fig.Json]:
    chosen = plot.chosen
    front = sorted(pareto(plot.items), key=_latency)
    line: fig.Json = {
        "type": "scatter",
        "mode": "lines",
        "name": words("tradeoff.front"),
        "x": [_latency(item) for item in front],
        "y": [item.quality.accuracy for item in front],
        "line": {"color": fig.faded(fig.BLUE, 0.65), "width": 2.5},
        "hoverinfo": "skip",
    }
    groups = [
        scatter(words, group, members, [_latency(item) for item in members])
        for group, members in by_group(plot.items).items()
    ]
    return [line, *groups, *([_ring(words, chosen)] if chosen else [])]


def _ring(words: Words, chosen: Candidate) -> fig.Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": words("tradeoff.chosen"),
        "x": [_latency(chosen)],
        "y": [chosen.quality.accuracy],
        "marker": {
            "symbol": "circle-open",
            "size": 24,
            "color": fig.VERMILION,
            "line": {"color": fig.VERMILION, "width": 3},
        },
        "hoverinfo": "skip",
    }


def _variant(words: Words, plot: _Plot, traces: list[fig.Json], y_range: list[Any]) -> fig.Variant:
    latencies = [_latency(item) for item in plot.items]
    ticks, texts = fig.log_ticks(latencies)
    x_axis = fig.axis(
        words(plot.axis),
        type="log",
        range=fig.log_range(latencies),
        tickvals=list(ticks),
        ticktext=list(texts),
    )
    y_axis = fig.axis(words("axis.accuracy"), tickformat=".0%", range=y_range)
    if _span(y_range) < 0.05:
        y_axis["tickformat"] = ".1%"
    notes = _notes(words, plot, fig.log_range(latencies), y_range)
    wide = fig.layout(xaxis=x_axis, yaxis=y_axis, annotations=notes)
    wide["margin"] = {"l": 70, "r": 24, "t": 20, "b": 60}
    narrow: fig.Json = {
        "margin": fig.NARROW_MARGIN,
        "annotations": [],
    }
    return fig.Variant(traces, wide, narrow)


def _notes(words: Words, plot: _Plot, x_range: list[float], y_range: list[Any]) -> list[Any]:
    """Names beside the points that matter most, where they cover the fewest others."""

    def pixels(item: Candidate) -> tuple[float, float]:
        right = (math.log10(_latency(item)) - x_range[0]) / (x_range[1] - x_range[0])
        down = (y_range[1] - item.quality.accuracy) / _span(y_range)
        return right * _PLOT_PIXELS[0], down * _PLOT_PIXELS[1]

    full, chosen = full_model(plot.items), plot.chosen
    notes: list[Any] = []
    if chosen:
        text = words("tradeoff.take", name=fig.label(chosen.name, 24, 2))
        place = free_place(pixels(chosen), [pixels(item) for item in plot.items])
        notes.append(_arrow(chosen, text, place))
    if full and full != chosen:
        notes.append(_arrow(full, fig.label(words("name.full"), 24), (0, -44)))
    return notes


def free_place(at: tuple[float, float], points: Sequence[tuple[float, float]]) -> tuple[int, int]:
    """Give the place for a name, from its point, that covers the fewest points.

    Args:
        at: the point that is named, in pixels right and down from the plot's corner.
        points: all points of the plot.
    """

    def n_covered(offset: tuple[int, int]) -> int:
        centre = (at[0] + offset[0], at[1] + offset[1])
        edges = zip(centre, _NAME_PIXELS, _PLOT_PIXELS, strict=True)
        if any(not half <= c <= size - half for c, half, size in edges):
            return len(points) + 1
        return sum(
            all(abs(p - c) <= half for p, c, half in zip(point, centre, _NAME_PIXELS, strict=True))
            for point in points
        )

    return min(_PLACES, key=n_covered)


def _arrow(item: Candidate, text: str, offset: tuple[int, int]) -> fig.Json:
    return {
        "x": math.log10(_latency(item)),
        "y": item.quality.accuracy,
        "text": text,
        "ax": offset[0],
        "ay": offset[1],
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1.2,
        "arrowcolor": fig.GREY,
        "standoff": 12,
        "bgcolor": "rgba(255,255,255,0.92)",
        "bordercolor": "#C9CFDA",
        "borderpad": 4,
        "font": {"size": 14},
    }


def _near_range(plot: _Plot) -> tuple[list[Any], int]:
    """Accuracy range that holds what is worth choosing, and how many points lie below it."""
    items, chosen = plot.items, plot.chosen
    worth = [*pareto(items), *(item for item in items if group_of(item) in {"full", "dynamic"})]
    best = max(item.quality.accuracy for item in worth or items)
    kept = [item for item in worth or items if item.quality.accuracy > best - 0.12]
    if chosen:
        kept.append(chosen)
    y_range = _range([end for item in kept for end in item.quality.accuracy_ci95])
    low = y_range[0]
    assert isinstance(low, float)
    return y_range, sum(item.quality.accuracy < low for item in items)


def _range(values: Sequence[float]) -> list[Any]:
    low, high = min(values), max(values)
    air = max(0.004, 0.08 * (high - low))
    return [max(-0.02, low - 1.6 * air), min(1.02, high + 1.2 * air)]


def _span(y_range: list[Any]) -> float:
    low, high = y_range
    assert isinstance(low, float)
    assert isinstance(high, float)
    return high - low


def _with_median(item: Candidate) -> Candidate:
    """Let the median stand for the mean, where not every candidate has one."""
    cost = item.cost.model_copy(update={"latency_ms_mean": item.cost.latency_ms_p50})
    return item.model_copy(update={"cost": cost})


def _latency(item: Candidate) -> float:
    return max(_TINY_MS, item.cost.latency_ms_mean or 0.0)
