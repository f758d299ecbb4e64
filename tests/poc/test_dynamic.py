"""Cascades count the time of every stage asked, and the static line joins the best models."""

import numpy as np
import pytest

from sparsepath.poc.dynamic import (
    AGREEMENT,
    StageAnswers,
    StaticLine,
    cascades,
    choices_of,
    wanted_cascades,
)


def stage(name: str, cost_ms: float, confidence: list[float], right: list[int]) -> StageAnswers:
    """Make the answers of one stage on a few rows whose label is 1."""
    is_right = np.array(right, dtype=bool)
    return StageAnswers(name, cost_ms, np.array(confidence), is_right.astype(int), is_right)


LIGHT = stage("light", 1.0, [0.9, 0.8, 0.3, 0.2], [1, 1, 0, 0])
HEAVY = stage("heavy", 10.0, [0.9, 0.9, 0.9, 0.9], [1, 0, 1, 1])


def test_a_threshold_that_sends_on_what_the_light_model_gets_wrong_beats_both() -> None:
    best = max(choices_of((LIGHT, HEAVY)), key=lambda c: (c.accuracy, -c.cost_ms))
    assert best.accuracy == 1.0
    assert best.cost_ms == pytest.approx(1.0 + 0.5 * 10.0)
    assert 0.3 < best.thresholds[0] <= 0.8


def test_models_of_nearly_equal_cost_are_not_neighbours_in_a_cascade() -> None:
    twin = stage("twin", 1.2, [0.9] * 4, [1] * 4)
    found = {tuple(s.name for s in c.stages) for c in cascades([LIGHT, twin, HEAVY])}
    assert found == {("light", "heavy"), ("twin", "heavy")}


def test_where_all_models_cost_nearly_the_same_there_is_still_a_cascade() -> None:
    twins = [stage(f"twin {i}", 1.0 + 0.1 * i, [0.9] * 4, [1] * 4) for i in range(3)]
    assert {tuple(s.name for s in c.stages) for c in cascades(twins)} == {("twin 0", "twin 2")}
    assert wanted_cascades(twins, StaticLine([(1.0, 1.0)]))


def test_the_static_line_skips_beaten_models_and_interpolates_in_log_time() -> None:
    line = StaticLine([(1.0, 0.8), (10.0, 0.85), (100.0, 1.0), (20.0, 0.7)])
    assert line.points == [(1.0, 0.8), (10.0, 0.85), (100.0, 1.0)]
    assert line.accuracy_at(10**1.5) == pytest.approx(0.925)
    assert line.accuracy_at(0.1) == 0.8
    assert line.accuracy_at(1000.0) == 1.0
    assert sum(share for _, share in line.mixture(30.0)) == pytest.approx(1.0)


def test_the_safe_cascade_says_what_the_heaviest_model_says() -> None:
    n = 1000
    sure, labels = np.linspace(0.0, 1.0, n), np.ones(n, dtype=int)
    heavy = StageAnswers("heavy", 10.0, np.full(n, 0.9), labels, labels == 1)
    # It is wrong where it is least sure, on two tenths of the rows.
    other = StageAnswers("other", 1.0, sure, (sure > 0.2).astype(int), sure > 0.2)
    line = StaticLine([(1.0, 0.8), (10.0, 1.0)])
    found = wanted_cascades([other, heavy], line)["cascade-safe"]
    assert found.agreement >= AGREEMENT
    assert 1.0 + 10.0 * 0.18 < found.cost_ms < 1.0 + 10.0 * 0.25


def test_the_safe_cascade_goes_by_agreement_even_where_others_are_right_more_often() -> None:
    n = 1000
    sure, right = np.linspace(0.0, 1.0, n), np.ones(n, dtype=bool)
    heavy = StageAnswers("heavy", 10.0, np.full(n, 0.9), np.arange(n) % 2, ~right)
    light = StageAnswers("light", 1.0, sure, np.full(n, 2), right)
    middle = StageAnswers("middle", 4.0, np.full(n, 0.9), np.full(n, 2), right)
    line = StaticLine([(1.0, 1.0), (10.0, 1.0)])
    assert "cascade-safe" not in wanted_cascades([light, middle, heavy], line)
