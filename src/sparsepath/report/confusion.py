"""What is confused with what: the matrix of truth and answer, and the most frequent errors."""

from collections import Counter
from collections.abc import Sequence

from sparsepath.artifacts.analysis import Confusion
from sparsepath.report import figure as fig
from sparsepath.report.html import Html, breakable, el
from sparsepath.report.inputs import View
from sparsepath.report.labels import subject
from sparsepath.report.language import Words
from sparsepath.report.section import Cell, Column, Row, Section, label_cell, stack, table

_WHOLE_MATRIX = 12
_MATRIX_LABELS = 12
_MAX_PAIRS = 10


def confusion(view: View) -> Section | None:
    """The matrix of truth and answer, of the labels most often confused when there are many."""
    found = view.analysis.confusion
    name = subject(view, list(found))
    if name is None or not found[name].labels:
        return None
    words, item = view.words, found[name]
    pairs = _pairs(item)
    shown = _most_confused(item, pairs)
    is_part = len(shown) < len(item.labels)
    lead = words.rich(
        "confusion.part" if is_part else "confusion.whole",
        name=name,
        shown=words.integer(len(shown)),
        n=words.integer(len(item.labels)),
    )
    body = stack(
        el("p", lead),
        el("div", _matrix(words, item, shown), cls="scroll", tabindex="0"),
        _pair_table(words, item, pairs[:_MAX_PAIRS]),
    )
    return Section("confusion", body)


def _pairs(item: Confusion) -> list[tuple[int, int, int]]:
    """(truth, answer, rows) of every error, most frequent first."""
    wrong = [
        (truth, answer, count)
        for truth, row in enumerate(item.matrix)
        for answer, count in enumerate(row)
        if truth != answer and count > 0
    ]
    return sorted(wrong, key=lambda pair: (-pair[2], pair[0], pair[1]))


def _most_confused(item: Confusion, pairs: Sequence[tuple[int, int, int]]) -> list[int]:
    if len(item.labels) <= _WHOLE_MATRIX:
        return list(range(len(item.labels)))
    errors: Counter[int] = Counter()
    for truth, answer, count in pairs:
        errors[truth] += count
        errors[answer] += count
    worst = [label for label, _ in errors.most_common(_MATRIX_LABELS)]
    return sorted(worst) or list(range(_MATRIX_LABELS))


def _matrix(words: Words, item: Confusion, shown: Sequence[int]) -> Html:
    head = [el("th", words("confusion.corner"), scope="col")]
    head += [
        el("th", el("span", str(place + 1), title=item.labels[label]), scope="col", cls="num")
        for place, label in enumerate(shown)
    ]
    largest = max((item.matrix[i][j] for i in shown for j in shown if i != j), default=1) or 1
    rows = []
    for place, truth in enumerate(shown):
        title = el("span", f"{place + 1}", cls="index"), " ", breakable(item.labels[truth])
        total = sum(item.matrix[truth]) or 1
        cells = (
            _matrix_cell(item.matrix[truth][answer], truth == answer, total, largest)
            for answer in shown
        )
        rows.append(el("tr", el("th", *title, scope="row"), *cells))
    return el("table", el("thead", el("tr", *head)), el("tbody", *rows), cls="matrix")


def _matrix_cell(count: int, is_right: bool, total: int, largest: int) -> Html:
    share = count / total if is_right else count / largest
    colour = fig.BLUE if is_right else fig.VERMILION
    opacity = 0.0 if count == 0 else 0.12 + 0.5 * min(1.0, share)
    style = f"background:{fig.faded(colour, round(opacity, 2))}"
    return el("td", str(count) if count else "·", style=style, cls=None if count else "zero")


def _pair_table(
    words: Words, item: Confusion, pairs: Sequence[tuple[int, int, int]]
) -> Html | None:
    if not pairs:
        return None
    columns = [
        Column(words("column.truth")),
        Column(words("column.answer")),
        Column(words("column.rows"), is_number=True),
        Column(words("column.share"), is_number=True),
    ]
    rows = []
    for truth, answer, count in pairs:
        share = count / (sum(item.matrix[truth]) or 1)
        rows.append(
            Row(
                [
                    label_cell(item.labels[truth]),
                    label_cell(item.labels[answer]),
                    Cell(words.integer(count), count),
                    Cell(words.percent(share, 0), share),
                ]
            )
        )
    return el(
        "div", el("h3", words("confusion.pairs")), table(columns, rows, identity="table-pairs")
    )
