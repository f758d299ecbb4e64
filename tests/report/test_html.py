"""Nothing a user wrote can become markup."""

import json

from hypothesis import given
from hypothesis import strategies as st

from sparsepath.report import figure
from sparsepath.report.html import Html, breakable, el, join, rich, script_json

NASTY = "<script>alert(1)</script>\"'&"


def test_text_and_attributes_are_escaped() -> None:
    made = el("p", NASTY, title=NASTY, hidden=True, id=None, aria_label="a")
    assert "<script" not in made
    assert made.startswith("<p title=")
    assert " hidden " in made
    assert 'aria-label="a"' in made
    assert " id" not in made


def test_markup_of_our_own_is_kept() -> None:
    assert join([el("b", "x"), None, "<"]) == "<b>x</b>&lt;"
    assert isinstance(el("p", el("b", "x")), Html)
    assert el("p", el("b", "x")) == "<p><b>x</b></p>"


def test_a_sentence_escapes_what_fills_its_blanks() -> None:
    assert rich("*Take {name}*: a < b", name="*<i>*") == (
        "<strong>Take *&lt;i&gt;*</strong>: a &lt; b"
    )


def test_long_names_may_break_after_their_joints() -> None:
    assert breakable("a_b-c<") == "a_<wbr>b-<wbr>c&lt;"


@given(st.text())
def test_json_in_a_script_cannot_end_it_and_stays_the_same(text: str) -> None:
    written = script_json({"text": text})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"text": text}


@given(st.text(max_size=300))
def test_a_chart_label_is_short_and_has_no_markup_but_breaks(text: str) -> None:
    made = figure.label(text, width=20, lines=2)
    assert "<" not in made.replace("<br>", "")
    assert made.count("<br>") <= 1


def test_log_ticks_are_plain_numbers_around_the_values() -> None:
    values, texts = figure.log_ticks([0.3, 12.0])
    assert texts == ["0.2", "0.5", "1", "2", "5", "10", "20"]
    assert values[0] == 0.2
