"""Quality of a classifier from its probabilities: one number each, with its interval.

Everything here takes plain arrays, so that any candidate is judged by the same code, whichever
engine produced its probabilities.

Shape letters: N rows, C classes.

Source: Wilson 1927 (score interval); Guo et al. 2017, "On Calibration of Modern Neural Networks"
(expected calibration error); McNemar 1947 (paired test).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sparsepath.artifacts.shares import Z95, wilson

Probabilities = Float[np.ndarray, "rows classes"]
Truth = Int[np.ndarray, " rows"]

N_CALIBRATION_BINS = 15
"""Equal-width confidence bins of the calibration error and of the reliability diagram."""


class Interval(NamedTuple):
    """A 95 % interval, both ends included."""

    low: float
    """Lower end."""
    high: float
    """Upper end."""


class QualityFigures(NamedTuple):
    """What `quality` measures, all on the same rows."""

    accuracy: float
    """Share of rows whose most probable class is the truth, 0 to 1."""
    accuracy_ci95: Interval
    """Wilson score interval of `accuracy`."""
    macro_f1: float
    """Unweighted mean of F1 over the classes that occur in the truth or the predictions, 0 to 1."""
    nll_nats: float
    """Mean negative log-likelihood of the truth, in nats."""
    ece: float
    """Expected calibration error over `N_CALIBRATION_BINS` bins, 0 to 1."""


class LabelFigures(NamedTuple):
    """Precision, recall and F1 of one class."""

    label: int
    """Class index."""
    n: int
    """Rows whose truth is this class."""
    precision: float
    """Of the rows predicted so, the share that is so; 0 when none is predicted."""
    recall: float
    """Of the rows that are so, the share predicted so; 0 when there is none."""
    f1: float
    """Harmonic mean of precision and recall; 0 when both are 0."""


class Difference(NamedTuple):
    """Accuracy of one model minus another's on the same rows."""

    difference: float
    """Mean of the paired differences, -1 to 1; positive: the first model is better."""
    ci95: Interval
    """Normal interval of the paired mean."""
    p_value: float
    """Exact two-sided McNemar test of no difference."""


class CalibrationBin(NamedTuple):
    """One bar of the reliability diagram."""

    confidence: float
    """Mean highest probability of the rows in the bin."""
    accuracy: float
    """Share of them that is right."""
    n: int
    """Rows in the bin, at least 1."""


class CoveragePoint(NamedTuple):
    """Accuracy on the rows a model is surest of."""

    coverage: float
    """Share of rows answered, 0 to 1."""
    accuracy: float
    """Accuracy on those rows."""


def wilson_interval(n_right: int, n: int) -> Interval:
    """Give the 95 % Wilson score interval of a share.

    Args:
        n_right: Successes, `0 <= n_right <= n`.
        n: Trials, at least 1.

    Returns:
        Both ends, inside 0 to 1.
    """
    return Interval(*wilson(n_right, n))


def is_right(probabilities: Probabilities, truth: Truth) -> Bool[np.ndarray, " rows"]:
    """Say for each row whether the most probable class is the truth (ties: the lowest index)."""
    return np.asarray(probabilities.argmax(axis=1) == truth)


def nll_nats(probabilities: Probabilities, truth: Truth) -> float:
    """Give the mean negative log-likelihood of the truth in nats; floored at 1e-12 inside."""
    chosen = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(chosen.astype(np.float64), 1e-12, None)).mean())


def confusion_matrix(
    probabilities: Probabilities, truth: Truth
) -> Int[np.ndarray, "classes classes"]:
    """Count rows by truth (first axis) and prediction (second axis)."""
    n_classes = probabilities.shape[1]
    matrix = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(matrix, (truth, probabilities.argmax(axis=1)), 1)
    return matrix


