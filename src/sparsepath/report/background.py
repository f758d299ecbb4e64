"""The data, the stages of the run, how things were measured, their limits, and the machine."""

from collections.abc import Sequence
from typing import Any

from sparsepath.artifacts.analysis import DatasetFacts
from sparsepath.report.html import Html, el
from sparsepath.report.inputs import View
from sparsepath.report.language import Words
from sparsepath.report.phrases import said
from sparsepath.report.section import (
    Cell,
    Column,
    Row,
    Section,
    bar,
    command,
    facts,
    label_cell,
    more_button,
    note,
    stack,
    table,
)

_SHOWN_LABELS = 12
_METHOD = ("split", "quality", "interval", "pairs", "latency", "size", "units", "submodels",
           "dynamic", "explain")  # fmt: skip
_NEEDS_ROWS = {"quality"}
_LIMITS = ("rows", "machine", "choice", "shift", "explain", "controls")


def data(view: View) -> Section | None:
    """What was read, how it was split, and what to know about it."""
    found, words = view.analysis.dataset, view.words
    if found is None and view.results is None:
        return None
    warnings = found.warnings if found else []
    remarks = el("ul", *(el("li", said(words, text)) for text in warnings))
    head = el("p", el("b", words("data.notes")))
    body = stack(
        note(head, remarks, kind="warn") if warnings else None,
        facts(_data_facts(view, found), is_wide=True),
        _label_table(words, found) if found else None,
    )
    return Section("data", body)


def _data_facts(view: View, found: DatasetFacts | None) -> list[tuple[str, str]]:
    words = view.words
    pairs: list[tuple[str, str | None]] = [("file", view.run.data_path)]
    if found:
        pairs += [
            ("text", found.text_column),
            ("label", found.label_column),
            ("found", found.how_found and said(words, found.how_found)),
            ("read", None if found.n_rows is None else words.integer(found.n_rows)),
            ("sampled", None if found.n_sampled is None else words.integer(found.n_sampled)),
        ]
    if view.results:
        split = view.results.data
        counts = (split.rows_train, split.rows_valid, split.rows_test)
        pairs.append(("split", " / ".join(words.integer(count) for count in counts)))
    if found:
        moved = (found.duplicates_moved, found.near_duplicates_moved)
        pairs += [
            ("exact", None if moved[0] is None else words.integer(moved[0])),
            ("near", None if moved[1] is None else words.integer(moved[1])),
            ("language", found.languages_note),
            ("unknown", _maybe_percent(words, found.unknown_token_share)),
        ]
    return [(words(f"data.{key}"), value) for key, value in pairs if value]


def _maybe_percent(words: Words, value: float | None) -> str | None:
    return None if value is None else words.percent(value, 2)


def _label_table(words: Words, found: DatasetFacts) -> Html | None:
    counts = sorted(found.label_counts.items(), key=lambda pair: -sum(pair[1]))
    if not counts:
        return None
    most = max(max(sum(item[1]) for item in counts), 1)
    columns = [
        Column(words("column.label")),
        *(Column(words(f"data.{part}"), is_number=True) for part in ("train", "valid", "test")),
        Column(words("column.all"), is_number=True),
        Column(words("column.picture.rows")),
    ]
    rows = [
        Row(
            [
                label_cell(name),
                *(Cell(words.integer(count), count) for count in parts),
                Cell(words.integer(sum(parts)), sum(parts)),
                Cell(bar(sum(parts) / most, "main"), sum(parts)),
            ]
        )
        for name, parts in counts
    ]
    is_long = len(rows) > _SHOWN_LABELS
    return stack(
        table(columns, rows, identity="table-counts", shown=_SHOWN_LABELS),
        more_button("table-counts", words("more.labels", n=words.integer(len(rows))))
        if is_long
        else None,
    )


def stages(view: View) -> Section | None:
    """Where the time went and what each stage taught."""
    items = view.analysis.stages
    if not items:
        return None
    words = view.words
    longest = max(max(item.wall_s, item.planned_s or 0.0) for item in items) or 1.0
    columns = [
        Column(words("column.stage")),
        Column(words("column.planned"), is_number=True),
        Column(words("column.took"), is_number=True),
        Column(words("column.picture.time")),
        Column(words("column.learnt")),
    ]
    rows = [
        Row(
            [
                Cell(words.known("stage", item.name), index),
                Cell(
                    "–" if item.planned_s is None else words.duration(item.planned_s),
                    item.planned_s,
                ),
                Cell(words.duration(item.wall_s), item.wall_s),
                Cell(_two_bars(item.planned_s, item.wall_s, longest), item.wall_s),
                Cell(el("span", said(words, item.learnt), cls="label"), item.learnt),
            ]
        )
        for index, item in enumerate(items)
    ]
    total = words.rich(
        "stages.total", total=words.duration(view.run.wall_s or sum(item.wall_s for item in items))
    )
    body = stack(el("p", total), table(columns, rows, identity="table-stages"))
    return Section("stages", body)


def _two_bars(planned: float | None, took: float, longest: float) -> Html:
    return el(
        "div",
        bar((planned or 0.0) / longest, "planned") if planned is not None else None,
        bar(took / longest, "main"),
        cls="bars",
    )


def method(view: View) -> Section:
    """How it was measured and what it does not show, in plain words."""
    words = view.words
    threads = view.run.config.get("threads")
    thread_text = words.integer(threads) if isinstance(threads, int) else "1"
    rows = view.results.data.rows_test if view.results else 0
    blanks = {"threads": thread_text, "rows": words.integer(rows)}
    shown = [key for key in _METHOD if rows or key not in _NEEDS_ROWS]
    how = (_item(words, f"method.{key}", blanks) for key in shown)
    limits = (_item(words, f"limits.{key}", blanks) for key in _LIMITS)
    body = el(
        "div",
        el("div", el("h3", words("method.how")), el("ul", *how)),
        el("div", el("h3", words("method.limits")), el("ul", *limits)),
        cls="pair prose",
    )
    return Section("method", body)


def _item(words: Words, key: str, blanks: dict[str, str]) -> Html:
    return el("li", words.rich(key, **blanks))


def machine(view: View) -> Section:
    """What it ran on, with what, and how to run it again."""
    words, run = view.words, view.run
    pairs = [*_machine_facts(words, run.machine)]
    pairs += [
        (words("machine.started"), words.moment(run.created_utc)),
        (words("machine.wall"), words.duration(run.wall_s)),
    ]
    if run.base_model:
        pairs.append((words("machine.base"), run.base_model))
    if run.data_sha256:
        pairs.append((words("machine.sha"), run.data_sha256))
    pairs += [(words("machine.seed", name=name), str(seed)) for name, seed in run.seeds.items()]
    versions = [(name, version) for name, version in run.versions.items()]
    body = stack(
        el("p", words("machine.again")),
        command(run.command),
        el(
            "div",
            el("div", el("h3", words("machine.machine")), facts(pairs)),
            el("div", el("h3", words("machine.versions")), facts(versions), cls="versions"),
            cls="pair",
        ),
    )
    return Section("machine", body)


def _machine_facts(words: Words, found: dict[str, Any]) -> Sequence[tuple[str, str]]:
    pairs = []
    for key, value in found.items():
        if value is None:
            continue
        if key == "memory_bytes" and isinstance(value, int):
            shown = words.size(value)
        elif isinstance(value, dict):
            shown = words.listed([name for name, is_on in value.items() if is_on]) or "–"
        else:
            shown = str(value)
        pairs.append((words.known("machine", key), shown))
    return pairs
