"""Every candidate in one table that can be sorted and filtered, and what each takes up."""

from collections.abc import Sequence

from sparsepath.artifacts.schema import Candidate
from sparsepath.report import figure as fig
from sparsepath.report.choice import full_model, group_of, pareto, plain_controls, recommended
from sparsepath.report.html import Html, breakable, el, join
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.phrases import said
from sparsepath.report.section import (
    Cell,
    Column,
    Row,
    Section,
    bar,
    figure_box,
    more_button,
    stack,
    table,
    two_lines,
)
from sparsepath.report.summary import friendly
from sparsepath.report.tradeoff import by_group, scatter

_MAX_SIZE_ROWS = 12
_SHOWN_ROWS = 14


def candidates(view: View) -> Section | None:
    """The table of everything that was measured."""
    if not view.candidates:
        return None
    words = view.words
    items = _ordered(view)
    rows = [Row(_cells(view, item), words(f"group.{group_of(item)}")) for item in items]
    waiting = len(rows) > _SHOWN_ROWS
    body = stack(
        _tools(words, list(dict.fromkeys(row.group or "" for row in rows))),
        table(_columns(words), rows, identity="table-candidates", shown=_SHOWN_ROWS),
        more_button("table-candidates", words("more.candidates", n=words.integer(len(rows))))
        if waiting
        else None,
        el("p", words("table.note"), cls="small"),
        _control_notes(view),
    )
    return Section("candidates", body)


def _tools(words: Words, groups: Sequence[str]) -> Html:
    """Search by name, and a box to tick for each group."""
    text = words("table.search")
    search = el(
        "input", type="search", data_filter="table-candidates", placeholder=text, aria_label=text
    )
    boxes = (
        el("label", el("input", type="checkbox", checked=True, value=group), group)
        for group in groups
    )
    return el(
        "div",
        search,
        el("div", *boxes, cls="checks", data_groups="table-candidates"),
        el("span", cls="small", data_count="table-candidates", aria_live="polite"),
        cls="tools",
    )


def _ordered(view: View) -> list[Candidate]:
    """The chosen one, the full one, what is plain, the Pareto line, the rest; each by latency."""
    items = view.candidates
    chosen, full, front = recommended(view.results), full_model(items), pareto(items)

    def rank(item: Candidate) -> tuple[int, float]:
        tests = (item is chosen, item is full, group_of(item) == "plain", item in front, True)
        return tests.index(True), item.cost.latency_ms_p50

    return sorted(items, key=rank)


def _columns(words: Words) -> list[Column]:
    numeric = ("accuracy", "change", "latency", "speedup", "size", "memory", "f1", "ece", "flops")
    return [
        Column(words("column.name")),
        *(
            Column(words(f"column.{key}"), is_number=True, is_extra=key in {"f1", "ece", "flops"})
            for key in numeric
        ),
    ]


def _cells(view: View, item: Candidate) -> list[Cell]:
    words, quality, cost, relative = view.words, item.quality, item.cost, item.relative
    change = relative.accuracy_change_ci95
    changes = words.between(*(words.points_value(end) for end in change)) if change else None
    speeds = words.between(*(words.ratio(end) for end in relative.speedup_ci95))
    late = words("table.p95", value=words.milliseconds(cost.latency_ms_p95))
    if cost.latency_ms_mean is not None:
        mean = words("table.mean", value=words.milliseconds(cost.latency_ms_mean))
        late = join([late, el("br"), mean])
    count = words.many(cost.parameters)
    accuracies = words.percent_range(quality.accuracy_ci95)
    memory, flops = cost.peak_rss_bytes, cost.flops_per_example
    return [
        Cell(_title(view, item), item.name),
        Cell(two_lines(words.percent(quality.accuracy), accuracies), quality.accuracy),
        Cell(
            two_lines(words.points_value(relative.accuracy_change), changes),
            relative.accuracy_change,
        ),
        Cell(two_lines(words.milliseconds(cost.latency_ms_p50), late), cost.latency_ms_p50),
        Cell(two_lines(words.times(relative.speedup), speeds), relative.speedup),
        Cell(two_lines(words.size(cost.size_bytes), count), cost.size_bytes),
        Cell("–" if memory is None else words.size(memory), memory),
        Cell(words.percent(quality.macro_f1), quality.macro_f1),
        Cell("–" if quality.ece is None else words.percent(quality.ece), quality.ece),
        Cell("–" if flops is None else words.many(flops), flops),
    ]


