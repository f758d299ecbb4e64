"""The strongest attention edges of a few texts, drawn as lines between two columns of tokens."""

from sparsepath.artifacts.analysis import Edge, EdgeSample
from sparsepath.report import figure as fig
from sparsepath.report.html import Html, el, join
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import Section
from sparsepath.report.tokens import surface

_MAX_EDGES = 10
_MAX_SAMPLES = 6


def edges(view: View) -> Section | None:
    """The strongest attention edges of a few texts, source tokens left, readers right."""
    samples = [sample for sample in view.analysis.edges if sample.edges]
    if not samples:
        return None
    words = view.words
    cards = [
        el(
            "div",
            el("p", sample.text, cls="text"),
            _edge_picture(words, sample),
            el("p", words("edges.row", row=words.integer(sample.row_id)), cls="small"),
            cls="card",
        )
        for sample in samples[:_MAX_SAMPLES]
    ]  # fmt: skip
    return Section("edges", el("div", *cards, cls="columns wide"))


def _edge_picture(words: Words, sample: EdgeSample) -> Html:
    """Lines between two columns of tokens; thickness is strength, dashes speak against."""
    tokens = sample.tokens
    inside = [e for e in sample.edges if max(e.source, e.target) < len(tokens)]
    strongest = sorted(inside, key=lambda edge: -abs(edge.score))[:_MAX_EDGES]
    left = sorted({edge.source for edge in strongest})
    right = sorted({edge.target for edge in strongest})
    height = 30 * max(len(left), len(right)) + 36
    places = {
        side: {
            token: 50 + (height - 50) * (i + 0.35) / len(column) for i, token in enumerate(column)
        }
        for side, column in (("left", left), ("right", right))
    }
    most = max((abs(edge.score) for edge in strongest), default=1.0) or 1.0
    lines = (
        el(
            "path",
            el("title", _edge_name(words, edge)),
            d=_curve(places["left"][edge.source], places["right"][edge.target]),
            stroke=fig.BLUE if edge.score >= 0 else fig.VERMILION,
            stroke_width=f"{1 + 5 * abs(edge.score) / most:.1f}",
            stroke_dasharray=None if edge.score >= 0 else "6 4",
            fill="none",
            opacity="0.75",
        )
        for edge in strongest
    )
    texts = [
        _token(tokens[token], token, 104 if side == "left" else 216, y, side == "left")
        for side, column in places.items()
        for token, y in column.items()
    ]
    head = (
        el("text", words("edges.source"), x=104, y=20, text_anchor="end", cls="head"),
        el("text", words("edges.target"), x=216, y=20, cls="head"),
    )
    return el(
        "svg", *head, join(lines), *texts,
        viewBox=f"0 0 320 {height:.0f}", role="img", aria_label=words("edges.alt"), cls="edges",
    )  # fmt: skip


def _edge_name(words: Words, edge: Edge) -> str:
    name = f"{edge.source}>{edge.target}@L{edge.layer:02d}.H{edge.head:02d}"
    return f"{name}  {words.number(edge.score, 3)}"


def _curve(start: float, end: float) -> str:
    return f"M112 {start:.1f} C160 {start:.1f} 160 {end:.1f} 208 {end:.1f}"


def _token(text: str, place: int, x: int, y: float, is_left: bool) -> Html:
    shown = surface(text).text or "␣"
    short = shown if len(shown) <= 13 else shown[:12] + "…"
    return el(
        "text", el("title", f"{shown} ({place})"), short,
        x=x, y=f"{y + 5:.1f}", text_anchor="end" if is_left else "start",
    )  # fmt: skip
