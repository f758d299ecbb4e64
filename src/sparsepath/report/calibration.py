"""Whether a probability means what it says, and what answering only the sure rows would give."""

from collections.abc import Sequence
from typing import Any

from sparsepath.artifacts.analysis import Calibration
from sparsepath.report import figure as fig
from sparsepath.report.choice import full_model, recommended
from sparsepath.report.html import el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import Section, figure_box, stack

_LOOKS = (
    (fig.BLUE, "solid", "circle"),
    (fig.INK, "dash", "diamond"),
    (fig.GREEN, "dot", "cross"),
    (fig.VERMILION, "dashdot", "triangle-up"),
)


def calibration(view: View) -> Section | None:
    """Confidence against accuracy, and accuracy against coverage, of at most four candidates."""
    found = view.analysis.calibration
    first = [item.name for item in (recommended(view.results), full_model(view.candidates)) if item]
    shown = list(dict.fromkeys([*(n for n in first if n in found), *found]))[: len(_LOOKS)]
    binned = [(name, found[name]) for name in shown if found[name].bins]
    covered = [(name, found[name]) for name in shown if found[name].coverage]
    words = view.words
    figures: dict[str, fig.Figure] = {}
    parts = []
    if binned:
        figures["fig-calibration"] = _bins(words, binned)
        parts.append(_panel(words, "calibration", "fig-calibration"))
    if covered:
        figures["fig-coverage"] = _coverage(words, covered)
        parts.append(_panel(words, "coverage", "fig-coverage"))
    if not parts:
        return None
    body = stack(el("div", *parts, cls="pair"), el("p", words("calibration.read"), cls="small"))
    return Section("calibration", body, figures)


def _panel(words: Words, key: str, identity: str) -> str:
    return el(
        "div",
        el("h3", words(f"{key}.panel")),
        figure_box(identity, 400, words(f"{key}.alt"), 420),
        cls="keep",
    )


def _bins(words: Words, items: Sequence[tuple[str, Calibration]]) -> fig.Figure:
    ideal: fig.Json = {
        "type": "scatter",
        "mode": "lines",
        "name": words("calibration.ideal"),
        "x": [0, 1],
        "y": [0, 1],
        "line": {"color": "#9AA3B2", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }
    traces = [ideal]
    for (name, item), look in zip(items, _LOOKS, strict=False):
        points = [
            (b.confidence, b.accuracy, b.n)
            for b in item.bins
            if b.n > 0 and b.confidence is not None and b.accuracy is not None
        ]
        most = max((n for _, _, n in points), default=1)
        trace = _line(name, look, [p[0] for p in points], [p[1] for p in points])
        trace["marker"] = {
            "symbol": look[2],
            "color": look[0],
            "size": [7 + 11 * (n / most) ** 0.5 for _, _, n in points],
            "opacity": 0.9,
        }
        trace["hovertext"] = [
            f"<b>{fig.label(name)}</b><br>"
            + words(
                "calibration.hover",
                confidence=words.percent(confidence),
                accuracy=words.percent(accuracy),
                n=words.integer(n),
            ).replace("\n", "<br>")
            for confidence, accuracy, n in points
        ]
        traces.append(trace)
    return _squared(words, traces, "axis.confidence", "axis.right", [0, 1.03])


def _coverage(words: Words, items: Sequence[tuple[str, Calibration]]) -> fig.Figure:
    traces = []
    lowest = 1.0
    for (name, item), look in zip(items, _LOOKS, strict=False):
        points = sorted(item.coverage, key=lambda point: point.coverage)
        lowest = min(lowest, *(point.accuracy for point in points))
        trace = _line(name, look, [p.coverage for p in points], [p.accuracy for p in points])
        trace["marker"] = {"symbol": look[2], "color": look[0], "size": 7}
        trace["hovertext"] = [
            f"<b>{fig.label(name)}</b><br>"
            + words(
                "coverage.hover",
                coverage=words.percent(point.coverage, 0),
                accuracy=words.percent(point.accuracy),
            ).replace("\n", "<br>")
            for point in points
        ]
        traces.append(trace)
    low = max(0.0, lowest - 0.15 * (1 - lowest) - 0.01)
    return _squared(words, traces, "axis.coverage", "axis.accuracy", [low, 1.005])


def _line(
    name: str, look: tuple[str, str, str], x: Sequence[float], y: Sequence[float]
) -> fig.Json:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": fig.label(name, 22, 2),
        "x": list(x),
        "y": list(y),
        "line": {"color": look[0], "dash": look[1], "width": 2},
        "hoverinfo": "text",
    }


def _squared(
    words: Words, traces: list[fig.Json], x_key: str, y_key: str, y_range: list[Any]
) -> fig.Figure:
    wide = fig.layout(
        xaxis=fig.axis(words(x_key), tickformat=".0%", range=[0, 1.03]),
        yaxis=fig.axis(words(y_key), tickformat=".0%", range=y_range),
    )
    wide["margin"] = {"l": 60, "r": 12, "t": 10, "b": 56}
    return fig.single(traces, wide)
