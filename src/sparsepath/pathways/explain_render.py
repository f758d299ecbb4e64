"""Show an explanation: coloured in a terminal, or as one HTML page that needs nothing else.

Read with `explain.py` (what is shown) and `explain_words.py` (the words).
"""

import html
import re
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sparsepath.pathways.explain import Explanation, TokenScore
from sparsepath.pathways.explain_check import do_units_decide
from sparsepath.pathways.explain_units import NamedScore
from sparsepath.pathways.explain_words import WORDS, Lang

N_SHOWN = 10
"""Words, units and edges in a list."""

GOOD_KEPT, GOOD_RANDOM = 0.9, 0.3
"""Shares of the margin from which, and up to which, the test calls an explanation good."""

FOR_RGB, AGAINST_RGB = (37, 99, 205), (214, 104, 20)
"""Colours of tokens that speak for the target, and against it."""

FAINTEST = 0.08
"""Share of the strongest score below which a token stays uncoloured."""

_EDGE = re.compile(r"(\d+)>(\d+)@(.+)")

_STYLE = """
:root{color-scheme:light dark}
:root{--ink:#1b2430;--soft:#5b6675;--line:#dfe3e8;--page:#fff;--card:#f6f7f9}
@media (prefers-color-scheme:dark){
:root{--ink:#e8ebef;--soft:#a3adb9;--line:#39414c;--page:#14181d;--card:#1d232a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);line-height:1.6;overflow-wrap:anywhere}
body{font-family:system-ui,-apple-system,"Segoe UI","Hiragino Sans","Noto Sans JP",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{font-size:1.6rem;line-height:1.3;margin:0 0 .25rem}
h2{font-size:1.05rem;margin:2.25rem 0 .5rem}
p{margin:.4rem 0}
.soft{color:var(--soft);font-size:.9rem}
.text{font-size:1.25rem;line-height:2.1;background:var(--card);border-radius:.6rem}
.text{padding:1rem 1.2rem;margin:1rem 0 .5rem;white-space:pre-wrap}
.text span{border-radius:.25rem;padding:.15em 0}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:0 2.5rem}
table{border-collapse:collapse;width:100%;font-size:.95rem}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.85rem}
th,td{padding:.35rem .5rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:baseline}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.score td.n{white-space:nowrap}
.own td{font-weight:650}
.bar{display:inline-block;height:.6em;border-radius:.15em;margin-right:.5em}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}tr{break-inside:avoid}
.text span,.bar{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


class _TestRow(NamedTuple):
    """One line of the test."""

    setting: str
    margin: str
    confidence: str
    is_own: bool


def print_explanation(explanation: Explanation, console: Console, lang: Lang = "en") -> None:
    """Print an explanation to a terminal.

    Args:
        explanation: what to show.
        console: where; without colours the lists still say everything.
        lang: language of the words.
    """
    say = _Speaker(explanation, lang)
    console.print(Text(say("answer"), style="bold"))
    for key in say.heading_notes():
        console.print(Text(say(key), style="dim"))
    console.print()
    console.print(_coloured(explanation), soft_wrap=True)
    console.print(Text(say("legend"), style="dim"))
    lists = (
        ("words", "word", _strongest_words(explanation.tokens)),
        ("units", "unit", explanation.units[:N_SHOWN]),
        ("edges", "edge", _readable_edges(explanation)),
    )
    for title, column, rows in lists:
        if rows:
            table = _table()
            table.add_column(say(column))
            table.add_column(say("score"), justify="right")
            for name, score in rows:
                style = _rich_colour(_colour(score)) if score else ""
                table.add_row(Text(name), Text(_signed(score), style=style))
            _print_titled(console, say(title), table)
    for key in say.units_notes():
        console.print(Text(say(key), style="dim"))
    _print_stand_for(console, say)
    table = _table()
    table.add_column(say("setting"))
    table.add_column(say.margin_title(), justify="right")
    table.add_column(say("confidence"), justify="right")
    for row in say.test_rows():
        style = "bold" if row.is_own else ""
        table.add_row(*(Text(cell, style=style) for cell in row[:3]))
    _print_titled(console, say("test"), table)
    for key in say.verdicts():
        console.print(Text(say(key), style="" if key.startswith("verdict") else "dim"))


def explanation_html(explanation: Explanation, lang: Lang = "en") -> str:
    """Return one self-contained HTML page: no script, nothing loaded.

    Args:
        explanation: what to show.
        lang: language of the words.
    """
    say = _Speaker(explanation, lang)
    notes = "".join(f'<p class="soft">{_esc(say(key))}</p>' for key in say.heading_notes())
    units_note = " ".join(say(key) for key in say.units_notes())
    verdicts = "".join(f"<p>{_esc(say(key))}</p>" for key in say.verdicts())
    edges = _readable_edges(explanation)
    body = [
        f"<h1>{_esc(say('answer'))}</h1>{notes}",
        f'<p class="text">{_marked_text(explanation)}</p>',
        f'<p class="soft">{_esc(say("legend"))}</p>',
        '<div class="two">',
        _section(say("words"), _score_table(say, "word", _strongest_words(explanation.tokens))),
        _section(
            say("units"),
            _score_table(say, "unit", explanation.units[:N_SHOWN]) if explanation.units else "",
            units_note,
        ),
        "</div>",
        _section(say("stand_for"), _stand_for_table(say)) if explanation.neurons else "",
        _section(say("edges"), _score_table(say, "edge", edges), say("edges_note"))
        if edges
        else "",
        _section(say("test"), verdicts + _test_table(say), say("test_note")),
    ]
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_esc(say('title'))}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _table() -> Table:
    """Return an empty table without lines."""
    return Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))


def _print_stand_for(console: Console, say: "_Speaker") -> None:
    """Print what the neurons of a sparse model stand for, if it is one."""
    if not say.explanation.neurons:
        return
    table = _table()
    for key in ("unit", "fires_for", "fires_in"):
        table.add_column(say(key))
    for row in _stand_for(say.explanation):
        table.add_row(*(Text(cell) for cell in row))
    _print_titled(console, say("stand_for"), table)


def _print_titled(console: Console, title: str, table: Table) -> None:
    """Print a table below its title, which may be wider than the table."""
    console.print()
    console.print(Text(title, style="bold"))
    console.print(table)


class _Speaker:
    """Fills the words of one language with the numbers of one explanation."""

    def __init__(self, explanation: Explanation, lang: Lang) -> None:
        """Collect the values of all blanks."""
        test = explanation.test
        self.explanation = explanation
        self.table = WORDS[lang]
        self.has_shares = do_units_decide(explanation.margin, test.margin_of_nothing)
        self.values = {
            "target": explanation.target,
            "against": explanation.against,
            "predicted": explanation.predicted,
            "probability": _percent(explanation.probability),
            "kept": f"{explanation.n_units_kept:,}",
            "all": f"{explanation.n_units:,}",
            "share": _percent(explanation.share_units_kept),
            "heads": "L02.H05",
            "neurons": "L02.M0117",
            "neuron": "L02/117",
            "margin": f"{explanation.margin:.2f}",
            "nothing": f"{test.margin_of_nothing:.2f}",
        }

    def __call__(self, key: str) -> str:
        """Return one text with its blanks filled."""
        test = self.explanation.test
        special: dict[str, str] = {}
        if key == "cut":
            special["n"] = f"{self.explanation.n_tokens_cut:,}"
        elif key == "enough":
            special["n"] = f"{self.explanation.n_units_enough or 0:,}"
        elif key.startswith("random"):
            special["n"] = str(len(test.random_margin_kept))
        elif key == "verdict_weak":
            special["kept"] = _percent(test.margin_kept)
            special["random"] = _percent(_mean(test.random_margin_kept))
        elif key == "verdict_none":
            change = abs(self.explanation.margin - test.margin_of_nothing)
            special["change"] = f"{change:.2f}"
        return self.table[key].format(**(self.values | special))

    def heading_notes(self) -> list[str]:
        """Return the keys of the remarks below the answer."""
        notes = ["question"]
        if self.explanation.predicted != self.explanation.target:
            notes.append("not_answer")
        if self.explanation.n_tokens_cut:
            notes.append("cut")
        return notes

    def units_notes(self) -> list[str]:
        """Return the keys of the remarks on units."""
        if self.explanation.n_units == 0:
            return ["units_none"]
        if not self.explanation.neurons:
            return ["units_note"]
        return ["neurons_note", "neurons_exact" if self.explanation.is_exact else "neurons_line"]

    def verdicts(self) -> list[str]:
        """Return the keys of what the test says; nothing where there are no units to test."""
        test = self.explanation.test
        if self.explanation.n_units == 0:
            return []
        if not self.has_shares:
            return ["verdict_none"]
        is_good = (
            test.margin_kept >= GOOD_KEPT and _mean(test.random_margin_kept, 1.0) <= GOOD_RANDOM
        )
        enough = ["enough"] if self.explanation.n_units_enough is not None else []
        return ["verdict_good" if is_good else "verdict_weak", *enough]

    def test_rows(self) -> list[_TestRow]:
        """Return the lines of the test."""
        test = self.explanation.test
        whole = _TestRow(
            self("all"), self._left(1.0), _percent(self.explanation.probability), is_own=False
        )
        if self.explanation.n_units == 0:
            return [whole]
        return [
            whole,
            _TestRow(
                self("kept"), self._left(test.margin_kept), _percent(test.confidence_kept), True
            ),
            _TestRow(
                self("random_kept"),
                self._range_left(test.random_margin_kept),
                _spread(test.random_confidence_kept),
                is_own=False,
            ),
            _TestRow(
                self("removed"),
                self._left(test.margin_when_removed),
                _percent(test.confidence_removed),
                is_own=True,
            ),
            _TestRow(
                self("random_removed"),
                self._range_left(test.random_margin_when_removed),
                "",
                is_own=False,
            ),
            _TestRow(self("nothing"), self._left(0.0), "", is_own=False),
        ]

    def margin_title(self) -> str:
        """Return the heading of the margins."""
        return self("margin" if self.has_shares else "margin_logits")

    def _left(self, share: float) -> str:
        """Write a margin: as a share where shares mean something, else in logits."""
        return _percent(share) if self.has_shares else _signed(self._logits(share))

    def _range_left(self, shares: Sequence[float]) -> str:
        """Write the mean and the range of several margins."""
        if self.has_shares or not shares:
            return _spread(shares)
        values = sorted(self._logits(share) for share in shares)
        return f"{_signed(fmean(values))} ({_signed(values[0])} … {_signed(values[-1])})"

    def _logits(self, share: float) -> float:
        """Return the margin that a share stands for."""
        nothing = self.explanation.test.margin_of_nothing
        return nothing + share * (self.explanation.margin - nothing)


def _signed(score: float) -> str:
    """Write a score with its sign."""
    return f"{score:+.2f}".replace("-", "\N{MINUS SIGN}")


def _percent(share: float) -> str:
    """Write a share."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")


