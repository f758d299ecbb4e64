"""Figures of ensembles, and thresholds that keep the risk they promise."""

from itertools import pairwise

import numpy as np
import pytest

from sparsepath.evaluate.ensemble import answer_alone, figures, member_curve, unsure


def made(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make calibrated probabilities of three labels, and labels drawn from them."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 2.5, (n, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([chance.choice(3, p=p) for p in probabilities])
    return probabilities, truth


def test_figures_of_a_hand_made_case() -> None:
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6]])
    found = figures(probabilities, np.array([0, 0]), 3)
    assert found.members == 3
    assert found.accuracy == 0.5
    assert found.nll_nats == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2)
    assert found.brier == pytest.approx((2 * 0.04 + 2 * 0.36) / 2)


def test_averaging_noisy_members_lowers_the_loss() -> None:
    chance = np.random.default_rng(0)
    probabilities, truth = made(2000, 1)
    noisy = np.log(probabilities) + chance.normal(0, 1.5, (16, *probabilities.shape))
    members = np.exp(noisy) / np.exp(noisy).sum(axis=2, keepdims=True)
    curve = member_curve(members, truth)
    assert [point.members for point in curve] == [1, 2, 4, 8, 16]
    assert all(a.nll_nats > b.nll_nats for a, b in pairwise(curve))


def test_members_that_agree_have_no_spread() -> None:
    same = np.tile([[[0.7, 0.3]]], (5, 1, 1))
    split = np.array([[[0.9, 0.1]], [[0.9, 0.1]], [[0.2, 0.8]]])
    assert float(unsure(same).spread[0]) == 0.0
    assert float(unsure(same).disagreement[0]) == 0.0
    assert float(unsure(split).spread[0]) == pytest.approx(np.std([0.9, 0.9, 0.2]))
    assert float(unsure(split).disagreement[0]) == pytest.approx(1 / 3)


def test_the_risk_is_kept_as_often_as_promised() -> None:
    n_broken = n_none = 0
    big = made(20_000, 7)[0].max(axis=1)
    for seed in range(200):
        probabilities, truth = made(600, seed + 10)
        is_calibration = np.arange(600) < 300
        found = answer_alone(probabilities, truth, is_calibration, risk=0.1, level=0.9)
        if found.threshold is None:
            n_none += 1
            continue
        confidence = probabilities.max(axis=1)
        # The true risk of calibrated probabilities is their mean distance from 1.
        true_risk = float((1 - big[big >= found.threshold]).mean())
        n_broken += true_risk > 0.1
        assert found.coverage == pytest.approx(float((confidence[300:] >= found.threshold).mean()))
    # At most a tenth is expected; 4 standard deviations above it would be 37.
    assert n_broken <= 37
    assert n_none <= 20


def test_where_nothing_is_known_to_be_safe_nothing_is_answered() -> None:
    probabilities = np.full((40, 2), 0.5)
    probabilities[:, 0] += 0.4
    truth = np.arange(40) % 2
    found = answer_alone(probabilities, truth, np.arange(40) < 20, risk=0.05)
    assert found.threshold is None
    assert (found.coverage, found.error) == (0.0, None)
