"""Why single rows were answered as they were, each with the test of its own explanation."""

import re
import statistics
from collections.abc import Sequence

from sparsepath.artifacts.explanation import ExplanationRecord, NamedScore, TokenScore
from sparsepath.report import figure as fig
from sparsepath.report.html import Html, breakable, el, join
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import Section, bar, figure_box, more_button, stack
from sparsepath.report.tokens import is_cjk, surface

_SHOWN = 4
_MAX_WRONG = 40
_MAX_RIGHT = 20
_MAX_UNITS = 6
_MAX_EDGES = 6
_STRIP_LOW, _STRIP_HIGH = -0.25, 1.25
_STRIP_LEFT, _STRIP_WIDTH = 12, 276
_EDGE = re.compile(r"(\d{1,5})>(\d{1,5})@(.+)")
_SPECIAL = {"[CLS]", "[SEP]", "[PAD]", "<s>", "</s>", "<pad>"}


def explained(view: View) -> Section | None:
    """The summary over all explained rows, then cards of single ones."""
    records = view.records
    if not records:
        return None
    words = view.words
    wrong = [item for item in records if _is_right(item) is False]
    right = [item for item in records if _is_right(item) is not False]
    shown = _alternating(wrong[:_MAX_WRONG], right[:_MAX_RIGHT])
    cards = [_card(words, item, is_later=i >= _SHOWN) for i, item in enumerate(shown)]
    kinds = [key for key, pile in (("wrong", wrong), ("right", right)) if pile]
    checks = el(
        "div",
        *(
            el(
                "label",
                el("input", type="checkbox", checked=True, value=key),
                words(f"explain.{key}"),
            )
            for key in kinds
        ),
        cls="checks",
        data_cards="explain-cards",
    )
    count = words("explain.count", shown=words.integer(len(shown)), n=words.integer(len(records)),
                  wrong=words.integer(len(wrong)))  # fmt: skip
    tested = [item for item in records if item.test.units_decide]
    body = stack(
        _summary(words, tested) if tested else None,
        figure_box("fig-explained", 330, words("explain.alt"), 380) if tested else None,
        el("p", words("explain.read"), cls="small") if tested else None,
        el("p", words("explain.by-words.count", n=words.integer(len(records) - len(tested))))
        if len(tested) < len(records)
        else None,
        el("h3", words("explain.single")),
        _key(words),
        el("p", count, cls="small"),
        checks,
        el("div", *cards, cls="cards explained", id="explain-cards"),
        more_button("explain-cards", words("more.explained", n=words.integer(len(shown))))
        if len(shown) > _SHOWN
        else None,
    )
    figures = {"fig-explained": _distribution(words, tested)} if tested else {}
    return Section("explained", body, figures)


def _is_right(item: ExplanationRecord) -> bool | None:
    return None if item.truth is None else item.truth == item.predicted


def _alternating(
    first: Sequence[ExplanationRecord], second: Sequence[ExplanationRecord]
) -> list[ExplanationRecord]:
    mixed = [item for pair in zip(first, second, strict=False) for item in pair]
    shorter = min(len(first), len(second))
    return [*mixed, *first[shorter:], *second[shorter:]]


def _random_kept(item: ExplanationRecord) -> float | None:
    values = item.test.random_margin_kept
    return statistics.fmean(values) if values else None


def _summary(words: Words, records: Sequence[ExplanationRecord]) -> Html:
    kept = statistics.median(item.test.margin_kept for item in records)
    chance = [value for item in records if (value := _random_kept(item)) is not None]
    share = statistics.median(item.share_units_kept for item in records)
    return el(
        "p",
        words.rich(
            "explain.about" if chance else "explain.about.alone",
            n=words.integer(len(records)),
            share=words.percent(share, 0),
            kept=words.percent(kept, 0),
            random=words.percent(statistics.median(chance), 0) if chance else "",
        ),
    )


