"""Show why a token was written: coloured in a terminal, or as one page that needs nothing else.

Read with `next_token.py` (what is shown), `next_token_words.py` (the words), `shading.py`.
"""

from statistics import fmean
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from sparsepath.pathways.explain_words import Lang
from sparsepath.pathways.next_token import NextToken
from sparsepath.pathways.next_token_words import TOKEN_WORDS
from sparsepath.pathways.shading import (
    STYLE,
    escaped,
    marked,
    page,
    paper,
    percent,
    plain_table,
    print_titled,
    section,
    signed,
    spread,
    strengths,
)

N_SHOWN = 8
"""Rows of a list."""
N_TOLD = 3
"""Words in the sentence that sums up."""
NAMES_STYLE = "th.name,td.name,td.n{white-space:nowrap}td.name{padding-right:1rem}"


class _Listed(NamedTuple):
    """A table: its title, its columns, its rows; scores stand in the last column."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def print_next_token(told: NextToken, console: Console, lang: Lang = "en") -> None:
    """Print an explanation to a terminal.

    Args:
        told: what to show.
        console: where; without colours the lists still say everything.
        lang: language of the words.
    """
    say = _Speaker(told, lang)
    console.print(Text(say("answer"), style="bold"))
    for key in say.heading:
        console.print(Text(say(key), style="dim"))
    console.print()
    shown = Text()
    scores = [word.score for word in told.words]
    for word, strength in zip(told.words, strengths(scores), strict=True):
        style = f"black on {paper(word.score, strength)}" if strength else ""
        shown.append(word.text, style=style)
    console.print(shown, soft_wrap=True)
    console.print(Text(say("legend"), style="dim"))
    console.print()
    console.print(Text(say.paragraph()))
    for listed in say.lists():
        table = plain_table()
        for name in listed.columns:
            table.add_column(name, justify="right" if name == listed.columns[-1] else "left")
        for row in listed.rows:
            table.add_row(*(Text(cell) for cell in row))
        print_titled(console, listed.title, table)
        if listed.title == say("neurons"):
            console.print(Text(say("neurons_note"), style="dim"))
    console.print(Text(say("test_note"), style="dim"))


def next_token_html(told: NextToken, lang: Lang = "en") -> str:
    """Return one self-contained HTML page: no script, nothing loaded.

    Args:
        told: what to show.
        lang: language of the words.
    """
    say = _Speaker(told, lang)
    scores = [word.score for word in told.words]
    text = "".join(
        marked(word.text, word.score, strength)
        for word, strength in zip(told.words, strengths(scores), strict=True)
    )
    notes = {say("neurons"): say("neurons_note"), say("test"): say("test_note")}
    body = [
        f"<h1>{escaped(say('answer'))}</h1>",
        *(f'<p class="soft">{escaped(say(key))}</p>' for key in say.heading),
        f'<p class="text">{text}</p><p class="soft">{escaped(say("legend"))}</p>',
        f"<p>{escaped(say.paragraph())}</p>",
        *(
            section(listed.title, _html_table(listed), notes.get(listed.title, ""))
            for listed in say.lists()
        ),
    ]
    return page(say("title"), "".join(body), lang, STYLE + NAMES_STYLE)


def _html_table(listed: _Listed) -> str:
    """Return a table as markup."""
    last = len(listed.columns) - 1
    head = "".join(
        f'<th class="{"n" if i == last else "name"}">{escaped(name)}</th>'
        for i, name in enumerate(listed.columns)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td class="{_cell(i, last)}">{escaped(cell)}</td>' for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in listed.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(column: int, last: int) -> str:
    """Name the kind of a cell: scores stand to the right, and names are not broken."""
    return "n" if column == last else "" if column else "name"


class _Speaker:
    """Fills the words of one language with the figures of one explanation."""

    def __init__(self, told: NextToken, lang: Lang) -> None:
        """Collect the values of all blanks."""
        self.told, self.table = told, TOKEN_WORDS[lang]
        self.between = " " if lang == "en" else ""
        self.heading = ["question"] + (["not_answer"] if told.answer != told.target else [])
        self.values = {
            "target": _quoted(told.target),
            "against": _quoted(told.against),
            "answer": _quoted(told.answer),
            "probability": percent(told.probability),
            "margin": f"{told.margin:.2f}",
            "named": f"{told.n_named:,}",
            "active": f"{told.n_active:,}",
            "site": told.site,
            "kept": percent(told.test.kept),
            "random": percent(fmean(told.test.random_kept or [0.0])),
            "n": str(len(told.test.random_kept)),
        }

    def __call__(self, key: str, **more: str) -> str:
        """Return one text with its blanks filled."""
        return self.table[key].format(**(self.values | more))

    def paragraph(self) -> str:
        """Sum up in sentences that claim what the test shows."""
        told = self.told
        sign = 1 if told.margin >= 0 else -1
        strongest = sorted(told.words, key=lambda word: -sign * word.score)[:N_TOLD]
        words = ", ".join(_quoted(word.text) for word in strongest)
        sentences = [self("told" if told.test.has_lead else "told_level", strongest=words)]
        changing = [item for item in told.left_out if item.answer != told.answer]
        if changing:
            first = changing[0]
            sentences.append(
                self("told_change", word=_quoted(first.text), other=_quoted(first.answer))
            )
        elif told.left_out:
            sentences.append(self("told_no_change"))
        why = self("and").join(self(f"doubt_{doubt}") for doubt in told.test.doubts)
        sentences.append(self(f"verdict_{told.test.verdict}", why=why))
        return self.between.join(sentences)

    def lists(self) -> list[_Listed]:
        """Return the tables in the order they are read."""
        return [self._words(), self._neurons(), self._heads(), self._left_out(), self._test()]

    def _words(self) -> _Listed:
        """The words of the text."""
        ranked = sorted(self.told.words, key=lambda word: -abs(word.score))[:N_SHOWN]
        rows = [[_quoted(word.text), signed(word.score)] for word in ranked]
        return _Listed(self("words"), [self("word"), self("score")], rows)

    def _neurons(self) -> _Listed:
        """The neurons, with what they stand for where that is known."""
        has_labels = any(neuron.label for neuron in self.told.neurons)
        columns = [self("neuron"), self("at"), self("reads"), self("score")]
        rows = []
        for neuron in self.told.neurons[:N_SHOWN]:
            reads = ", ".join(_quoted(word.text) for word in neuron.reads[:N_TOLD])
            row = [neuron.name, _quoted(neuron.token), reads, signed(neuron.score)]
            rows.append([row[0], neuron.label or "", *row[1:]] if has_labels else row)
        if has_labels:
            columns.insert(1, self("meaning"))
        return _Listed(self("neurons"), columns, rows)

    def _heads(self) -> _Listed:
        """The attention heads."""
        rows = [[head.name, signed(head.score)] for head in self.told.heads[:N_SHOWN]]
        return _Listed(self("heads"), [self("head"), self("score")], rows)

    def _left_out(self) -> _Listed:
        """The answers without single words."""
        rows = [
            [_quoted(item.text), _quoted(item.answer), signed(item.margin)]
            for item in self.told.left_out
        ]
        return _Listed(self("left_out"), [self("word"), self("then"), self("margin")], rows)

    def _test(self) -> _Listed:
        """What remains of the margin."""
        test = self.told.test
        rows = [
            [self("all"), percent(1.0)],
            [self("kept"), percent(test.kept)],
            [self("random_kept"), spread(test.random_kept)],
            [self("removed"), percent(test.removed)],
            [self("random_removed"), spread(test.random_removed)],
        ]
        if test.swapped is not None:
            rows.append([self("swapped"), percent(test.swapped)])
            rows.append([self("random_swapped"), spread(test.random_swapped)])
        return _Listed(self("test"), [self("setting"), self("margin_left")], rows)


def _quoted(token: str) -> str:
    """Write a token so that its spaces and line ends are seen."""
    told = token.replace("\n", "\\n").replace("\t", "\\t").strip(" ")
    return f"“{told}”" if told else f"“{token.replace(' ', '␣')}”"
