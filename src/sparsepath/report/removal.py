"""How quality falls as units leave: least important first, most important first, random."""

from collections.abc import Sequence

from sparsepath.artifacts.analysis import RemovalCurve, RemovalPoint
from sparsepath.report import figure as fig
from sparsepath.report.html import el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import Section, figure_box, stack, switch

_ORDER_LOOK = {
    "least-first": (fig.BLUE, "solid", "circle"),
    "random": (fig.GREY, "dot", "x"),
    "important-first": (fig.VERMILION, "dash", "triangle-up"),
}


def removal(view: View) -> Section | None:
    """Accuracy as units leave, in three orders."""
    curves = [curve for curve in view.analysis.removal if curve.points]
    if not curves:
        return None
    words = view.words
    methods = list(dict.fromkeys(curve.method for curve in curves if curve.order != "random"))
    chance = [curve for curve in curves if curve.order == "random"]
    chosen = {
        method: [c for c in curves if c.method == method and c not in chance] + chance
        for method in methods or ["random"]
    }
    variants = {method: _variant(words, found) for method, found in chosen.items()}
    choices = [(method, words.known("method", method)) for method in variants]
    body = stack(
        switch("fig-removal", choices, words("units.method")) if len(choices) > 1 else None,
        figure_box("fig-removal", 440, words("removal.alt"), 460),
        el("p", words("removal.read"), cls="small"),
    )
    return Section("removal", body, {"fig-removal": fig.Figure(variants)})


def _variant(words: Words, curves: Sequence[RemovalCurve]) -> fig.Variant:
    seen: set[str] = set()
    traces: list[fig.Json] = []
    for curve in sorted(curves, key=lambda item: list(_ORDER_LOOK).index(item.order)):
        traces += _traces(words, curve, is_first=curve.order not in seen)
        seen.add(curve.order)
    values = [point.accuracy for curve in curves for point in curve.points]
    wide = fig.layout(
        xaxis=fig.axis(words("axis.removed"), tickformat=".0%", range=[-0.02, 1.02]),
        yaxis=fig.axis(
            words("axis.accuracy"), tickformat=".0%", range=[0, min(1.03, max(values) + 0.06)]
        ),
    )
    narrow: fig.Json = {
        "margin": fig.NARROW_MARGIN,
    }
    return fig.Variant(traces, wide, narrow)


def _traces(words: Words, curve: RemovalCurve, *, is_first: bool) -> list[fig.Json]:
    colour, dash, symbol = _ORDER_LOOK[curve.order]
    points = sorted(curve.points, key=lambda point: point.fraction)
    line: fig.Json = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": words(f"removal.{curve.order}"),
        "legendgroup": curve.order,
        "showlegend": is_first,
        "x": [point.fraction for point in points],
        "y": [point.accuracy for point in points],
        "line": {"color": colour, "dash": dash, "width": 2.5},
        "marker": {"symbol": symbol, "size": 8, "color": colour},
        "hovertext": [_hover(words, curve.order, point) for point in points],
        "hoverinfo": "text",
    }
    banded = [(p.fraction, p.accuracy_ci95) for p in points if p.accuracy_ci95 is not None]
    if not banded:
        return [line]
    edge = [*banded, *reversed(banded)]
    heights = [ci[1] for _, ci in banded] + [ci[0] for _, ci in reversed(banded)]
    band: fig.Json = {
        "type": "scatter",
        "mode": "lines",
        "x": [fraction for fraction, _ in edge],
        "y": list(heights),
        "fill": "toself",
        "fillcolor": fig.faded(colour, 0.13),
        "line": {"width": 0},
        "legendgroup": curve.order,
        "showlegend": False,
        "hoverinfo": "skip",
    }
    return [band, line]


def _hover(words: Words, order: str, point: RemovalPoint) -> str:
    interval = point.accuracy_ci95
    return words(
        "removal.hover",
        order=words(f"removal.{order}"),
        fraction=words.percent(point.fraction, 0),
        accuracy=words.percent(point.accuracy),
        interval=f" ({words.percent_range(interval)})" if interval else "",
    ).replace("\n", "<br>")
