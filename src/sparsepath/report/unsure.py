"""When the model is unsure: from which confidence on it may answer, and what goes to a person."""

from sparsepath.artifacts.analysis import AloneFigures
from sparsepath.report.html import Html, el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.section import Cell, Column, Row, Section, bar, note, stack, table


def unsure(view: View) -> Section | None:
    """Threshold, coverage and error of the candidates that matter."""
    items = view.analysis.alone
    if not items:
        return None
    words = view.words
    numbers = ("threshold", "coverage", "error")
    columns = [Column(words("column.name"))]
    columns += [Column(words(f"unsure.{key}"), is_number=True) for key in numbers]
    body = stack(
        _verdict(words, items[0]),
        table(columns, [_row(words, item) for item in items], identity="table-unsure"),
        el("p", words("unsure.read", level=words.percent(items[0].level, 0)), cls="small"),
    )
    lead = words.rich("unsure.lead", risk=words.percent(items[0].risk, 0))
    return Section("unsure", body, lead=lead)


def _verdict(words: Words, item: AloneFigures) -> Html:
    """One sentence on the recommended candidate."""
    if item.threshold is None:
        return note(el("p", words.rich("unsure.never", name=item.name)))
    return note(
        el(
            "p",
            words.rich(
                "unsure.verdict",
                name=item.name,
                coverage=words.percent(item.coverage, 0),
                rest=words.percent(1 - item.coverage, 0),
                error=words.percent(item.error or 0.0),
                threshold=words.percent(item.threshold, 0),
            ),
        )
    )


def _row(words: Words, item: AloneFigures) -> Row:
    """One candidate."""
    if item.threshold is None:
        none = Cell(words("unsure.none"), None)
        return Row([Cell(item.name, item.name), none, Cell(words.percent(0.0), 0.0), none])
    share = el("span", bar(item.coverage), words.percent(item.coverage))
    error = Cell(words("unsure.none"), None)
    if item.error is not None:
        error = Cell(words.percent(item.error), item.error)
    return Row(
        [
            Cell(item.name, item.name),
            Cell(words.percent(item.threshold, 0), item.threshold),
            Cell(share, item.coverage),
            error,
        ]
    )
