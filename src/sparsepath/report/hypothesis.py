"""The page of `sparsepath pathways hypothesis`: is a model an ensemble of small pathways?

Four claims, each with its picture and its control: random sub-models still answer; together they
approach the dense model; few units carry an answer; which ones depends on the input.
"""

import statistics
from pathlib import Path

from sparsepath.artifacts.pathways import HypothesisFigures, SubModelFigures
from sparsepath.artifacts.provenance import now_utc, package_versions
from sparsepath.artifacts.store import write_text_atomic
from sparsepath.report import figure as fig
from sparsepath.report.document import Frame, document
from sparsepath.report.html import Html, breakable, el
from sparsepath.report.language import Words, words
from sparsepath.report.section import Section, figure_box, stack

_LOOKS = (
    (fig.SKY, "dot", "cross"),
    (fig.GREEN, "dashdot", "diamond"),
    (fig.ORANGE, "dash", "square"),
    (fig.BLUE, "solid", "circle"),
)
_DENSE = {"color": fig.INK, "dash": "dot", "width": 2}


def write_hypothesis(figures: HypothesisFigures, path: Path, lang: str) -> Path:
    """Write the page.

    Args:
        figures: what was measured.
        path: file to write; it appears whole.
        lang: `en` or `ja`.

    Raises:
        ConfigError: if there is no such language.
        RunError: if the file cannot be written.
        MissingExtraError: if plotly is not installed.
    """
    say = words(lang)
    version = package_versions().get("sparsepath", "")
    frame = Frame(
        say("hypothesis.page", name=Path(figures.model).name),
        say("nav.hypothesis"),
        _first(say, figures),
        say("page.made", version=version, date=say.moment(now_utc())),
    )
    sections = [part(say, figures) for part in (_alone, _together, _few, _dynamic)]
    write_text_atomic(path, document(say, frame, sections))
    return path


def _first(say: Words, figures: HypothesisFigures) -> Html:
    """The answer in four sentences."""
    lines = [part(say, figures) for part in (_alone_said, _together_said, _few_said, _dynamic_said)]
    asked = say("hypothesis.of", name=figures.model, rows=say.integer(figures.rows))
    return el(
        "header",
        el("h1", say("hypothesis.question")),
        el("p", breakable(asked), cls="small"),
        el("ul", *(el("li", line) for line in lines), cls="lead"),
        cls="hero",
        id="top",
    )


def _best(figures: HypothesisFigures) -> SubModelFigures:
    """The share of sources whose largest ensemble has the lowest loss."""
    return min(figures.sub_models, key=lambda part: part.curve[-1].nll_nats)


def _alone_said(say: Words, figures: HypothesisFigures) -> Html:
    part = next((p for p in figures.sub_models if p.keep >= 0.5), figures.sub_models[-1])
    return say.rich(
        "hypothesis.alone",
        keep=say.percent(part.keep, 0),
        accuracy=say.percent(statistics.median(part.accuracies)),
        dense=say.percent(figures.dense.accuracy),
    )


def _together_said(say: Words, figures: HypothesisFigures) -> Html:
    last = _best(figures).curve[-1]
    is_better = last.nll_nats < figures.dense.nll_nats
    return say.rich(
        "hypothesis.together.better" if is_better else "hypothesis.together.worse",
        n=say.integer(last.members),
        keep=say.percent(_best(figures).keep, 0),
        nll=say.number(last.nll_nats, 3),
        dense=say.number(figures.dense.nll_nats, 3),
        accuracy=say.percent(last.accuracy),
    )


def _few_said(say: Words, figures: HypothesisFigures) -> Html:
    return say.rich(
        "hypothesis.few",
        share=say.percent(figures.concentration.top_share, 0),
        chance=say.percent(figures.untrained.top_share, 0),
    )


def _dynamic_said(say: Words, figures: HypothesisFigures) -> Html:
    found = figures.concentration
    middle = (1 + found.overlap_shuffled) / 2
    return say.rich(
        "hypothesis.dynamic" if found.overlap < middle else "hypothesis.static",
        overlap=say.percent(found.overlap, 0),
        same=say.percent(found.overlap_same_label, 0),
        chance=say.percent(found.overlap_shuffled, 0),
    )


