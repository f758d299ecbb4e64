"""Quality figures against answers worked out by hand or by scikit-learn."""

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from sparsepath.evaluate.quality import (
    calibration_bins,
    confusion_matrix,
    coverage_curve,
    expected_calibration_error,
    macro_f1,
    nll_nats,
    paired_difference,
    per_label,
    quality,
    wilson_interval,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(200, 5))
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
TRUTH = RNG.integers(0, 5, size=200)


def test_wilson_interval_is_the_known_one_for_8_of_10() -> None:
    interval = wilson_interval(8, 10)
    assert interval.low == pytest.approx(0.4902, abs=1e-4)
    assert interval.high == pytest.approx(0.9433, abs=1e-4)


@pytest.mark.parametrize("n_right", [0, 10])
def test_wilson_interval_stays_inside_0_to_1_at_the_ends(n_right: int) -> None:
    interval = wilson_interval(n_right, 10)
    assert 0.0 <= interval.low < interval.high <= 1.0


def test_loss_and_macro_f1_equal_scikit_learns() -> None:
    predicted = PROBABILITIES.argmax(axis=1)
    assert nll_nats(PROBABILITIES, TRUTH) == pytest.approx(log_loss(TRUTH, PROBABILITIES))
    assert macro_f1(PROBABILITIES, TRUTH) == pytest.approx(
        f1_score(TRUTH, predicted, average="macro")
    )


def test_a_class_that_never_occurs_does_not_lower_macro_f1() -> None:
    certain = np.eye(4)[[0, 1, 1, 0]]
    assert macro_f1(certain, np.array([0, 1, 1, 0])) == 1.0


def test_calibration_error_of_half_right_at_full_confidence_is_one_half() -> None:
    certain = np.eye(2)[[0, 0, 0, 0]]
    assert expected_calibration_error(certain, np.array([0, 0, 1, 1])) == pytest.approx(0.5)
    assert sum(row.n for row in calibration_bins(PROBABILITIES, TRUTH)) == 200


def test_coverage_ends_with_the_accuracy_on_all_rows() -> None:
    curve = coverage_curve(PROBABILITIES, TRUTH)
    assert curve[-1].coverage == 1.0
    assert curve[-1].accuracy == pytest.approx(quality(PROBABILITIES, TRUTH).accuracy)


def test_coverage_puts_the_surest_rows_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])
    curve = coverage_curve(probabilities, np.array([0, 1]), n_points=2)
    assert [point.accuracy for point in curve] == [1.0, 0.5]


def test_confusion_counts_truth_by_prediction() -> None:
    certain = np.eye(3)[[0, 2, 2]]
    matrix = confusion_matrix(certain, np.array([0, 1, 2]))
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    rows = per_label(certain, np.array([0, 1, 2]))
    assert (rows[1].recall, rows[2].precision, rows[2].recall) == (0.0, 0.5, 1.0)


def test_paired_difference_counts_only_rows_where_the_models_differ() -> None:
    first = np.array([True] * 90 + [True] * 8 + [False] * 2)
    second = np.array([True] * 90 + [False] * 8 + [True] * 2)
    found = paired_difference(first, second)
    assert found.difference == pytest.approx(0.06)
    assert found.ci95.low < 0.06 < found.ci95.high
    # exact binomial: 2 * P(X <= 2), X ~ B(10, 1/2)
    assert found.p_value == pytest.approx(2 * (1 + 10 + 45) / 2**10)


def test_equal_models_do_not_differ() -> None:
    right = np.array([True, False, True])
    found = paired_difference(right, right)
    assert (found.difference, found.p_value) == (0.0, 1.0)


def test_the_quantile_in_use_is_the_one_of_95_percent() -> None:
    from sparsepath.evaluate.quality import Z95

    assert pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-5) == Z95