def _spread(shares: Sequence[float]) -> str:
    """Write the mean and the range of several shares."""
    if not shares:
        return ""
    ends = f"{100 * min(shares):.0f} … {100 * max(shares):.0f}".replace("-", "\N{MINUS SIGN}")
    return f"{_percent(fmean(shares))} ({ends})"


def _mean(shares: Sequence[float], otherwise: float = 0.0) -> float:
    """Return the mean, or `otherwise` of nothing."""
    return fmean(shares) if shares else otherwise


def _strongest_words(tokens: Sequence[TokenScore]) -> list[NamedScore]:
    """Join the tokens of a word and return the strongest words."""
    words: list[NamedScore] = []
    for token in tokens:
        if token.is_special:
            continue
        # Text without spaces is not one word: only alphabets join their pieces.
        joins = words and token.is_joined and token.text.isascii() and token.text.isalnum()
        if joins and words[-1].name.isascii() and words[-1].name.isalnum():
            last = words.pop()
            words.append(NamedScore(last.name + token.text, last.score + token.score))
        elif token.text:
            words.append(NamedScore(token.text, token.score))
        elif words:
            last = words.pop()
            words.append(NamedScore(last.name, last.score + token.score))
    return sorted(words, key=lambda word: -abs(word.score))[:N_SHOWN]


