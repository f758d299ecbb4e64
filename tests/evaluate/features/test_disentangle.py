"""Attributes with features of their own are told from attributes that share theirs."""

import numpy as np
import planted_features as planted
import pytest

from sparsepath.evaluate.features.disentangle import disentanglement
from sparsepath.evaluate.features.removal import TwoAttributes

N, WIDTH = 800, 30


def attributes(rng: np.random.Generator) -> TwoAttributes:
    train, test = planted.halves(N)
    first, second = rng.integers(0, 2, N), rng.integers(0, 2, N)
    return TwoAttributes(first, second, ("tense", "number"), train, test)


def test_attributes_with_features_of_their_own_are_disentangled() -> None:
    rng = np.random.default_rng(0)
    both = attributes(rng)
    values = planted.noise((N, WIDTH), rng) / 10
    values[:, 0], values[:, 1] = 2 * both.first, 2 * both.second
    found = disentanglement(planted.site(values), both)
    assert found.value == pytest.approx(1.0, abs=0.01)
    assert found.parts["cause of tense"] == pytest.approx(1.0, abs=0.02)
    assert found.parts["isolation of number"] == pytest.approx(1.0, abs=0.02)
    assert found.parts["features of tense"] == 1
    assert found.controls["random"] == pytest.approx(0.5, abs=0.26)


def test_features_that_each_stand_for_a_pair_of_values_are_not() -> None:
    rng = np.random.default_rng(0)
    both = attributes(rng)
    values = np.zeros((N, WIDTH))
    values[:, 10:] = planted.noise((N, WIDTH - 10), rng) / 10
    values[np.arange(N), 2 * both.first + both.second] = 2.0
    found = disentanglement(planted.site(values), both)
    assert 0.4 < found.value < 0.8


def test_swapping_features_of_no_attribute_causes_nothing() -> None:
    rng = np.random.default_rng(0)
    both = attributes(rng)
    values = planted.noise((N, WIDTH), rng)
    hidden = values.copy()
    hidden[:, 0], hidden[:, 1] = 9 * both.first, 9 * both.second
    values[:, :2] = 0  # what tells the attributes is in no feature
    site = planted.SiteFeatures(
        name="planted", values=planted.sparse(values), hidden=hidden.astype(np.float32)
    )
    found = disentanglement(site, both)
    assert found.parts["cause of tense"] == pytest.approx(0.0, abs=0.02)
    assert found.value == pytest.approx(0.5, abs=0.02)
