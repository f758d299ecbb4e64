"""How a model's answers are spread: over labels, confidence and entropy, as counts.

What a PoC keeps of its test rows, so that answers in daily use can be compared with them.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.base import Artifact

BINS: Final = 15
"""Classes of equal width between 0 and 1, for confidence and entropy."""


class AnswerMix(Artifact):
    """Counts of answers."""

    labels: list[int]
    """Answers with each label, in class order."""
    confidence: list[int]
    """Answers by class of the label's probability; empty: not known."""
    entropy: list[int]
    """Answers by class of the entropy over that of equal probabilities; empty: not known."""


def bin_of(value: float) -> int:
    """Give the class of a value between 0 and 1."""
    return min(BINS - 1, max(0, int(value * BINS)))


def count_bins(values: Sequence[float]) -> list[int]:
    """Count values between 0 and 1 by class."""
    counts = [0] * BINS
    for value in values:
        counts[bin_of(value)] += 1
    return counts


def mix_of(probabilities: NDArray[np.floating[Any]]) -> AnswerMix:
    """Count answers.

    Args:
        probabilities: [rows, labels].
    """
    p = probabilities.astype(np.float64)
    n_labels = p.shape[1]
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1) / math.log(max(2, n_labels))
    return AnswerMix(
        labels=np.bincount(p.argmax(axis=1), minlength=n_labels).tolist(),
        confidence=count_bins(p.max(axis=1).tolist()),
        entropy=count_bins(entropy.tolist()),
    )
