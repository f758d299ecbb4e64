"""Edits are read as they are written, and mistakes in them are told."""

import pytest

from sparsepath.artifacts.edit import END, Condition, Edit, check_contradictions, reach
from sparsepath.artifacts.edit_text import parse_edit
from sparsepath.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "operation", "value", "written"),
    [
        ("L02/117=8", "set", 8.0, "L02/117=8"),
        (" L2/117 = -0.5 ", "set", -0.5, "L02/117=-0.5"),
        ("L02.M0117*0.25", "scale", 0.25, "L02.M0117*0.25"),
        ("L02.attn_in/3+1e-3", "add", 0.001, "L02.attn_in/3+0.001"),
        ("L02/117-3", "add", -3.0, "L02/117-3"),
        ("L02/117=off", "suppress", 0.0, "L02/117=off"),
    ],
)
def test_an_edit_is_read_and_written(text: str, operation: str, value: float, written: str) -> None:
    edit = parse_edit(text)
    assert (edit.operation, edit.value, str(edit)) == (operation, value, written)
    assert parse_edit(str(edit)) == edit


@pytest.mark.parametrize(
    "text",
    [
        "L02/117=8@3:10 if L01/5 fires",
        "L02/117*2@answer if L02/5>-0.5",
        "L02.M0003-1@last if after #3|#12",
    ],
)
def test_positions_and_conditions_are_read_and_written(text: str) -> None:
    assert str(parse_edit(text)) == text


def test_words_of_a_condition_are_tokens_with_and_without_a_space() -> None:
    known = {"the": [5], " the": [9], "ab": [1, 2], " ab": [7], "xyz": [1, 2, 3], " xyz": [4, 5]}
    assert parse_edit("L0/1=2 if after the|ab", known.__getitem__).only_if == Condition(
        after=(5, 7, 9)
    )
    with pytest.raises(ConfigError, match="'xyz' is 3 tokens"):
        parse_edit("L0/1=2 if after xyz", known.__getitem__)
    with pytest.raises(ConfigError, match="needs a tokenizer"):
        parse_edit("L0/1=2 if after the")


@pytest.mark.parametrize(
    "text",
    ["", "L02/117", "L02/117=", "L02/117=x", "L02/117*off", "117=8", "L02/117=8 if", "L02/1=2 if x",
     "L02.nowhere/1=2", "L02/117=8@sometimes", "L02/117=8@5:5", "L02/117=8@-3:", "L02/117=inf"],
)  # fmt: skip
def test_what_is_no_edit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"fix: .*(L02/117|3:10)"):
        parse_edit(text)


def test_numbers_must_be_finite_and_conditions_whole() -> None:
    with pytest.raises(ConfigError, match="finite"):
        Edit(neuron="L0/1", operation="set", value=float("nan"))
    with pytest.raises(ConfigError, match="suppressed with the value 2"):
        Edit(neuron="L0/1", operation="suppress", value=2.0)
    with pytest.raises(ConfigError, match="a neuron or tokens"):
        Condition(neuron="L0/1", after=(3,))
    with pytest.raises(ConfigError, match="a neuron or tokens"):
        Condition()


def test_an_edit_is_a_factor_and_a_shift() -> None:
    edits = [parse_edit(f"L0/1{rest}") for rest in ("=8", "*3", "+2", "=off")]
    assert [(e.factor, e.shift) for e in edits] == [(0, 8), (3, 0), (1, 2), (0, 0)]


def test_positions_of_a_prompt_of_five() -> None:
    found = {name: tuple(reach(name, 5)) for name in ("all", "prompt", "answer", "last", "3:9")}
    assert found == {
        "all": (0, END), "prompt": (0, 5), "answer": (5, END), "last": (4, 5), "3:9": (3, 9),
    }  # fmt: skip
    assert reach("4:", 5) == (4, END)


@pytest.mark.parametrize(
    ("one", "other", "is_refused"),
    [
        ("L0/1=2", "L0/1=2", True),
        ("L0/1=2", "L0/1*2@last", True),
        ("L0/1=2@prompt", "L0/1=3@answer", False),
        ("L0/1=2@prompt", "L0/1=3@last", True),
        ("L0/1=2@last", "L0/1=3@answer", False),
        ("L0/1=2@2:4", "L0/1=3@4:", False),
        ("L0/1=2@2:5", "L0/1=3@4:", True),
        ("L0/1=2@answer", "L0/1=3@0:1", False),
        ("L0/1=2@answer", "L0/1=3@7:9", True),
        ("L0/1=2@last", "L0/1=3@7:9", True),
        ("L0/1=2", "L0/2=2", False),
        ("L0/1=2", "L0.attn_in/1=2", False),
    ],
)
def test_edits_of_one_neuron_may_not_meet(one: str, other: str, is_refused: bool) -> None:
    edits = [parse_edit(other), parse_edit(one)]
    if not is_refused:
        check_contradictions(edits)
        return
    with pytest.raises(ConfigError, match="two edits of one neuron") as told:
        check_contradictions(edits)
    assert all(str(edit) in str(told.value) for edit in edits)
