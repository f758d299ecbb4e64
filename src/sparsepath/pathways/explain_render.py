"""Show an explanation: coloured in a terminal, or as one HTML page that needs nothing else.

Read with `explain.py` (what is shown), `explain_words.py` (the words), `shading.py`.
"""

import re
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from sparsepath.pathways.explain import Explanation, TokenScore
from sparsepath.pathways.explain_check import do_units_decide, verdict_of
from sparsepath.pathways.explain_units import NamedScore
from sparsepath.pathways.explain_words import WORDS, Lang
from sparsepath.pathways.shading import (
    colour,
    escaped,
    marked,
    page,
    paper,
    percent,
    plain_table,
    print_titled,
    rich_colour,
    section,
    signed,
    spread,
    strengths,
)

N_SHOWN = 10
"""Words, units and edges in a list."""

_EDGE = re.compile(r"(\d+)>(\d+)@(.+)")


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
            table = plain_table()
            table.add_column(say(column))
            table.add_column(say("score"), justify="right")
            for name, score in rows:
                style = rich_colour(colour(score)) if score else ""
                table.add_row(Text(name), Text(signed(score), style=style))
            print_titled(console, say(title), table)
    for key in say.units_notes():
        console.print(Text(say(key), style="dim"))
    _print_stand_for(console, say)
    table = plain_table()
    table.add_column(say("setting"))
    table.add_column(say.margin_title(), justify="right")
    table.add_column(say("confidence"), justify="right")
    for row in say.test_rows():
        style = "bold" if row.is_own else ""
        table.add_row(*(Text(cell, style=style) for cell in row[:3]))
    print_titled(console, say("test"), table)
    for key in say.verdicts():
        console.print(Text(say(key), style="" if key.startswith("verdict") else "dim"))


def explanation_html(explanation: Explanation, lang: Lang = "en") -> str:
    """Return one self-contained HTML page: no script, nothing loaded.

    Args:
        explanation: what to show.
        lang: language of the words.
    """
    say = _Speaker(explanation, lang)
    notes = "".join(f'<p class="soft">{escaped(say(key))}</p>' for key in say.heading_notes())
    units_note = " ".join(say(key) for key in say.units_notes())
    verdicts = "".join(f"<p>{escaped(say(key))}</p>" for key in say.verdicts())
    edges = _readable_edges(explanation)
    body = [
        f"<h1>{escaped(say('answer'))}</h1>{notes}",
        f'<p class="text">{_marked_text(explanation)}</p>',
        f'<p class="soft">{escaped(say("legend"))}</p>',
        '<div class="two">',
        section(say("words"), _score_table(say, "word", _strongest_words(explanation.tokens))),
        section(
            say("units"),
            _score_table(say, "unit", explanation.units[:N_SHOWN]) if explanation.units else "",
            units_note,
        ),
        "</div>",
        section(say("stand_for"), _stand_for_table(say)) if explanation.neurons else "",
        section(say("edges"), _score_table(say, "edge", edges), say("edges_note")) if edges else "",
        section(say("test"), verdicts + _test_table(say), say("test_note")),
    ]
    return page(say("title"), "".join(body), lang)


