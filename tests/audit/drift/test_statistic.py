"""Alarms are rare without a change, and come with one."""

import numpy as np
import pytest

from sparsepath.audit.drift.statistic import FLOOR, RATE, psi, threshold, total_variation

LABELS = np.array([72, 83, 118, 112, 150, 139, 222, 68, 100, 33, 177])
"""Test rows of a demo's labels."""


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [100, 500])
def test_without_a_change_alarms_are_as_rare_as_is_said(seed: int, size: int) -> None:
    """250 test sets of one spread, 40 windows for each: 10,000 windows."""
    rng = np.random.default_rng(seed)
    spread = rng.dirichlet(np.full(11, 3.0))
    n_alarms = 0
    limit = threshold(tuple(rng.multinomial(774, spread).tolist()), size, RATE)
    for _ in range(250):
        reference = rng.multinomial(774, spread)
        windows = rng.multinomial(size, spread, 40)
        n_alarms += int((psi(reference, windows) > limit).sum())
    assert n_alarms <= 3 * RATE * 10_000


@pytest.mark.parametrize("seed", range(4))
def test_a_change_of_a_fifth_of_the_answers_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = LABELS / LABELS.sum()
    after = 0.8 * before
    after[seed] += 0.2
    limit = threshold(tuple(LABELS.tolist()), 500, RATE)
    found = psi(LABELS, rng.multinomial(500, after, 200)) > limit
    assert found.mean() > 0.95


def test_the_index_is_nothing_for_equal_spreads_and_grows_with_the_distance() -> None:
    same = psi(np.array([10, 20, 30]), np.array([10, 20, 30]))
    near, far = (psi(np.array([10, 20, 30]), np.array(w)) for w in ([15, 20, 25], [60, 0, 0]))
    assert same == 0.0
    assert 0 < near < FLOOR < far
    assert total_variation([1, 1], [0, 5]) == 0.5
    assert total_variation([2, 2], [1, 1]) == 0.0