def per_label(probabilities: Probabilities, truth: Truth) -> list[LabelFigures]:
    """Give precision, recall and F1 of every class, in class order."""
    matrix = confusion_matrix(probabilities, truth)
    rows = []
    for label in range(len(matrix)):
        right = int(matrix[label, label])
        n_truth, n_predicted = int(matrix[label].sum()), int(matrix[:, label].sum())
        precision = right / n_predicted if n_predicted else 0.0
        recall = right / n_truth if n_truth else 0.0
        f1 = 2 * right / (n_truth + n_predicted) if n_truth + n_predicted else 0.0
        rows.append(LabelFigures(label, n_truth, precision, recall, f1))
    return rows


def macro_f1(probabilities: Probabilities, truth: Truth) -> float:
    """Give the unweighted mean F1 of the classes that occur in the truth or the predictions."""
    predicted = set(probabilities.argmax(axis=1).tolist())
    rows = [row for row in per_label(probabilities, truth) if row.n or row.label in predicted]
    return float(np.mean([row.f1 for row in rows]))


def calibration_bins(probabilities: Probabilities, truth: Truth) -> list[CalibrationBin]:
    """Group rows by their highest probability into equal-width bins; empty bins are left out."""
    confidence = probabilities.max(axis=1)
    right = is_right(probabilities, truth)
    index = np.minimum((confidence * N_CALIBRATION_BINS).astype(int), N_CALIBRATION_BINS - 1)
    bins = []
    for number in range(N_CALIBRATION_BINS):
        inside = index == number
        if inside.any():
            bins.append(
                CalibrationBin(
                    float(confidence[inside].mean()), float(right[inside].mean()), int(inside.sum())
                )
            )
    return bins


def expected_calibration_error(probabilities: Probabilities, truth: Truth) -> float:
    """Give the mean gap between confidence and accuracy, weighted by rows, 0 to 1."""
    bins = calibration_bins(probabilities, truth)
    return float(sum(row.n * abs(row.confidence - row.accuracy) for row in bins) / len(truth))


def coverage_curve(
    probabilities: Probabilities, truth: Truth, n_points: int = 20
) -> list[CoveragePoint]:
    """Give the accuracy on the surest share of the rows, from `1 / n_points` to all of them."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = is_right(probabilities, truth)[order]
    points = []
    for step in range(1, n_points + 1):
        n = max(1, round(len(truth) * step / n_points))
        points.append(CoveragePoint(n / len(truth), float(right[:n].mean())))
    return points


def quality(probabilities: Probabilities, truth: Truth) -> QualityFigures:
    """Measure a classifier on labelled rows.

    Args:
        probabilities: One distribution a row, each summing to 1.
        truth: The right class index of each row; at least one row.

    Returns:
        Accuracy with its interval, macro F1, loss in nats and calibration error.
    """
    right = is_right(probabilities, truth)
    return QualityFigures(
        float(right.mean()),
        wilson_interval(int(right.sum()), len(right)),
        macro_f1(probabilities, truth),
        nll_nats(probabilities, truth),
        expected_calibration_error(probabilities, truth),
    )


def paired_difference(
    first: Bool[np.ndarray, " rows"], second: Bool[np.ndarray, " rows"]
) -> Difference:
    """Compare two models row by row.

    Args:
        first: Whether the first model is right on each row.
        second: The same for the second model, on the same rows.

    Returns:
        The difference of accuracies with a paired interval and McNemar's exact p-value.
    """
    gap = first.astype(np.float64) - second.astype(np.float64)
    mean = float(gap.mean())
    half = Z95 * float(gap.std(ddof=1)) / math.sqrt(len(gap)) if len(gap) > 1 else 1.0
    wins, losses = int((gap > 0).sum()), int((gap < 0).sum())
    return Difference(mean, Interval(mean - half, mean + half), _sign_test(wins, losses))


def _sign_test(wins: int, losses: int) -> float:
    """Give the exact two-sided binomial p-value of `wins` against `losses` at even odds."""
    n, fewer = wins + losses, min(wins, losses)
    if n == 0:
        return 1.0
    log_terms = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2)
        for i in range(fewer + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(term) for term in log_terms))
