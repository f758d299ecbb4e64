"""Intervals hold the truth as often as they say."""

import numpy as np
import pytest

from sparsepath.artifacts.shares import difference, paired_difference, wilson


def test_known_ends() -> None:
    # Newcombe 1998, table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0


def test_differences_hold_the_truth_in_95_of_100_draws() -> None:
    rng = np.random.default_rng(0)
    held = paired = 0
    for _ in range(1000):
        low, high = difference((int(rng.binomial(80, 0.9)), 80), (int(rng.binomial(60, 0.8)), 60))
        held += low <= 0.1 <= high
        b, c, _rest = rng.multinomial(80, [0.15, 0.05, 0.8])
        low, high = paired_difference(int(b), int(c), 80)
        paired += low <= 0.1 <= high
    assert 930 <= held <= 990
    assert 930 <= paired <= 990