def _readable_edges(explanation: Explanation) -> list[NamedScore]:
    """Write edges with words: target, an arrow, source, and where."""
    readable = []
    for edge in explanation.edges[:N_SHOWN]:
        found = _EDGE.fullmatch(edge.name)
        assert found is not None, f"{edge.name!r} is not the name of an edge"
        source, target = (explanation.tokens[int(found[i])].text for i in (1, 2))
        readable.append(NamedScore(f"{target} → {source}  ({found[3]})", edge.score))
    return readable


def _stand_for(explanation: Explanation) -> list[tuple[str, str, str]]:
    """Write what each neuron stands for: its name, its label, and its strongest text."""
    rows = []
    for neuron in explanation.neurons[:N_SHOWN]:
        label = "" if neuron.label is None else f"{neuron.label} ({100 * neuron.label_share:.0f} %)"
        rows.append((neuron.name, label, neuron.examples[0].text if neuron.examples else ""))
    return rows


def _colour(score: float) -> tuple[int, int, int]:
    """Return the colour of a score's sign."""
    return FOR_RGB if score > 0 else AGAINST_RGB


def _rich_colour(rgb: Iterable[int]) -> str:
    """Write a colour for rich."""
    return f"rgb({','.join(str(part) for part in rgb)})"


def _strengths(tokens: Sequence[TokenScore]) -> list[float]:
    """Return each token's score as a share of the strongest one, 0 to 1."""
    top = max((abs(token.score) for token in tokens), default=0.0)
    shares = [abs(token.score) / top if top else 0.0 for token in tokens]
    return [share if share >= FAINTEST else 0.0 for share in shares]


