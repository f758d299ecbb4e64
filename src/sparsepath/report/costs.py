"""Whether the latency model kept its word, and whether choosing per text pays."""

from sparsepath.artifacts.analysis import DynamicReport, LatencyFit
from sparsepath.report import figure as fig
from sparsepath.report.html import Html, breakable, el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import (
    Cell,
    Column,
    Row,
    Section,
    figure_box,
    note,
    stack,
    table,
    two_lines,
)

_CLOSE = 0.10
_SHADES = ("#062F5C", "#1F6FB0", "#6FA8D2", "#C3D9EC", "#E69F00")


def latency(view: View) -> Section | None:
    """Predicted against measured latency, with the band of ten per cent."""
    points = [
        item for item in view.analysis.latency_fit if item.predicted_ms > 0 < item.measured_ms
    ]
    if not points:
        return None
    words = view.words
    n_close = sum(abs(p.predicted_ms / p.measured_ms - 1) <= _CLOSE for p in points)
    text = words.rich("latency.about", close=words.integer(n_close), n=words.integer(len(points)))
    body = stack(
        el("p", text), figure_box("fig-latency", 520, words("latency.alt"), 440, is_square=True)
    )
    return Section("latency", body, {"fig-latency": _fit(words, points)})


def _fit(words: Words, points: list[LatencyFit]) -> fig.Figure:
    values = [value for item in points for value in (item.predicted_ms, item.measured_ms)]
    low, high = 0.8 * min(values), 1.25 * max(values)
    band: fig.Json = {
        "type": "scatter",
        "mode": "lines",
        "name": words("latency.band"),
        "x": [low, high, high, low],
        "y": [low * (1 - _CLOSE), high * (1 - _CLOSE), high * (1 + _CLOSE), low * (1 + _CLOSE)],
        "fill": "toself",
        "fillcolor": fig.faded(fig.GREY, 0.16),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    ideal: fig.Json = {
        "type": "scatter",
        "mode": "lines",
        "name": words("latency.ideal"),
        "x": [low, high],
        "y": [low, high],
        "line": {"color": fig.GREY, "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }
    dots: fig.Json = {
        "type": "scatter",
        "mode": "markers",
        "name": words("latency.points"),
        "x": [item.predicted_ms for item in points],
        "y": [item.measured_ms for item in points],
        "marker": {"color": fig.BLUE, "size": 10, "line": {"color": "#ffffff", "width": 1}},
        "hovertext": [
            f"<b>{fig.label(item.name)}</b><br>"
            + words(
                "latency.hover",
                predicted=words.milliseconds(item.predicted_ms),
                measured=words.milliseconds(item.measured_ms),
            ).replace("\n", "<br>")
            for item in points
        ],
        "hoverinfo": "text",
    }
    ticks, texts = fig.log_ticks([low, high])
    shared: fig.Json = {"type": "log", "range": fig.log_range([low, high], 0.0),
                        "tickvals": list(ticks), "ticktext": list(texts)}  # fmt: skip
    wide = fig.layout(
        xaxis=fig.axis(words("axis.predicted"), **shared),
        yaxis=fig.axis(words("axis.measured"), **shared),
    )
    narrow: fig.Json = {
        "margin": fig.NARROW_MARGIN,
    }
    return fig.single([band, ideal, dots], wide, narrow)


def dynamic(view: View) -> Section | None:
    """Candidates that choose their depth per text, against the static line at equal cost."""
    items = view.analysis.dynamic
    if not items:
        return None
    words = view.words
    columns = [
        Column(words("column.name")),
        Column(words("column.mean"), is_number=True),
        Column(words("column.accuracy"), is_number=True),
        Column(words("column.static"), is_number=True),
        Column(words("column.difference"), is_number=True),
        Column(words("column.stages")),
    ]
    rows = [Row(_dynamic_row(words, item)) for item in items]
    body = stack(
        *(_dynamic_verdict(words, item) for item in sorted(items, key=_advantage)[-1:]),
        table(columns, rows, identity="table-dynamic"),
        el("p", words("dynamic.read"), cls="small"),
    )
    return Section("dynamic", body)


def _advantage(item: DynamicReport) -> float:
    return float("-inf") if item.difference is None else item.difference


def _dynamic_verdict(words: Words, best: DynamicReport) -> Html | None:
    """One sentence on the dynamic candidate that does best."""
    if best.difference is None:
        return None
    interval = best.difference_ci95
    if interval is None:
        key = "unknown"
    else:
        key = "worse" if interval[1] < 0 else "better" if interval[0] > 0 else "unclear"
    text = words.rich(
        f"dynamic.{key}",
        name=best.name,
        difference=words.points(best.difference),
        interval=words.points_range(interval) if interval else "",
        latency=words.milliseconds(best.mean_latency_ms),
    )
    return note(el("p", text), kind="good" if key == "better" else "plain")


def _dynamic_row(words: Words, item: DynamicReport) -> list[Cell]:
    kind = el("small", words(f"dynamic.{item.kind}"))
    static, interval = item.static_accuracy_at_equal_latency, item.difference_ci95
    difference = "–" if item.difference is None else words.points_value(item.difference)
    spread = words.between(*(words.points_value(end) for end in interval)) if interval else None
    return [
        Cell(el("div", el("span", breakable(item.name)), kind, cls="title"), item.name),
        Cell(words.milliseconds(item.mean_latency_ms), item.mean_latency_ms),
        Cell(words.percent(item.accuracy), item.accuracy),
        Cell("–" if static is None else words.percent(static), static),
        Cell(two_lines(difference, spread), item.difference),
        Cell(_stage_bar(words, item), item.stage_share[0] if item.stage_share else None),
    ]


def _stage_bar(words: Words, item: DynamicReport) -> Html:
    """Shares of the rows by the stage that answered, lightest first, with thresholds."""
    parts = [
        el("i", style=f"width:{100 * share:.2f}%;background:{_SHADES[min(i, len(_SHADES) - 1)]}")
        for i, share in enumerate(item.stage_share)
    ]
    texts = [
        words("dynamic.stage", stage=str(i + 1), share=words.percent(share, 0))
        for i, share in enumerate(item.stage_share)
    ]
    limits = [words.number(value, 2) for value in item.thresholds]
    return el(
        "div",
        el("span", *parts, cls="stack", aria_hidden="true"),
        el("small", words.listed(texts)),
        el("small", words("dynamic.thresholds", values=words.listed(limits))) if limits else None,
        cls="stages",
    )
