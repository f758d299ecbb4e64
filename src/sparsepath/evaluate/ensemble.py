"""Whether a self-ensemble is better than one dense pass, and when it may answer alone.

Shape letters: M members, N rows, C labels.

Source: Brier 1950; Guo et al. 2017 (calibration error); Clopper and Pearson 1934 (exact bound of a
share); Angelopoulos et al. 2021, "Learn then Test", arXiv 2110.01052 (thresholds tried in a fixed
order keep the risk of all of them).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import beta

from sparsepath.evaluate.quality import (
    CoveragePoint,
    coverage_curve,
    expected_calibration_error,
    is_right,
    nll_nats,
)

Probabilities = Float[np.ndarray, "rows labels"]

THRESHOLDS = np.linspace(0.995, 0.0, 200)
"""Least confidences that are tried, the strictest first."""


FIRST_ROWS = 3
"""The strictest threshold tried answers this many times the rows that could show the risk to be
kept if all were right: with fewer, one wrong answer would end the search."""


class Figures(NamedTuple):
    """Quality of one way to answer."""

    members: int
    """Sub-models that were averaged; 0 for one dense pass."""
    accuracy: float
    """Share of rows that are right, 0 to 1."""
    nll_nats: float
    """Mean negative log-likelihood of the truth."""
    brier: float
    """Mean squared distance of the probabilities from the truth, 0 to 2."""
    ece: float
    """Expected calibration error, 0 to 1."""


class Unsure(NamedTuple):
    """How far members differ on each row."""

    spread: Float[np.ndarray, " rows"]
    """Standard deviation over members of the probability of the ensemble's label."""
    disagreement: Float[np.ndarray, " rows"]
    """Share of members that give another label than the ensemble."""


class Alone(NamedTuple):
    """From which confidence on a model may answer without a person."""

    threshold: float | None
    """Least confidence; None where no threshold is known to keep the risk."""
    risk: float
    """Share of wrong answers among those given that is allowed."""
    level: float
    """Probability, over draws of the calibration rows, that the risk is kept."""
    coverage: float
    """Share of other rows that are answered alone."""
    error: float | None
    """Share of wrong ones among these; None where none is answered."""


def figures(probabilities: Probabilities, truth: Int[np.ndarray, " rows"], members: int) -> Figures:
    """Measure one way to answer.

    Args:
        probabilities: of each row.
        truth: class indices.
        members: how many sub-models were averaged; 0 for one dense pass.
    """
    wanted = np.eye(probabilities.shape[1])[truth]
    return Figures(
        members,
        float(is_right(probabilities, truth).mean()),
        nll_nats(probabilities, truth),
        float(((probabilities - wanted) ** 2).sum(axis=1).mean()),
        expected_calibration_error(probabilities, truth),
    )


def member_curve(
    members: Float[np.ndarray, "members rows labels"],
    truth: Int[np.ndarray, " rows"],
    counts: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
) -> list[Figures]:
    """Measure ensembles of growing size; each holds the smaller ones.

    Args:
        members: probabilities.
        truth: class indices.
        counts: sizes; those beyond the members there are left out.
    """
    return [figures(members[:n].mean(axis=0), truth, n) for n in counts if n <= len(members)]


def unsure(members: Float[np.ndarray, "members rows labels"]) -> Unsure:
    """Say how far members differ on each row."""
    mean = members.mean(axis=0)
    label = mean.argmax(axis=1)
    own = np.take_along_axis(members, label[None, :, None], axis=2)[:, :, 0]
    return Unsure(own.std(axis=0), (members.argmax(axis=2) != label).mean(axis=0))


def answer_alone(
    probabilities: Probabilities,
    truth: Int[np.ndarray, " rows"],
    is_calibration: Bool[np.ndarray, " rows"],
    *,
    risk: float,
    level: float = 0.9,
) -> Alone:
    """Choose on calibration rows from which confidence on a model answers alone.

    Thresholds are tried from the strictest on, until the exact upper bound of the share of wrong
    answers first lies above the risk; so the last one that passed keeps the risk with at least the
    probability `level`. Coverage and error are told of the other rows.

    Args:
        probabilities: of all rows.
        truth: class indices.
        is_calibration: rows that the threshold is chosen on.
        risk: share of wrong answers that is allowed, above 0 and below 1.
        level: probability with which it is kept, above 0 and below 1.
    """
    confidence, right = probabilities.max(axis=1), is_right(probabilities, truth)
    n_first = min(int(is_calibration.sum()), FIRST_ROWS * _fewest(risk, level))
    found: float | None = None
    for threshold in THRESHOLDS:
        is_answered = is_calibration & (confidence >= threshold)
        n, n_wrong = int(is_answered.sum()), int((is_answered & ~right).sum())
        if n == 0 or n < n_first:
            continue  # where to begin depends on confidences alone, which keeps the promise
        bound = 1.0 if n_wrong == n else float(beta.ppf(level, n_wrong + 1, n - n_wrong))
        if bound > risk:
            break
        found = float(threshold)
    others = ~is_calibration
    is_answered = others & (confidence >= found) if found is not None else np.zeros_like(others)
    n = int(is_answered.sum())
    error = float((~right)[is_answered].mean()) if n else None
    return Alone(found, risk, level, n / max(1, int(others.sum())), error)


def selective(probabilities: Probabilities, truth: Int[np.ndarray, " rows"]) -> list[CoveragePoint]:
    """Give accuracy on the rows that a model is surest of, over how many these are."""
    return coverage_curve(probabilities, truth)


def _fewest(risk: float, level: float) -> int:
    """Give the fewest rows, all right, that show a risk to be kept."""
    return int(np.ceil(np.log(1 - level) / np.log(1 - risk)))