def _coloured(explanation: Explanation) -> Text:
    """Colour the text token by token, for a terminal of any background."""
    shown, reached = Text(), 0
    for token, strength in zip(explanation.tokens, _strengths(explanation.tokens), strict=True):
        shown.append(explanation.text[reached : token.start])
        if strength:
            # Paler towards white, so that black letters stay readable.
            paper = [round(255 - (255 - part) * 0.65 * strength) for part in _colour(token.score)]
            shown.append(token.text_in(explanation.text), style=f"black on {_rich_colour(paper)}")
        else:
            shown.append(token.text_in(explanation.text))
        reached = max(reached, token.end)
    shown.append(explanation.text[reached:], style="dim")
    return shown


def _marked_text(explanation: Explanation) -> str:
    """Colour the text token by token, as markup."""
    parts, reached = [], 0
    for token, strength in zip(explanation.tokens, _strengths(explanation.tokens), strict=True):
        parts.append(_esc(explanation.text[reached : token.start]))
        piece = _esc(token.text_in(explanation.text))
        if strength and piece:
            rgb = ",".join(str(part) for part in _colour(token.score))
            parts.append(
                f'<span style="background:rgba({rgb},{0.65 * strength:.2f})" '
                f'title="{token.score:+.2f}">{piece}</span>'
            )
        else:
            parts.append(piece)
        reached = max(reached, token.end)
    parts.append(f'<span class="soft">{_esc(explanation.text[reached:])}</span>')
    return "".join(parts)


def _section(title: str, content: str, note: str = "") -> str:
    """Return a part of the page."""
    below = f'<p class="soft">{_esc(note)}</p>' if note else ""
    return f"<section><h2>{_esc(title)}</h2>{content}{below}</section>"


def _score_table(say: _Speaker, column: str, rows: Sequence[NamedScore]) -> str:
    """Return names with scores and bars."""
    top = max((abs(row.score) for row in rows), default=0.0) or 1.0
    lines = []
    for row in rows:
        rgb = ",".join(str(part) for part in _colour(row.score))
        width = 4 * abs(row.score) / top
        bar = f'<i class="bar" style="width:{width:.2f}em;background:rgb({rgb})"></i>'
        lines.append(
            f'<tr><td>{_esc(row.name)}</td><td class="n">{bar}{_signed(row.score)}</td></tr>'
        )
    head = f'<tr><th>{_esc(say(column))}</th><th class="n">{_esc(say("score"))}</th></tr>'
    return f'<table class="score"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'


def _stand_for_table(say: _Speaker) -> str:
    """Return what neurons stand for as a table."""
    head = "".join(f"<th>{_esc(say(key))}</th>" for key in ("unit", "fires_for", "fires_in"))
    lines = (
        "".join(f"<td>{_esc(cell)}</td>" for cell in row) for row in _stand_for(say.explanation)
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _test_table(say: _Speaker) -> str:
    """Return the test as a table."""
    lines = [
        f'<tr class="{"own" if row.is_own else ""}"><td>{_esc(row.setting)}</td>'
        f'<td class="n">{_esc(row.margin)}</td><td class="n">{_esc(row.confidence)}</td></tr>'
        for row in say.test_rows()
    ]
    head = (
        f'<tr><th>{_esc(say("setting"))}</th><th class="n">{_esc(say.margin_title())}</th>'
        f'<th class="n">{_esc(say("confidence"))}</th></tr>'
    )
    return f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"


def _esc(text: str) -> str:
    """Escape text for markup."""
    return html.escape(text)
