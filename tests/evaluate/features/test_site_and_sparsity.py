"""Features are changed exactly, and counted exactly."""

import numpy as np
import planted_features as planted
import pytest

from sparsepath.errors import ShapeError
from sparsepath.evaluate.features.figures import mean_ci95, ratio_ci95
from sparsepath.evaluate.features.sparsity import Firings, sparsity


@pytest.mark.parametrize("is_latent", [False, True])
def test_changing_features_leaves_what_they_do_not_say(is_latent: bool) -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(8, 5)) if is_latent else None
    values = planted.noise((4, 8 if is_latent else 5), rng, share=0.7)
    site = planted.site(values, directions, rest=1.5)
    rows, features = np.array([2, 0, 2]), np.array([4, 1])
    after = values[rows].copy()
    after[:, features] = [[1, 2], [3, 4], [5, 6]]
    said = after if directions is None else after @ directions
    found = site.changed(rows, features, np.array([[1.0, 2], [3, 4], [5, 6]]))
    np.testing.assert_allclose(found, said + 1.5, atol=1e-5)


def test_directions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="a direction for each feature"):
        planted.SiteFeatures(
            name="x", values=planted.sparse(np.ones((2, 3))), hidden=np.ones((2, 4), np.float32)
        )


def test_firing_features_are_counted() -> None:
    firings = Firings.of(4)
    firings.add(np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool))
    firings.add(np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], bool))
    found = sparsity(firings)
    assert found["L0"].value == pytest.approx(9 / 5)
    assert found["L0"].ci95[0] == pytest.approx(3 / 2)
    assert found["L0"].ci95[1] == pytest.approx(2)
    assert found["dead share"].value == 0.25
    assert found["always on"].value == 0.25


def test_an_interval_narrows_with_rows_and_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(3, 1, 50), rng.normal(3, 1, 5000)
    low, high = mean_ci95([few], 0)
    # Four standard errors wide, near enough: 4 / sqrt(50).
    assert high - low == pytest.approx(0.55, abs=0.12)
    assert low < 3 < high
    assert np.subtract(*mean_ci95([many], 0)[::-1]) < 0.1
    low, high = ratio_ci95(many * 2, many, 0)
    assert (low, high) == pytest.approx((2, 2))
    assert ratio_ci95(many, np.zeros(5000), 0) is None
