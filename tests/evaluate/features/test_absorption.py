"""The share of a class that special features speak for is found as it was planted."""

import numpy as np
import planted_features as planted
import pytest

from sparsepath.errors import DataError
from sparsepath.evaluate.features.absorption import absorbed, feature_absorption

N, N_CHILDREN = 3000, 15
CLASS, CHILDREN = 0, range(1, 1 + N_CHILDREN)
WIDTH = 40


def planted_parent(
    share: float, loudness: float = 1.0
) -> tuple[planted.SiteFeatures, planted.LabelledRows]:
    """Feature 0 fires in rows of the class, but for a share: there one of many children does.

    Children add the class's direction and one of their own, which also marks other rows of the
    class where the parent fires beside.
    """
    rng = np.random.default_rng(1)
    is_class = rng.random(N) < 0.5
    child = rng.integers(1, 1 + N_CHILDREN, N)
    taken = is_class & (rng.random(N) < share)
    values = np.zeros((N, WIDTH))
    values[:, 20:] = planted.noise((N, WIDTH - 20), rng)
    values[is_class & ~taken, CLASS] = 1.0
    values[taken, child[taken]] = loudness
    directions = np.eye(WIDTH)
    directions[list(CHILDREN), CLASS] = 1.0
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rows = planted.labelled(is_class.astype(int), ("other", "class"))
    return planted.site(values, directions), rows


def of_class(site: planted.SiteFeatures, rows: planted.LabelledRows) -> float:
    return feature_absorption(site, rows).parts["class"]


@pytest.mark.parametrize("share", [0.0, 0.15, 0.3])
def test_the_absorbed_share_is_found(share: float) -> None:
    site, rows = planted_parent(share, loudness=2.0)
    found = feature_absorption(site, rows)
    assert found.parts["class"] == pytest.approx(share, abs=0.04)
    # Nothing speaks for the other class, whatever is taken for its main feature.
    assert found.controls["random"] == pytest.approx(0.5, abs=0.03)


def test_full_absorption_counts_rows_where_one_other_feature_carries_the_class() -> None:
    site, rows = planted_parent(0.3, loudness=2.0)
    weight = np.eye(WIDTH)[CLASS]
    test = rows.test[rows.labels[rows.test] == 1]
    truth = np.asarray(site.values[test][:, [CLASS]].todense())[:, 0] == 0
    found = absorbed(site, test, weight, np.array([CLASS]))
    assert (found.is_full == truth).all()
    np.testing.assert_allclose(found.fraction, truth.astype(float))


def test_a_row_that_parent_and_child_share_is_absorbed_in_part() -> None:
    values, directions = np.array([[1.0, 3.0, 0.0]]), np.eye(3)
    directions[1] = [1.0, 0.0, 0.0]
    site = planted.site(values, directions)
    found = absorbed(site, np.array([0]), np.array([2.0, 0, 0]), np.array([0]))
    assert found.fraction[0] == pytest.approx(0.75)
    assert not found.is_full[0]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1.0, 0.5, 0.0], "others carry less than 0.4"),
        ([0.0, 0.0, 9.0], "what fires is not in the direction of the class"),
        ([-1.0, 0.5, 0.0], "the hidden state is on the other side"),
    ],
)
def test_what_is_no_absorption_counts_as_none(values: list[float], why: str) -> None:
    directions = np.eye(3)
    directions[1] = [1.0, 0.0, 0.0]
    site = planted.site(np.array([values]), directions)
    found = absorbed(site, np.array([0]), np.array([1.0, 0, 0]), np.array([0]))
    assert found.fraction[0] == 0, why
    assert not found.is_full[0], why


def test_two_features_that_share_a_class_are_split_not_absorbed() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, N)
    first = rng.random(N) < 0.5
    values = planted.noise((N, WIDTH), rng)
    values[:, 0] = np.where((labels == 1) & first, 1.0, 0)
    values[:, 1] = np.where((labels == 1) & ~first, 1.0, 0)
    site = planted.site(values)
    assert of_class(site, planted.labelled(labels, ("other", "class"))) < 0.02


def test_a_class_that_no_probe_finds_is_refused() -> None:
    values = np.zeros((60, 4))
    rows = planted.labelled(np.arange(60) // 3 % 2, ("a", "b"))
    with pytest.raises(DataError, match="probes find fewer than 4 test rows"):
        feature_absorption(planted.site(values), rows)


def test_a_feature_of_the_other_class_is_no_main_feature() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, N)
    values = planted.noise((N, WIDTH), rng)
    # Louder in the first class, so that its silence tells the second one best.
    values[:, 0] = np.where(labels == 0, 1.0, 0)
    values[:, 1] = np.where(labels == 1, 1.0 + rng.random(N), 0)
    found = feature_absorption(planted.site(values), planted.labelled(labels, ("a", "b")))
    assert found.value < 0.02
