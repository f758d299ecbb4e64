"""Explanations as people see them: terminal and page, English and Japanese."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from string import Formatter

import pytest
import torch
from rich.console import Console
from tokenizers import Tokenizer

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMeans
from sparsepath.pathways.explain import Explanation, explain_text
from sparsepath.pathways.explain_render import explanation_html, print_explanation
from sparsepath.pathways.explain_words import WORDS, Lang

TEXT = "w10 key2 w20 w30 flip"
VOID = {"meta", "link", "br"}


@pytest.fixture(scope="module")
def explanation(trained: PathwayClassifier, tokenizer: Tokenizer, means: UnitMeans) -> Explanation:
    generator = torch.Generator().manual_seed(0)
    return explain_text(trained, tokenizer, TEXT, means=means, generator=generator)


def printed(explanation: Explanation, lang: Lang = "en", width: int = 100) -> str:
    stream = io.StringIO()
    print_explanation(explanation, Console(file=stream, width=width), lang)
    return stream.getvalue()


class Page(HTMLParser):
    """Collects text and checks that every element is closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.outside: list[str] = []
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.outside += [str(value) for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def test_both_languages_have_the_same_words_with_the_same_blanks() -> None:
    assert set(WORDS["en"]) == set(WORDS["ja"])
    for key, text in WORDS["en"].items():
        blanks = [
            {name for _, name, _, _ in Formatter().parse(t)} - {None}
            for t in (text, WORDS["ja"][key])
        ]
        assert blanks[0] == blanks[1], key
        assert WORDS["ja"][key] != text


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("width", [60, 100])
def test_the_terminal_shows_answer_words_units_edges_and_test(
    explanation: Explanation, lang: Lang, width: int
) -> None:
    shown = printed(explanation, lang, width)
    compact = re.sub(r"\s+", "", shown)
    assert f"{explanation.target}" in shown
    assert f"{100 * explanation.probability:.1f}%" in compact
    assert explanation.units[0].name in shown
    assert TEXT in shown
    assert f"{100 * explanation.test.margin_kept:.1f}%".replace("-", "\N{MINUS SIGN}") in compact
    for key in ("words", "units", "edges", "test"):
        assert re.sub(r"\s+", "", WORDS[lang][key]) in compact
    assert "{" not in shown


def test_colours_follow_the_sign(explanation: Explanation) -> None:
    stream = io.StringIO()
    print_explanation(
        explanation, Console(file=stream, force_terminal=True, color_system="truecolor", width=100)
    )
    strongest = max(explanation.tokens, key=lambda token: abs(token.score))
    before = stream.getvalue().split(strongest.text)[0].rsplit("\x1b[", 1)[1]
    red, _, blue = (int(part) for part in re.findall(r"48;2;(\d+);(\d+);(\d+)", before)[0])
    assert (blue > red) == (strongest.score > 0)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_page_is_whole_and_loads_nothing(explanation: Explanation, lang: Lang) -> None:
    markup = explanation_html(explanation, lang)
    page = Page(markup)
    text = "".join(page.words)
    assert f'<html lang="{lang}">' in markup
    assert "<script" not in markup
    assert "url(" not in markup
    assert page.outside == []
    assert explanation.units[0].name in text
    assert "".join(t.text for t in explanation.tokens if not t.is_special) in text.replace(" ", "")
    assert "{" not in text


def test_markup_in_texts_and_labels_is_only_text(explanation: Explanation) -> None:
    nasty = '<script>alert(1)</script> & "x"'
    tokens = [token._replace(start=0, end=0) for token in explanation.tokens]
    tokens[1] = tokens[1]._replace(text=nasty[:8], start=0, end=8)
    changed = replace(
        explanation, text=nasty, target=nasty, against="<b>", predicted="[bold]", tokens=tokens
    )
    markup = explanation_html(changed)
    assert "<script" not in markup
    assert "<b>" not in markup
    assert nasty in "".join(Page(markup).words)
    assert "[bold]" in printed(changed)


def test_words_are_joined_from_their_pieces(explanation: Explanation) -> None:
    text = "unbelievable 猫です"
    pieces = [
        ("un", 0, 2, 1.0),
        ("believable", 2, 12, 2.0),
        ("猫", 13, 14, -0.5),
        ("です", 14, 16, 0.2),
    ]
    tokens = [
        explanation.tokens[1]._replace(
            text=t, start=a, end=b, score=s, is_joined=t in {"believable", "です"}
        )
        for t, a, b, s in pieces
    ]
    shown = printed(replace(explanation, text=text, tokens=tokens, edges=[]))
    assert re.search(r"unbelievable +\+3\.00", shown)
    assert re.search(r"猫 +\N{MINUS SIGN}0[.]50", shown)
    assert text in shown


def test_the_verdict_follows_the_test(explanation: Explanation) -> None:
    good = explanation.test._replace(margin_kept=0.95, random_margin_kept=[0.1] * 20)
    weak = explanation.test._replace(margin_kept=0.95, random_margin_kept=[0.8] * 20)
    assert WORDS["en"]["verdict_good"][:20] in printed(replace(explanation, test=good))
    shown = printed(replace(explanation, test=weak))
    assert "Read this with care" in shown
    assert "80.0\N{NO-BREAK SPACE}%" in shown


def test_where_word_embeddings_decide_margins_are_logits_and_the_test_claims_nothing(
    explanation: Explanation,
) -> None:
    test = explanation.test._replace(margin_of_nothing=2.4, margin_kept=-31.0)
    few = replace(explanation, margin=2.5, test=test)
    shown = re.sub(r"\s+", " ", printed(few))
    assert "The word embeddings decide here" in shown
    assert "only 0.10 logits" in shown
    assert f"{2.4 - 31.0 * 0.1:+.2f}".replace("-", "\N{MINUS SIGN}") in shown
    assert "3100" not in shown
    assert "Margin (logits)" in "".join(Page(explanation_html(few)).words)
    assert "マージン（ロジット）" in "".join(Page(explanation_html(few, "ja")).words)


def test_other_answers_and_cut_texts_are_said(explanation: Explanation) -> None:
    changed = replace(explanation, predicted="something else", n_tokens_cut=1234)
    assert "something else" in printed(changed)
    assert "1,234" in printed(changed)
    assert "1,234" in "".join(Page(explanation_html(changed, "ja")).words)


def test_a_model_without_units_has_a_page_too(explanation: Explanation) -> None:
    bare = replace(explanation, units=[], edges=[], n_units=0, n_units_kept=0, n_units_enough=None)
    assert "no attention heads" in "".join(Page(explanation_html(bare)).words)
    assert "no attention heads" in re.sub(r"\s+", " ", printed(bare))
