"""What a section of the report is, and the pieces that several sections are built from."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from sparsepath.report.figure import Figure
from sparsepath.report.html import Html, breakable, el, join


class Section(NamedTuple):
    """One part of the page."""

    key: str
    """Anchor, and the name of its title and lead in the tables of words."""
    body: Html
    figures: Mapping[str, Figure] = MappingProxyType({})
    """By the id that `figure_box` was given."""
    lead: Html | None = None
    """What stands under the title; None: the text of that name, which has no blanks."""


class Column(NamedTuple):
    """One column of a table."""

    title: str
    is_number: bool = False
    is_extra: bool = False
    """Left out on paper, where width is short."""


class Cell(NamedTuple):
    """One cell of a table."""

    shown: str
    """Plain text or `Html`."""
    order: int | float | str | None = None
    """What the column is sorted by; None sorts last."""


def figure_box(
    identity: str, height: int, label: str, narrow_height: int = 0, *, is_square: bool = False
) -> Html:
    """The place a figure is drawn into; `label` tells those who cannot see it what it shows."""
    return el(
        "div",
        cls="figure square" if is_square else "figure",
        id=identity,
        role="img",
        aria_label=label,
        data_height=height,
        data_narrow_height=narrow_height or height,
        style=f"height:{height}px",
    )


def switch(target: str, choices: Sequence[tuple[str, str]], label: str) -> Html:
    """Buttons that choose the variant of the figure `target`; choices are (variant, text)."""
    buttons = (
        el("button", text, type="button", data_variant=key, aria_pressed=str(not i).lower())
        for i, (key, text) in enumerate(choices)
    )
    return el("div", *buttons, cls="switch", role="group", aria_label=label, data_target=target)


class Row(NamedTuple):
    """One row of a table."""

    cells: Sequence[Cell]
    group: str | None = None
    """What the table can be filtered by."""


def table(columns: Sequence[Column], rows: Sequence[Row], *, identity: str, shown: int = 0) -> Html:
    """A table whose columns can be sorted; rows after the first `shown` wait behind a button."""
    head = (
        el(
            "th",
            el("button", column.title, type="button"),
            el("span", column.title, cls="on-paper", aria_hidden="true"),
            scope="col",
            cls=_classes(column),
        )
        for column in columns
    )
    body = (
        el(
            "tr",
            *(_cell(column, cell) for column, cell in zip(columns, row.cells, strict=True)),
            cls="later" if 0 < shown <= index else None,
            data_group=row.group,
        )
        for index, row in enumerate(rows)
    )
    inner = el("table", el("thead", el("tr", *head)), el("tbody", *body), id=identity)
    return el("div", inner, cls="scroll", tabindex="0")


def more_button(target: str, text: str) -> Html:
    """Shows the rows or cards of `target` that wait."""
    return el("button", text, type="button", cls="more", data_more=target)


def two_lines(first: str, second: str | None) -> Html:
    """A value, with a smaller one under it."""
    return el("span", first, el("small", second) if second else None, cls="twice")


def bar(share: float, kind: str = "") -> Html:
    """A horizontal bar filled to `share` of its width."""
    width = f"width:{100 * min(1.0, max(0.0, share)):.2f}%"
    return el("span", el("i", style=width), cls=f"bar {kind}".strip(), aria_hidden="true")


def spot(place: float, low: float, high: float, kind: str = "") -> Html:
    """A dot with its interval on a line; all three are shares of the line's width."""
    low, place, high = (100 * min(1.0, max(0.0, value)) for value in (low, place, high))
    interval = el("i", style=f"left:{low:.2f}%;width:{max(0.5, high - low):.2f}%")
    dot = el("b", style=f"left:{place:.2f}%")
    return el("span", interval, dot, cls=f"spot {kind}".strip(), aria_hidden="true")


def command(parts: Sequence[str]) -> Html:
    """A command line to copy; lines break between arguments only, where those are short."""
    quoted = (el("span", shell_word(part)) for part in parts)
    return el("code", *(piece for word in quoted for piece in (word, " ")), cls="command")


def shell_word(part: str) -> str:
    """An argument as a shell reads it."""
    is_plain = part and all(char.isalnum() or char in "._-/=:@%+," for char in part)
    return part if is_plain else "'" + part.replace("'", "'\\''") + "'"


def label_cell(text: str) -> Cell:
    """A label's name, which may be broken where it is long."""
    return Cell(el("span", breakable(text), cls="label"), text)


def note(*children: str | None, kind: str = "") -> Html:
    """A set-apart remark."""
    return el("div", *children, cls=f"note {kind}".strip())


def facts(pairs: Sequence[tuple[str, str]], *, is_wide: bool = False) -> Html:
    """A list of names with values, in two columns where `is_wide` and there is room."""
    rows = (el("div", el("dt", name), el("dd", value)) for name, value in pairs)
    return el("dl", *rows, cls="facts wide" if is_wide else "facts")


def stack(*parts: str | None) -> Html:
    """Parts one under the other."""
    return join(parts)


def _classes(column: Column) -> str | None:
    names = [
        name for name, is_on in (("num", column.is_number), ("extra", column.is_extra)) if is_on
    ]
    return " ".join(names) or None


def _cell(column: Column, cell: Cell) -> Html:
    return el(
        "td", cell.shown, cls=_classes(column), data_sort="" if cell.order is None else cell.order
    )