def _title(view: View, item: Candidate) -> Html:
    """Name, marks, and in small what it is made of."""
    words = view.words
    is_chosen = item is recommended(view.results)
    tags = (
        el("span", words("glance.chosen"), cls="tag") if is_chosen else None,
        el("span", words("table.pareto"), cls="tag quiet") if item.pareto else None,
    )
    details = [words(f"group.{group_of(item)}"), _shape_words(words, item), _note(words, item)]
    small = words("unit.dot").join(detail for detail in details if detail)
    name = el("b" if is_chosen else "span", breakable(item.name))
    return el("div", name, *tags, el("small", small), cls="title")


def _note(words: Words, item: Candidate) -> str | None:
    """The run's own remark, without what the shape says already."""
    clauses = (item.note or "").split("; ")
    told = [c for c in clauses if not (item.shape and c.startswith(("keeps ", "no layer")))]
    return said(words, "; ".join(told)) or None


def _shape_words(words: Words, item: Candidate) -> str | None:
    if item.shape is None:
        return None
    layers = item.shape.layers
    return words(
        "table.shape",
        layers=words.integer(len(layers)),
        heads=words.integer(sum(pair[0] for pair in layers)),
        neurons=words.integer(sum(pair[1] for pair in layers)),
        vocabulary=words.integer(item.shape.vocabulary),
    )


def _control_notes(view: View) -> Html | None:
    notes = view.analysis.controls_note
    if not notes:
        return None
    items = (
        el("li", el("b", name), view.words("unit.colon"), said(view.words, text))
        for name, text in notes.items()
    )
    return el("div", el("h3", view.words("table.controls")), el("ul", *items))


def size(view: View) -> Section | None:
    """Accuracy against size on disk, and disk and memory of those that matter."""
    items = [item for item in view.candidates if item.cost.size_bytes > 0]
    if not items:
        return None
    words = view.words
    body = stack(
        figure_box("fig-size", 460, words("size.alt"), 480),
        el("h3", words("size.bars")),
        _size_bars(view, items),
        el("p", words("size.memory"), cls="small"),
    )
    return Section("size", body, {"fig-size": _size_figure(words, items)})


def _size_figure(words: Words, items: Sequence[Candidate]) -> fig.Figure:
    worth = [item for item in items if group_of(item) != "check"] or list(items)
    traces = [
        scatter(words, group, members, [item.cost.size_bytes / 1e6 for item in members])
        for group, members in by_group(worth).items()
    ]
    sizes = [item.cost.size_bytes / 1e6 for item in worth]
    ticks, texts = fig.log_ticks(sizes)
    x_axis = fig.axis(
        words("axis.size"), type="log", range=fig.log_range(sizes),
        tickvals=list(ticks), ticktext=list(texts),
    )  # fmt: skip
    wide = fig.layout(xaxis=x_axis, yaxis=fig.axis(words("axis.accuracy"), tickformat=".0%"))
    narrow: fig.Json = {
        "margin": fig.NARROW_MARGIN,
    }
    return fig.Figure({"": fig.Variant(traces, wide, narrow)}, has_tools=True)


def _size_bars(view: View, items: Sequence[Candidate]) -> Html:
    words = view.words
    chosen, full = recommended(view.results), full_model(items)
    first = [item for item in (chosen, full) if item is not None]
    named = list(
        {item.name: item for item in [*first, *plain_controls(items), *pareto(items)]}.values()
    )
    largest = max(item.cost.size_bytes for item in named)
    memories = [item.cost.peak_rss_bytes or 0 for item in named]
    most = max(max(memories), 1)
    rows = []
    for item, memory in list(zip(named, memories, strict=True))[:_MAX_SIZE_ROWS]:
        disk = words.size(item.cost.size_bytes)
        lines = [_line(words("size.disk"), item.cost.size_bytes / largest, disk, "main")]
        if memory:
            lines.append(_line(words("size.rss"), memory / most, words.size(memory), "other"))
        rows.append(el("div", el("h4", breakable(friendly(words, item))), *lines, cls="glance-row"))
    return el("div", *rows, cls="columns")


def _line(name: str, share: float, text: str, kind: str) -> Html:
    return el("div", el("span", name), bar(share, kind), el("span", text, cls="num"), cls="line")