def _distribution(words: Words, records: Sequence[ExplanationRecord]) -> fig.Figure:
    """Boxes of what remains of the margin: named against random, kept against removed."""
    rows = (
        ("explain.box.kept", fig.BLUE, [r.test.margin_kept for r in records]),
        ("explain.box.random", fig.GREY, [v for r in records for v in r.test.random_margin_kept]),
        ("explain.box.removed", fig.VERMILION, [r.test.margin_when_removed for r in records]),
        (
            "explain.box.random-removed",
            fig.GREY,
            [v for r in records for v in r.test.random_margin_when_removed],
        ),
    )
    traces: list[fig.Json] = []
    for key, colour, values in reversed(rows):
        if not values:
            continue
        five = _five_numbers(values)
        traces.append(
            {
                "type": "box",
                "name": words(key),
                "y": [words(key)],
                "lowerfence": [five[0]],
                "q1": [five[1]],
                "median": [five[2]],
                "q3": [five[3]],
                "upperfence": [five[4]],
                "orientation": "h",
                "line": {"color": colour, "width": 2},
                "fillcolor": fig.faded(colour, 0.25),
                "hoverinfo": "x",
                "showlegend": False,
                "width": 0.6,
            }
        )
    x_axis = fig.axis(
        words("axis.margin"),
        tickformat=".0%",
        range=[_STRIP_LOW, _STRIP_HIGH],
        zeroline=True,
        zerolinecolor="#9AA3B2",
    )
    wide = fig.layout(xaxis=x_axis, yaxis=fig.axis("", showgrid=False))
    short: fig.Json = {
        **x_axis,
        "title": {"text": words("axis.margin.narrow"), "font": {"size": 13}},
    }
    narrow: fig.Json = {"margin": {"l": 20, "r": 16, "t": 8, "b": 64}, "xaxis": short}
    return fig.single(traces, wide, narrow)


