"""A measured figure with its interval and its controls.

Source of intervals: percentile bootstrap (Efron 1979), rows drawn with replacement.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from sparsepath.artifacts.base import Interval

N_RESAMPLES = 1000
"""Draws behind an interval."""

Groups = Sequence[Float[np.ndarray, " _"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure."""

    value: float | None
    """None where it is not defined; `note` says why."""
    ci95: Interval | None
    """Over rows; None where rows do not give one."""
    n: int
    """Rows behind it."""
    controls: dict[str, float] = field(default_factory=dict)
    """The same measured where the answer is known, or of what the features are compared with."""
    parts: dict[str, float] = field(default_factory=dict)
    """By class, or of what the value is made."""
    note: str = ""


def mean_of_means(groups: Groups) -> float:
    """Average groups that count the same, whatever their size."""
    return float(np.mean([np.mean(group) for group in groups]))


def mean_ci95(groups: Groups, seed: int) -> Interval:
    """Give the interval of `mean_of_means`, rows drawn within each group.

    Args:
        groups: at least one, none empty.
        seed: draws.
    """
    rng = np.random.default_rng(seed)
    means_GR = [group[_picks(rng, len(group))].mean(axis=1) for group in groups]
    return _middle(np.mean(means_GR, axis=0))


def ratio_ci95(
    top: Float[np.ndarray, " n"], bottom: Float[np.ndarray, " n"], seed: int
) -> Interval | None:
    """Give the interval of a ratio of sums over rows; None where a draw has nothing below.

    Args:
        top: of each row.
        bottom: of each row.
        seed: draws.
    """
    picks = _picks(np.random.default_rng(seed), len(top))
    below = bottom[picks].sum(axis=1)
    if not below.all():
        return None
    return _middle(top[picks].sum(axis=1) / below)


def _picks(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(0, n, (N_RESAMPLES, n))


def _middle(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
