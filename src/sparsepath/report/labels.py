"""Quality label by label, of the full model and of the candidate the report is about."""

from collections.abc import Sequence

from sparsepath.artifacts.analysis import LabelQuality
from sparsepath.report import figure as fig
from sparsepath.report.choice import full_model, recommended
from sparsepath.report.html import Html, el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import (
    Cell,
    Column,
    Row,
    Section,
    label_cell,
    more_button,
    stack,
    table,
)

_SHOWN_LABELS = 16


def subject(view: View, named: Sequence[str]) -> str | None:
    """The candidate a section is about: the recommended one, else the full one, else the first."""
    chosen, full = recommended(view.results), full_model(view.candidates)
    wanted = [item.name for item in (chosen, full) if item is not None]
    return next((name for name in [*wanted, *named] if name in named), None)


def slices(view: View) -> Section | None:
    """A row a label: how many of its rows are found, by the full model and by the candidate."""
    per_label = view.analysis.per_label
    name = subject(view, list(per_label))
    if name is None or not per_label[name]:
        return None
    words = view.words
    full = full_model(view.candidates)
    base = {item.label: item for item in per_label.get(full.name, [])} if full else {}
    compared = base if full and full.name != name else {}
    rows = sorted(per_label[name], key=lambda item: (_change(item, compared), item.recall or 0.0))
    columns = [
        Column(words("column.label")),
        Column(words("column.picture")),
        Column(words("column.this"), is_number=True),
        *([Column(words("column.full"), is_number=True)] if compared else []),
        *([Column(words("column.change"), is_number=True)] if compared else []),
        Column(words("column.n"), is_number=True),
        Column(words("column.precision"), is_number=True, is_extra=True),
        Column(words("column.f1"), is_number=True, is_extra=True),
    ]
    cells = [Row(_label_row(words, item, compared)) for item in rows]
    waiting = len(rows) - _SHOWN_LABELS
    body = stack(
        el("p", words.rich("slices.about", name=name)),
        el("p", words("slices.key"), cls="small") if compared else None,
        table(columns, cells, identity="table-labels", shown=_SHOWN_LABELS),
        more_button("table-labels", words("more.labels", n=words.integer(len(rows))))
        if waiting > 0
        else None,
    )
    return Section("labels", body)


def _change(item: LabelQuality, base: dict[str, LabelQuality]) -> float:
    other = base.get(item.label)
    if other is None or other.recall is None or item.recall is None:
        return 0.0
    return item.recall - other.recall


def _label_row(words: Words, item: LabelQuality, base: dict[str, LabelQuality]) -> list[Cell]:
    other = base.get(item.label)
    before = other.recall if other else None
    change = None if item.recall is None or before is None else item.recall - before
    compared = [Cell(_share(words, before), before)] if base else []
    changed = [Cell("–" if change is None else words.points_value(change), change)] if base else []
    return [
        label_cell(item.label),
        Cell(_dumbbell(before, item.recall), item.recall),
        Cell(_share(words, item.recall), item.recall),
        *compared,
        *changed,
        Cell(words.integer(item.n), item.n),
        Cell(_share(words, item.precision), item.precision),
        Cell(_share(words, item.f1), item.f1),
    ]


def _share(words: Words, value: float | None) -> str:
    return "–" if value is None else words.percent(value, 0)


def _dumbbell(before: float | None, now: float | None) -> Html:
    """Two marks on a line from 0 to 1: hollow diamond the full model, filled dot the candidate."""

    def x(value: float) -> str:
        return f"{6 + 108 * value:.1f}"

    parts = [el("line", x1=6, x2=114, y1=9, y2=9, stroke="#D5DAE3", stroke_width=2)]
    if before is not None and now is not None:
        parts.append(
            el("line", x1=x(before), x2=x(now), y1=9, y2=9, stroke=fig.GREY, stroke_width=3)
        )
    if before is not None:
        left = 6 + 108 * before
        points = f"{left - 5:.1f},9 {left:.1f},4 {left + 5:.1f},9 {left:.1f},14"
        parts.append(el("polygon", points=points, fill="#fff", stroke=fig.INK, stroke_width=1.5))
    if now is not None:
        parts.append(el("circle", cx=x(now), cy=9, r=4.5, fill=fig.BLUE))
    return el("svg", *parts, viewBox="0 0 120 18", width=120, height=18, aria_hidden="true")
