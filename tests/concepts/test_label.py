"""Labels are found where they are planted, and judged on text they were not found on."""

import numpy as np
import pytest
from numpy.typing import NDArray

import planted
from sparsepath.concepts.bits import count, pack, pack_places, unpack
from sparsepath.concepts.judge import judge, shuffled
from sparsepath.concepts.label import find_rules
from sparsepath.concepts.questions import Part, Questions
from sparsepath.concepts.recorded import Recorded

N_ROWS, LENGTH = 240, 16


@pytest.fixture(scope="module")
def text() -> Recorded:
    """Random words, a fifth of them commas."""
    draw = np.random.default_rng(0)
    known = planted.words()
    tokens = draw.integers(1, len(known), (N_ROWS, LENGTH)).astype(np.uint16)
    tokens[draw.random(tokens.shape) < 0.2] = known.index(",")
    held_out = np.arange(N_ROWS) % 4 == 0
    counts = np.bincount(tokens[~held_out].reshape(-1), minlength=len(known))
    pieces = [
        word.encode() if word in (",", planted.END) else f" {word}".encode() for word in known
    ]
    return Recorded(tokens=tokens, held_out=held_out, pieces=pieces, counts=counts)


@pytest.fixture(scope="module")
def parts(text: Recorded) -> tuple[Part, Part, Questions]:
    """Both parts of the text, and what is asked."""
    clusters = np.zeros(text.tokens.size, np.uint8)
    finding = Part(text, clusters, held_out=False)
    held_out = Part(text, clusters, held_out=True)
    return finding, held_out, Questions(finding, held_out, 1)


def label_and_score(
    fires: NDArray[np.bool_], parts: tuple[Part, Part, Questions]
) -> tuple[str, float]:
    """Label a neuron that fires at these places, [rows, tokens], and judge the label."""
    finding, held_out, questions = parts
    places = np.flatnonzero(fires.reshape(-1))
    (rule,) = find_rules(pack_places(finding.inside(places), finding.n)[None], questions)
    fired = pack_places(held_out.inside(places), held_out.n)[None]
    said = rule.bits(questions, held_out=True)[None]
    (judged,) = judge(fired, said, held_out.n)
    assert judged.score is not None
    return rule.phrase, judged.score


def is_one_of(text: Recorded, *wanted: str) -> NDArray[np.bool_]:
    """Say where words stand."""
    return np.isin(text.tokens, [planted.words().index(word) for word in wanted])


def after(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say where something stands one token before."""
    return np.concatenate([np.zeros((len(mask), 1), bool), mask[:, :-1]], axis=1)


def test_a_comma_is_called_a_comma(text: Recorded, parts: tuple[Part, Part, Questions]) -> None:
    assert label_and_score(is_one_of(text, ","), parts) == ("a comma", 1.0)


def test_words_are_listed(text: Recorded, parts: tuple[Part, Part, Questions]) -> None:
    label, score = label_and_score(is_one_of(text, "hab", "jed"), parts)
    assert label in ('the words "hab" or "jed"', 'the words "jed" or "hab"')
    assert score == 1.0


def test_what_stands_before_is_found(text: Recorded, parts: tuple[Part, Part, Questions]) -> None:
    label, score = label_and_score(after(is_one_of(text, ",")), parts)
    assert label == "after a comma"
    assert score > 0.99


def test_a_pattern_after_another_needs_both(
    text: Recorded, parts: tuple[Part, Part, Questions]
) -> None:
    ending = [word for word in planted.words() if word.endswith("a")]
    fires = is_one_of(text, *ending) & after(is_one_of(text, ","))
    label, score = label_and_score(fires, parts)
    assert "after a comma" in label
    assert score > 0.9


def test_the_first_token_of_a_row_is_a_place(
    text: Recorded, parts: tuple[Part, Part, Questions]
) -> None:
    fires = np.zeros(text.tokens.shape, bool)
    fires[:, 0] = True
    assert label_and_score(fires, parts) == ("the first token read", 1.0)


def test_a_neuron_that_fires_at_random_gets_no_good_label(
    text: Recorded, parts: tuple[Part, Part, Questions]
) -> None:
    fires = np.random.default_rng(1).random(text.tokens.shape) < 0.1
    assert label_and_score(fires, parts)[1] < 0.6


def test_held_out_rows_have_no_part_in_finding(
    text: Recorded, parts: tuple[Part, Part, Questions]
) -> None:
    # On finding rows it fires at commas, on the others at anything else.
    commas = is_one_of(text, ",")
    label, score = label_and_score(np.where(text.held_out[:, None], ~commas, commas), parts)
    assert label == "a comma"
    assert score == 0.0


def test_bits_are_counted_and_unpacked() -> None:
    mask = np.random.default_rng(0).random((3, 130)) < 0.4
    bits = pack(mask)
    assert bits.shape == (3, 3)
    assert count(bits).tolist() == mask.sum(axis=1).tolist()
    assert (unpack(bits, 0, 3)[:, :130] == mask).all()
    assert not unpack(bits, 0, 3)[:, 130:].any()
    assert (pack_places(np.flatnonzero(mask[0]), 130) == bits[0]).all()


def test_the_control_gives_every_live_neuron_anothers_label() -> None:
    alive = np.array([0, 2, 3, 5])
    found = shuffled(alive, 6, seed=3)
    assert found[[1, 4]].tolist() == [1, 4]
    assert sorted(found[alive].tolist()) == alive.tolist()
    assert not (found[alive] == alive).any()


def test_judging_counts_as_defined_and_leaves_rare_neurons_out() -> None:
    fired = pack(np.array([[1] * 6 + [0] * 14, [1] * 4 + [0] * 16], bool))
    said = pack(np.array([[0] * 3 + [1] * 4 + [0] * 13, [1] * 20], bool))
    first, second = judge(fired, said, 20)
    assert first.score == pytest.approx((3 / 6 + 13 / 14) / 2)
    assert first.f1 == pytest.approx(2 * 3 / (6 + 4))
    assert first.control == pytest.approx((1 + 0) / 2)
    assert second == (None, None, None, 4)
