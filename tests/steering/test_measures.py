"""Judges, side effects and baselines do what they say, on cases with known answers."""

from pathlib import Path

import numpy as np
import pytest

from sparsepath.artifacts.edit_text import parse_edit
from sparsepath.artifacts.neuron import Neuron
from sparsepath.artifacts.steering_sweep import SweepPoint
from sparsepath.errors import ConfigError, DataError
from sparsepath.steering.baselines import (
    direction_edits,
    mean_difference,
    random_direction,
    random_neurons,
)
from sparsepath.steering.judge import read_words, word_judge
from sparsepath.steering.measures import repetition, repetition_ci95, share_ci95
from sparsepath.steering.sweep import recommend
from sparsepath.trace.ranges import Range


def test_words_are_judged_whole_and_in_any_case() -> None:
    judge = word_judge(["fire", "burn*", " "])
    texts = ["Fire!", "campfires", "a burning house", "sunburn", "", "prefire"]
    assert judge.carries(texts) == [True, False, True, False, False, False]
    assert judge.name == "words: fire, burn*"
    with pytest.raises(ConfigError, match="no words"):
        word_judge([" "])


def test_words_come_from_a_file_or_with_commas(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("fire\nflame\n")
    assert read_words(str(path)) == ["fire", "flame"]
    assert read_words("fire,flame") == ["fire", "flame"]
    with pytest.raises(DataError, match="no file nowhere"):
        read_words("nowhere.txt")
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="UTF-8"):
        read_words(str(path))


def test_repetition_is_the_share_of_grams_seen_before() -> None:
    assert repetition([1, 2, 3, 4, 5, 6]) == 0.0
    assert repetition([1, 1, 1, 1, 1, 1]) == pytest.approx(2 / 3)
    assert repetition([1, 2, 3, 4, 1, 2, 3, 4]) == pytest.approx(1 / 5)
    assert repetition([1, 2]) == 0.0


def test_intervals_are_those_of_the_books() -> None:
    assert share_ci95(5.0, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Wilson
    assert share_ci95(0.0, 10)[0] == 0.0
    assert repetition_ci95([0.1, 0.2, 0.3], 10**6) == pytest.approx((0.0868, 0.3132), abs=1e-3)
    # No output repeats anything: the interval is that of none of 100 grams.
    assert repetition_ci95([0.0, 0.0], 100) == share_ci95(0.0, 100)
    assert repetition_ci95([0.0], 0) == (0.0, 0.0)


def test_a_direction_is_added_as_strongly_as_the_neurons_are() -> None:
    like = [parse_edit("L01/3=3@answer"), parse_edit("L01/4=4@answer")]
    direction = random_direction(16, np.random.default_rng(0))
    edits = direction_edits(direction, like)
    assert len(edits) == 16
    assert {edit.operation for edit in edits} == {"add"}
    assert {edit.positions for edit in edits} == {"answer"}
    assert np.linalg.norm([edit.value for edit in edits]) == pytest.approx(5.0, rel=1e-5)
    with pytest.raises(ConfigError, match="no like of `scale`"):
        direction_edits(direction, [parse_edit("L01/3*3")])


def test_the_mean_difference_points_from_one_mean_to_the_other() -> None:
    rows = np.zeros((4, 3), np.float32)
    found = mean_difference(rows + np.array([0, 3, 4], np.float32), rows)
    np.testing.assert_allclose(found, [0, 0.6, 0.8], atol=1e-6)
    with pytest.raises(DataError, match="same mean"):
        mean_difference(rows, rows)


def test_random_neurons_fire_and_are_not_the_steered_ones() -> None:
    largest = np.array([0, 1, 1, 0, 1, 1], np.float32)
    ranges = {(1, "block_out"): Range(largest, 4.0, 4)}
    steered = [Neuron.parse("L01/1"), Neuron.parse("L00/2")]
    found = random_neurons(steered, ranges, 9, np.random.default_rng(0))  # type: ignore[arg-type]
    assert sorted(neuron.name for neuron in found) == ["L01/2", "L01/4", "L01/5"]


def _point(strength: float | None, share: float, is_fluent: bool = True) -> SweepPoint:
    return SweepPoint(
        way="neuron", strength=strength, n=40, share=share,
        share_ci95=share_ci95(float(round(40 * share)), 40),
        bits_per_byte=2.0, bits_ratio=1.0, repetition=0.0, repetition_ci95=(0.0, 0.0),
        is_fluent=is_fluent,
    )  # fmt: skip


def test_the_recommended_strength_has_the_largest_effect_among_fluent_ones() -> None:
    base = _point(None, 0.05)
    points = [_point(4, 0.9, False), _point(1, 0.2), _point(2, 0.6), _point(3, 0.65)]
    found = recommend(base, points, "more")
    assert found is not None
    # At 2 the share is within the interval of that at 3; at 1 it is not; 4 breaks the text.
    assert (found.strength, found.low, found.high) == (3, 2, 3)
    less = recommend(_point(None, 0.5), [_point(0, 0.1), _point(1, 0.4)], "less")
    assert less is not None
    assert (less.strength, less.low, less.high) == (0, 0, 0)


def test_no_strength_is_recommended_that_does_nothing_or_breaks_the_text() -> None:
    base = _point(None, 0.3)
    assert recommend(base, [_point(1, 0.3), _point(2, 0.9, False)], "more") is None
    assert recommend(base, [_point(1, 0.4)], "less") is None
