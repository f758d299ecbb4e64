"""The report over a span of time, as Markdown or as one HTML page without scripts.

Labels and names come from outside, so every cell is escaped in both forms.
"""

import html
import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from sparsepath.audit.period import Period
from sparsepath.audit.period_words import WORDS
from sparsepath.config import Language

Form = Literal["html", "md"]

MAX_FACTS: Final = 300
"""Characters of an event's facts that are shown."""

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;margin:.5rem 0 1.5rem}"
    "th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;"
    "border-bottom:1px solid #ccc;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#151515}"
    "th,td{border-color:#444}}"
)


class Part(NamedTuple):
    """A heading with what is below it."""

    title: str
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def period_page(period: Period, log: str, *, lang: Language = "en", form: Form = "html") -> str:
    """Write the report.

    Args:
        period: its figures.
        log: name of the database, without a password.
        lang: of the page.
        form: HTML or Markdown.
    """
    words = WORDS[lang]
    head = Part(
        words["title"], words["span"].format(since=period.since, until=period.until, log=log)
    )
    parts = [head, *_parts(period, words)]
    return _html(parts, lang) if form == "html" else _markdown(parts)


def _parts(period: Period, words: dict[str, str]) -> list[Part]:
    """Give what follows the title."""
    if period.first is None:
        return [Part(words["summary"], words["none"]), _chain(period, words)]
    n = max(1, period.n_answers)

    def counted(name: str, column: str, counts: dict[str, int]) -> Part:
        rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        told = [(key, f"{count:,}", _percent(count / n)) for key, count in rows]
        return Part(words[name], "", (words[column], words["answers"], words["share"]), told)

    n_decisions = max(1, period.kinds["decision"])
    labels = [
        (label, f"{one.n:,}", _percent(one.n / n_decisions), f"{one.probability:.3f}")
        for label, one in sorted(period.labels.items(), key=lambda item: (-item[1].n, item[0]))
    ]
    label_columns = [words[name] for name in ("label", "decisions", "share", "probability")]
    days = [(day, f"{count:,}") for day, count in sorted(period.days.items())]
    found = [
        _summary(period, words),
        _chain(period, words),
        Part(words["labels"], "", label_columns, labels),
        counted("models", "model", period.models),
        counted("askers", "asker", period.askers),
        Part(words["days"], "", (words["day"], words["answers"]), days),
    ]
    return [part for part in found if part.rows or part.text] + [_events(period, words)]


def _summary(period: Period, words: dict[str, str]) -> Part:
    """Give the figures of the whole span."""
    told: list[tuple[str, str]] = [
        (words["answers"], f"{period.n_answers:,}"),
        (words["records"], f"{period.kinds.total():,}"),
        (words["first"], f"{period.first}"),
        (words["last"], f"{period.last}"),
        (words["hash"], period.last_hash),
    ]
    if period.tokens:
        told.append((words["tokens"], f"{period.tokens:,}"))
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        if (ms := period.latency_at(share)) is not None:
            told.append((words[name], f"{ms:,.2f}"))
    told.append((words["back"], f"{period.n_back}"))
    return Part(words["summary"], "", (words["figure"], words["value"]), told)


def _chain(period: Period, words: dict[str, str]) -> Part:
    """Say whether the log is as it was written."""
    if period.chain is None:
        return Part(words["chain"], words["chain.unknown"])
    faults = period.chain.faults
    text = words["chain.no" if faults else "chain.yes"]
    told = text.format(records=f"{period.chain.records:,}", faults=len(faults))
    rows = [(f"{fault.seq}", fault.what) for fault in faults]
    return Part(words["chain"], told, (words["record"], words["fault"]), rows)


def _events(period: Period, words: dict[str, str]) -> Part:
    """List changes and events."""
    columns = [words[name] for name in ("record", "time", "kind", "facts")]
    rows = [
        (f"{event.seq}", event.time[:19], event.kind, event.facts[:MAX_FACTS])
        for event in period.events
    ]
    more = period.n_events - len(rows)
    text = words["events.more"].format(n=f"{more:,}") if more else ""
    return Part(words["events"], text if rows else words["events.none"], columns, rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _html(parts: Sequence[Part], lang: Language) -> str:
    """Write one page that needs nothing else."""
    told = []
    for level, part in enumerate(parts):
        name = "h2" if level else "h1"
        told.append(f"<{name}>{_safe(part.title)}</{name}>")
        if part.text:
            told.append(f"<p>{_safe(part.text)}</p>")
        if part.rows:
            head = "".join(f'<th scope="col">{_safe(cell)}</th>' for cell in part.columns)
            rows = "".join(
                "<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>\n"
                for row in part.rows
            )
            told.append(f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>")
    body = "\n".join(told)
    return (
        f'<!doctype html>\n<html lang="{lang}">\n<head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(parts[0].title)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _markdown(parts: Sequence[Part]) -> str:
    """Write Markdown with tables."""
    told: list[str] = []
    for level, part in enumerate(parts):
        told.append(f"{'##' if level else '#'} {_plain(part.title)}")
        if part.text:
            told.append(_plain(part.text))
        if part.rows:
            lines = [part.columns, ["---"] * len(part.columns), *part.rows]
            told.append(
                "\n".join(
                    f"| {' | '.join(cell if cell == '---' else _plain(cell) for cell in line)} |"
                    for line in lines
                )
            )
    return "\n\n".join(told) + "\n"


def _safe(text: str) -> str:
    """Escape for HTML; what has no UTF-8 form becomes a question mark."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def _plain(text: str) -> str:
    """Escape for a line of Markdown, which may hold HTML."""
    one_line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return html.escape(re.sub(r"([\\`*_\[\]|~])", r"\\\1", one_line), quote=False)
