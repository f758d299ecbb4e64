"""Sparse probing finds what is planted, and nothing where nothing is."""

import numpy as np
import planted_features as planted
import pytest

from sparsepath.errors import ConfigError, DataError
from sparsepath.evaluate.features.probing import sparse_probing

N, WIDTH = 600, 40


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def planted_class(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Feature 7 fires in rows of class 0, and only there."""
    labels = rng.integers(0, 3, N)
    values = planted.noise((N, WIDTH), rng)
    values[:, 7] = np.where(labels == 0, 1 + rng.random(N), 0)
    return values, np.where(labels == 0, 0, 1)


def test_a_feature_that_is_the_class_alone_tells_it(rng: np.random.Generator) -> None:
    values, labels = planted_class(rng)
    found = sparse_probing(planted.site(values), planted.labelled(labels, ("a", "b")), ks=(1, 2))
    one = found[1]
    assert one.value == 1.0
    assert one.ci95 == (1.0, 1.0)
    assert one.controls["dense"] == pytest.approx(1.0, abs=0.01)
    assert one.controls["random"] == pytest.approx(0.5, abs=0.06)
    assert one.controls["permuted"] == pytest.approx(0.5, abs=0.06)
    assert found[2].value == 1.0


def test_a_class_told_by_two_features_needs_two(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 2, N)
    values = planted.noise((N, WIDTH), rng)
    first = rng.random(N) < 0.5
    values[:, 3] = np.where((labels == 1) & first, 1.0, 0)
    values[:, 4] = np.where((labels == 1) & ~first, 1.0, 0)
    found = sparse_probing(planted.site(values), planted.labelled(labels, ("no", "yes")), ks=(1, 2))
    assert found[1].value == pytest.approx(0.75, abs=0.05)
    assert found[1].ci95[0] < 0.75 < found[1].ci95[1]
    assert found[2].value == 1.0


def test_without_a_planted_feature_the_accuracy_is_chance(rng: np.random.Generator) -> None:
    site = planted.site(planted.noise((N, WIDTH), rng))
    found = sparse_probing(site, planted.labelled(rng.integers(0, 2, N), ("a", "b")), ks=(5,))[5]
    assert found.value == pytest.approx(0.5, abs=0.08)
    assert found.controls["dense"] == pytest.approx(0.5, abs=0.08)


def test_features_are_chosen_on_training_rows_only(rng: np.random.Generator) -> None:
    values, labels = planted_class(rng)
    rows = planted.labelled(labels, ("a", "b"))
    # Another feature is the class on test rows only: choosing it would need a look at them.
    values[rows.test, 7] = 0
    values[rows.test, 9] = np.where(labels[rows.test] == 0, 5.0, 0)
    found = sparse_probing(planted.site(values), rows, ks=(1,))[1]
    assert found.value == pytest.approx(0.5, abs=0.02)


def test_a_large_feature_that_differs_little_is_not_taken_for_the_class(
    rng: np.random.Generator,
) -> None:
    values, labels = planted_class(rng)
    values[:, 1] = 1000 * rng.random(N) + 60 * (labels == 0)
    rows = planted.labelled(labels, ("a", "b"))
    assert sparse_probing(planted.site(values), rows, ks=(1,))[1].value == 1.0
    by_difference = sparse_probing(planted.site(values), rows, ks=(1,), by="difference")[1].value
    assert by_difference == pytest.approx(0.5, abs=0.1)


def test_what_cannot_be_measured_is_refused(rng: np.random.Generator) -> None:
    site = planted.site(planted.noise((N, WIDTH), rng))
    rows = planted.labelled(rng.integers(0, 2, N), ("a", "b"))
    with pytest.raises(ConfigError, match="k = 41 of 40 features"):
        sparse_probing(site, rows, ks=(41,))
    rare = planted.labelled([1, 0, 1, *[0] * (N - 3)], ("a", "b"))
    with pytest.raises(DataError, match="0 of 2 classes have 4 training rows"):
        sparse_probing(site, rare)


def test_the_same_seed_gives_the_same_figures(rng: np.random.Generator) -> None:
    site = planted.site(planted.noise((N, WIDTH), rng))
    rows = planted.labelled(rng.integers(0, 2, N), ("a", "b"))
    assert sparse_probing(site, rows, seed=3) == sparse_probing(site, rows, seed=3)