def _five_numbers(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """5th, 25th, 50th, 75th and 95th percentile."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return at(0.05), at(0.25), at(0.5), at(0.75), at(0.95)


def _key(words: Words) -> Html:
    return el(
        "p",
        el("span", words("explain.for"), cls="token", style=_token_style(0.8)),
        " ",
        el("span", words("explain.against"), cls="token", style=_token_style(-0.8)),
        " ",
        words("explain.legend"),
        cls="small",
    )


def _card(words: Words, item: ExplanationRecord, *, is_later: bool) -> Html:
    is_right = _is_right(item)
    kind = "wrong" if is_right is False else "right"
    tags = []
    if is_right is not None:
        tags.append(el("span", words(f"explain.{kind}"), cls=f"tag {kind}"))
    tags.append(el("span", words("edges.row", row=words.integer(item.row_id)), cls="small"))
    answers = el(
        "dl",
        *(
            el("div", el("dt", words(f"explain.{key}")), el("dd", value))
            for key, value in (
                (
                    "answer",
                    join([breakable(item.predicted), f" ({words.percent(item.probability, 0)})"]),
                ),
                ("runner-up", breakable(item.runner_up)),
                ("truth", breakable(item.truth or "")),
            )
            if value
        ),
        cls="answers",
    )
    return el(
        "article",
        el("p", join(el("span", tag) for tag in tags)),
        el("p", _tokens(item.tokens), cls="text tokens"),
        answers,
        _test(words, item),
        el(
            "div",
            _named(words, "units", item.units[:_MAX_UNITS], item.tokens),
            _named(words, "edges", item.edges[:_MAX_EDGES], item.tokens),
            cls="sides",
        ),
        cls="card later" if is_later else "card",
        data_kind=kind,
    )


def _tokens(tokens: Sequence[TokenScore]) -> Html:
    most = max((abs(token.score) for token in tokens), default=1.0) or 1.0
    parts: list[str] = []
    previous_is_cjk = False
    for token in tokens:
        if token.text in _SPECIAL:
            continue
        piece = surface(token.text)
        if parts and piece.starts_word and not (previous_is_cjk and is_cjk(piece.text)):
            parts.append(" ")
        parts.append(
            el("span", piece.text, cls="token", style=_token_style(token.score / most),
               title=f"{token.score:+.3f}")
        )  # fmt: skip
        previous_is_cjk = is_cjk(piece.text[-1:])
    return join(parts)


def _token_style(strength: float) -> str:
    """Blue and a full line for the answer, orange and a dotted line for the runner-up."""
    if abs(strength) < 0.08:
        return ""
    colour = fig.BLUE if strength > 0 else fig.VERMILION
    fill = fig.faded(colour, round(0.08 + 0.34 * abs(strength), 2))
    line = "solid" if strength > 0 else "dotted"
    return f"background:{fill};border-bottom:2px {line} {colour}"


def _test(words: Words, item: ExplanationRecord) -> Html:
    test = item.test
    sentence = words.rich(
        "explain.test",
        share=words.percent(item.share_units_kept, 0),
        n=words.integer(item.n_units_kept),
        whole=words.percent(item.probability, 0),
        kept=words.percent(test.confidence_kept, 0),
        removed=words.percent(test.confidence_removed, 0),
    )
    rows = (
        ("explain.kept", test.margin_kept, test.random_margin_kept, fig.BLUE),
        (
            "explain.removed",
            test.margin_when_removed,
            test.random_margin_when_removed,
            fig.VERMILION,
        ),
    )
    strips = [
        el("div", el("span", words(key), cls="strip-name"), _strip(words, value, chance, colour),
           el("span", _strip_text(words, value, chance), cls="small"), cls="strip-row")
        for key, value, chance, colour in rows
    ]  # fmt: skip
    return el(
        "div",
        el("h4", words("explain.test.title")),
        *(strips if test.units_decide else [el("p", words("explain.by-words"), cls="small")]),
        el("p", sentence, cls="small"),
        cls="test",
    )


def _strip_text(words: Words, value: float, chance: Sequence[float]) -> str:
    if not chance:
        return words.percent(value, 0)
    return words(
        "explain.strip",
        value=words.percent(value, 0),
        random=words.percent(statistics.fmean(chance), 0),
        n=words.integer(len(chance)),
    )


def _strip(words: Words, value: float, chance: Sequence[float], colour: str) -> Html:
    """Random sets as grey dots, the named pathway as a diamond, on a line of margin shares."""
    parts = [
        el(
            "line",
            x1=_x(_STRIP_LOW),
            x2=_x(_STRIP_HIGH),
            y1=14,
            y2=14,
            stroke="#D5DAE3",
            stroke_width=2,
        )
    ]
    for tick in (0.0, 0.5, 1.0):
        parts.append(el("line", x1=_x(tick), x2=_x(tick), y1=6, y2=22, stroke="#9AA3B2"))
        parts.append(el("text", words.percent(tick, 0), x=_x(tick), y=38, text_anchor="middle"))
    parts += [el("circle", cx=_x(v), cy=14, r=4, fill="#6B7280", opacity="0.45") for v in chance]
    x = float(_x(value))
    points = f"{x - 7:.1f},14 {x:.1f},7 {x + 7:.1f},14 {x:.1f},21"
    parts.append(el("polygon", points=points, fill=colour, stroke="#fff", stroke_width=1))
    return el("svg", *parts, viewBox="0 0 300 42", cls="strip", aria_hidden="true")


def _x(value: float) -> str:
    inside = min(_STRIP_HIGH, max(_STRIP_LOW, value))
    place = (inside - _STRIP_LOW) / (_STRIP_HIGH - _STRIP_LOW)
    return f"{_STRIP_LEFT + _STRIP_WIDTH * place:.1f}"


def _named(
    words: Words, key: str, items: Sequence[NamedScore], tokens: Sequence[TokenScore]
) -> Html | None:
    if not items:
        return None
    most = max(abs(item.score) for item in items) or 1.0
    lines = (
        el(
            "div",
            _unit_name(item.name, tokens),
            bar(abs(item.score) / most, "main" if item.score >= 0 else "against"),
            el("span", words.number(item.score, 2), cls="num"),
            cls="line",
        )
        for item in items
    )
    return el("div", el("h4", words(f"explain.{key}")), *lines, cls="named")


def _unit_name(name: str, tokens: Sequence[TokenScore]) -> Html:
    """A unit's name; for an edge, `12>17@L02.H05`, the words it goes between before it."""
    found = _EDGE.fullmatch(name)
    places = [int(place) for place in found.groups()[:2]] if found else []
    if found is None or max(places) >= len(tokens):
        return el("span", name, cls="mono")
    source, target = (surface(tokens[place].text).text for place in places)
    return el(
        "span", f"{source} \N{RIGHTWARDS ARROW} {target} ", el("small", found.group(3), cls="mono")
    )