def _print_stand_for(console: Console, say: "_Speaker") -> None:
    """Print what the neurons of a sparse model stand for, if it is one."""
    if not say.explanation.neurons:
        return
    table = plain_table()
    for key in _stand_for_columns(say.explanation):
        table.add_column(say(key))
    for row in _stand_for(say.explanation):
        table.add_row(*(Text(cell) for cell in row))
    print_titled(console, say("stand_for"), table)


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
            "probability": percent(explanation.probability),
            "kept": f"{explanation.n_units_kept:,}",
            "all": f"{explanation.n_units:,}",
            "share": percent(explanation.share_units_kept),
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
            special["kept"] = percent(test.margin_kept)
            special["random"] = percent(_mean(test.random_margin_kept))
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
        if self.explanation.n_units == 0:
            return []
        verdict = verdict_of(self.explanation.margin, self.explanation.test)
        if verdict == "none":
            return ["verdict_none"]
        enough = ["enough"] if self.explanation.n_units_enough is not None else []
        return [f"verdict_{verdict}", *enough]

    def test_rows(self) -> list[_TestRow]:
        """Return the lines of the test."""
        test = self.explanation.test
        whole = _TestRow(
            self("all"), self._left(1.0), percent(self.explanation.probability), is_own=False
        )
        if self.explanation.n_units == 0:
            return [whole]
        return [
            whole,
            _TestRow(
                self("kept"), self._left(test.margin_kept), percent(test.confidence_kept), True
            ),
            _TestRow(
                self("random_kept"),
                self._range_left(test.random_margin_kept),
                spread(test.random_confidence_kept),
                is_own=False,
            ),
            _TestRow(
                self("removed"),
                self._left(test.margin_when_removed),
                percent(test.confidence_removed),
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
        return percent(share) if self.has_shares else signed(self._logits(share))

    def _range_left(self, shares: Sequence[float]) -> str:
        """Write the mean and the range of several margins."""
        if self.has_shares or not shares:
            return spread(shares)
        values = sorted(self._logits(share) for share in shares)
        return f"{signed(fmean(values))} ({signed(values[0])} … {signed(values[-1])})"

    def _logits(self, share: float) -> float:
        """Return the margin that a share stands for."""
        nothing = self.explanation.test.margin_of_nothing
        return nothing + share * (self.explanation.margin - nothing)


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


def _stand_for_columns(explanation: Explanation) -> list[str]:
    """Give the words above what neurons stand for."""
    return ["unit", *["concept"] * bool(explanation.concepts), "fires_for", "fires_in"]


def _stand_for(explanation: Explanation) -> list[list[str]]:
    """Write what each neuron stands for: name, concept, label, and its strongest text."""
    rows = []
    for number, neuron in enumerate(explanation.neurons[:N_SHOWN]):
        label = "" if neuron.label is None else f"{neuron.label} ({100 * neuron.label_share:.0f} %)"
        text = neuron.examples[0].text if neuron.examples else ""
        concept = [explanation.concepts[number] or ""] if explanation.concepts else []
        rows.append([neuron.name, *concept, label, text])
    return rows


def _coloured(explanation: Explanation) -> Text:
    """Colour the text token by token, for a terminal of any background."""
    shown, reached = Text(), 0
    scores = [token.score for token in explanation.tokens]
    for token, strength in zip(explanation.tokens, strengths(scores), strict=True):
        shown.append(explanation.text[reached : token.start])
        style = f"black on {paper(token.score, strength)}" if strength else ""
        shown.append(token.text_in(explanation.text), style=style)
        reached = max(reached, token.end)
    shown.append(explanation.text[reached:], style="dim")
    return shown


def _marked_text(explanation: Explanation) -> str:
    """Colour the text token by token, as markup."""
    parts, reached = [], 0
    scores = [token.score for token in explanation.tokens]
    for token, strength in zip(explanation.tokens, strengths(scores), strict=True):
        parts.append(escaped(explanation.text[reached : token.start]))
        parts.append(marked(token.text_in(explanation.text), token.score, strength))
        reached = max(reached, token.end)
    parts.append(f'<span class="soft">{escaped(explanation.text[reached:])}</span>')
    return "".join(parts)


def _score_table(say: _Speaker, column: str, rows: Sequence[NamedScore]) -> str:
    """Return names with scores and bars."""
    top = max((abs(row.score) for row in rows), default=0.0) or 1.0
    lines = []
    for row in rows:
        rgb = ",".join(str(part) for part in colour(row.score))
        width = 4 * abs(row.score) / top
        bar = f'<i class="bar" style="width:{width:.2f}em;background:rgb({rgb})"></i>'
        lines.append(
            f'<tr><td>{escaped(row.name)}</td><td class="n">{bar}{signed(row.score)}</td></tr>'
        )
    head = f'<tr><th>{escaped(say(column))}</th><th class="n">{escaped(say("score"))}</th></tr>'
    return f'<table class="score"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'


def _stand_for_table(say: _Speaker) -> str:
    """Return what neurons stand for as a table."""
    columns = _stand_for_columns(say.explanation)
    head = "".join(f"<th>{escaped(say(key))}</th>" for key in columns)
    lines = (
        "".join(f"<td>{escaped(cell)}</td>" for cell in row) for row in _stand_for(say.explanation)
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _test_table(say: _Speaker) -> str:
    """Return the test as a table."""
    lines = [
        f'<tr class="{"own" if row.is_own else ""}"><td>{escaped(row.setting)}</td>'
        f'<td class="n">{escaped(row.margin)}</td><td class="n">{escaped(row.confidence)}</td></tr>'
        for row in say.test_rows()
    ]
    head = (
        f'<tr><th>{escaped(say("setting"))}</th><th class="n">{escaped(say.margin_title())}</th>'
        f'<th class="n">{escaped(say("confidence"))}</th></tr>'
    )
    return f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"
