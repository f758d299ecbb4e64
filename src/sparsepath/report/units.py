"""What matters inside the full model: importance of its heads, neurons and layers."""

import math
from collections.abc import Sequence
from typing import Any

from sparsepath.artifacts.analysis import MethodScores, UnitReport
from sparsepath.report import figure as fig
from sparsepath.report.html import Html, el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import Section, bar, figure_box, stack, switch

_SCALE: list[Any] = [
    [0.0, "#F4F7FB"],
    [0.25, "#C3D9EC"],
    [0.5, "#6FA8D2"],
    [0.75, "#1F6FB0"],
    [1.0, "#062F5C"],
]
_TICKS = (0.0, 0.05, 0.25, 0.5, 1.0)


def units(view: View) -> Section | None:
    """Heat-maps of importance, one variant a method."""
    report = view.analysis.units
    if report is None or not report.scores:
        return None
    words = view.words
    heads = {key: item.heads for key, item in report.scores.items() if item.heads}
    neurons = {key: item.neurons for key, item in report.scores.items() if item.neurons}
    parts: list[Html | None] = []
    figures: dict[str, fig.Figure] = {}
    height = max(260, 120 + 30 * report.n_layers)
    for key, grids in (("heads", heads), ("neurons", neurons)):
        if not grids:
            continue
        identity = f"fig-{key}"
        choices = [(method, words.known("method", method)) for method in grids]
        variants = {method: _heat_map(words, key, grid) for method, grid in grids.items()}
        figures[identity] = fig.Figure(variants)
        parts.append(
            el(
                "div",
                el("h3", words(f"units.{key}")),
                switch(identity, choices, words("units.method")) if len(choices) > 1 else None,
                figure_box(identity, height, words(f"units.{key}.alt")),
                cls="keep",
            )
        )
    body = stack(el("div", *parts, cls="pair"), _layers(words, report), _agreement(words, report))
    return Section("units", body, figures)


def _heat_map(words: Words, key: str, grid: Sequence[Sequence[float | None]]) -> fig.Variant:
    """Importance as a share of the strongest unit, coloured on a square-root scale."""
    strongest = max((value for row in grid for value in row if value is not None), default=0.0)
    top = strongest if strongest > 0 else 1.0
    shares = [[None if v is None else max(0.0, v) / top for v in row] for row in grid]
    width = max(len(row) for row in shares)
    colours: list[Any] = [[None if v is None else math.sqrt(v) for v in row] for row in shares]
    hover: list[Any] = [
        [_hover(words, key, layer, i, width, value) for i, value in enumerate(row)]
        for layer, row in enumerate(shares)
    ]
    step = max(1, math.ceil(len(grid) / 24))
    names = [f"L{layer:02d}" for layer in range(len(grid))]
    columns: list[Any]
    if key == "heads":
        columns = [f"H{head:02d}" for head in range(width)]
        ticks: fig.Json = {"tickvals": columns[:: max(1, math.ceil(width / 12))], "tickangle": 0}
        few: fig.Json = {**ticks, "tickvals": columns[:: max(1, math.ceil(width / 6))]}
    else:
        columns = [(i + 0.5) / width for i in range(width)]
        ticks = {"tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1], "range": [0, 1]}
        few = {**ticks, "tickvals": [0, 0.5, 1]}
    trace: fig.Json = {
        "type": "heatmap",
        "z": colours,
        "x": columns,
        "y": list(names),
        "hovertext": hover,
        "hoverinfo": "text",
        "colorscale": _SCALE,
        "zmin": 0,
        "zmax": 1,
        "xgap": 1 if key == "heads" else 0,
        "ygap": 1,
        "colorbar": {
            "title": {"text": words("units.scale"), "side": "right", "font": {"size": 13}},
            "tickvals": [math.sqrt(tick) for tick in _TICKS],
            "ticktext": [words.percent(tick, 0) for tick in _TICKS],
            "tickfont": {"size": 12},
            "thickness": 12,
            "outlinewidth": 0,
        },
    }
    y_axis = fig.axis(
        words("axis.layer"), autorange="reversed", tickvals=list(names[::step]), type="category",
        showgrid=False, showline=False,
    )  # fmt: skip
    x_axis = fig.axis(words(f"axis.{key}"), showgrid=False, showline=False, **ticks)
    wide = fig.layout(xaxis=x_axis, yaxis=y_axis, plot_bgcolor="#E9ECF1")
    wide["margin"] = {"l": 64, "r": 8, "t": 8, "b": 56}
    narrow: fig.Json = {
        "margin": {"l": 56, "r": 4, "t": 8, "b": 56},
        "xaxis": fig.axis(words(f"axis.{key}"), showgrid=False, showline=False, **few),
    }
    return fig.Variant([trace], wide, narrow)


def _hover(words: Words, key: str, layer: int, column: int, width: int, share: float | None) -> str:
    if share is None:
        return ""
    if key == "heads":
        name = f"L{layer:02d}.H{column:02d}"
    else:
        name = words(
            "units.quantile", layer=f"L{layer:02d}", place=words.percent((column + 0.5) / width, 0)
        )
    return f"<b>{name}</b><br>{words('units.share', share=words.percent(share))}"


def _layers(words: Words, report: UnitReport) -> Html | None:
    """Bars of the layers' importance, a column a method."""
    scored = {key: item for key, item in report.scores.items() if _sums(item)}
    if not scored:
        return None
    blocks = []
    for method, item in scored.items():
        sums = _sums(item)
        total = sum(sums) or 1.0
        largest = max(sums) or 1.0
        lines = (
            el(
                "div",
                el("span", f"L{layer:02d}", cls="mono"),
                bar(value / largest, "main"),
                el("span", words.percent(value / total), cls="num"),
                cls="line",
            )
            for layer, value in enumerate(sums)
        )
        blocks.append(el("div", el("h4", words.known("method", method)), *lines, cls="glance-row"))
    return el("div", el("h3", words("units.layers")), el("div", *blocks, cls="columns"), cls="keep")


def _sums(item: MethodScores) -> list[float]:
    return [max(0.0, value or 0.0) for value in item.layers]


def _agreement(words: Words, report: UnitReport) -> Html | None:
    found = [
        (key.split("~"), value) for key, value in report.agreement.items() if value is not None
    ]
    if not found:
        return None
    items = [
        el(
            "li",
            words.rich(
                "units.agree",
                pair=words("units.and").join(words.known("method", name) for name in names),
                value=words.number(value),
            ),
        )
        for names, value in found
    ]
    return el("div", el("p", words("units.agreement")), el("ul", *items))