def _alone(say: Words, figures: HypothesisFigures) -> Section:
    """How good single random sub-models are, by the share of sources that they keep."""
    traces: list[fig.Json] = [
        {
            "type": "box",
            "name": say.percent(part.keep, 1 if part.keep < 0.2 else 0),
            "y": part.accuracies,
            "boxpoints": "all",
            "jitter": 0.5,
            "pointpos": 0,
            "marker": {"size": 5, "color": colour},
            "line": {"color": colour, "width": 2},
            "fillcolor": fig.faded(colour, 0.2),
            "showlegend": False,
        }
        for part, (colour, _, _) in zip(figures.sub_models, _LOOKS, strict=True)
    ]
    layout = fig.layout(
        xaxis=fig.axis(say("axis.keep"), type="category"),
        yaxis=fig.axis(say("axis.accuracy"), tickformat=".0%"),
        **_dense_line(say, figures.dense.accuracy),
    )
    return _section(say, "hypo-alone", fig.single(traces, layout), _alone_said(say, figures))


def _together(say: Words, figures: HypothesisFigures) -> Section:
    """How the loss of the ensemble falls as members are added."""
    traces: list[fig.Json] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": say(
                "hypothesis.keep", keep=say.percent(part.keep, 1 if part.keep < 0.2 else 0)
            ),
            "x": [point.members for point in part.curve],
            "y": [point.nll_nats for point in part.curve],
            "line": {"color": colour, "dash": dash, "width": 2.5},
            "marker": {"symbol": symbol, "size": 8, "color": colour},
        }
        for part, (colour, dash, symbol) in zip(figures.sub_models, _LOOKS, strict=True)
    ]
    counts = [point.members for point in figures.sub_models[0].curve]
    layout = fig.layout(
        xaxis=fig.axis(
            say("axis.members"), type="log", tickvals=counts, ticktext=[str(n) for n in counts]
        ),
        yaxis=fig.axis(say("axis.nll")),
        **_dense_line(say, figures.dense.nll_nats),
    )
    return _section(say, "hypo-together", fig.single(traces, layout), _together_said(say, figures))


def _few(say: Words, figures: HypothesisFigures) -> Section:
    """The Lorenz curve of importance over units, beside shuffled weights and equality."""
    curves = (
        ("hypothesis.trained", figures.concentration.lorenz, fig.BLUE, "solid", "circle"),
        ("hypothesis.shuffled", figures.untrained.lorenz, fig.GREY, "dash", "x"),
    )
    traces: list[fig.Json] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": say(key),
            "x": [i / (len(values) - 1) for i in range(len(values))],
            "y": values,
            "line": {"color": colour, "dash": dash, "width": 2.5},
            "marker": {"symbol": symbol, "size": 6, "color": colour},
        }
        for key, values, colour, dash, symbol in curves
    ]
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": say("hypothesis.equal"),
            "x": [0, 1],
            "y": [0, 1],
            "line": {"color": "#9AA3B2", "width": 1.5, "dash": "dot"},
        }
    )
    layout = fig.layout(
        xaxis=fig.axis(say("axis.units.least"), tickformat=".0%", range=[0, 1.01]),
        yaxis=fig.axis(say("axis.importance"), tickformat=".0%", range=[0, 1.01]),
    )
    return _section(say, "hypo-few", fig.single(traces, layout), _few_said(say, figures))


def _dynamic(say: Words, figures: HypothesisFigures) -> Section:
    """Overlap of the important units of two inputs."""
    found = figures.concentration
    bars = (
        ("hypothesis.pair.label", found.overlap_same_label, fig.BLUE),
        ("hypothesis.pair.any", found.overlap, fig.SKY),
        ("hypothesis.pair.chance", found.overlap_shuffled, fig.GREY),
    )
    traces: list[fig.Json] = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [value for _, value, _ in reversed(bars)],
            "y": [say(key) for key, _, _ in reversed(bars)],
            "text": [say.percent(value, 0) for _, value, _ in reversed(bars)],
            "textposition": "outside",
            "cliponaxis": False,
            "marker": {"color": [colour for _, _, colour in reversed(bars)]},
            "hoverinfo": "skip",
        }
    ]
    layout = fig.layout(
        xaxis=fig.axis(say("axis.overlap"), tickformat=".0%", range=[0, 1.08]),
        yaxis=fig.axis("", ticks=""),
    )
    return _section(say, "hypo-dynamic", fig.single(traces, layout), _dynamic_said(say, figures))


def _section(say: Words, key: str, figure: fig.Figure, lead: Html) -> Section:
    """One claim: its sentence, its picture, how to read it."""
    body = stack(
        figure_box(f"fig-{key}", 380, say(f"{key}.alt"), 400),
        el("p", say(f"{key}.read"), cls="small"),
    )
    return Section(key, body, {f"fig-{key}": figure}, lead)


def _dense_line(say: Words, height: float) -> fig.Json:
    """A level line for the dense model, with its name."""
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": height, "y1": height}
    name = {
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "y": height,
        "yanchor": "bottom",
        "text": say("hypothesis.dense"),
        "showarrow": False,
    }
    return {"shapes": [{**line, "line": _DENSE}], "annotations": [name]}
