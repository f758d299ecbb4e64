"""When a window of answers differs too much from those of the PoC.

The distance of two spreads is the population stability index (PSI), with half an answer added to
every class. Even without any change it is above 0, more so for small windows and small test sets;
so the threshold is found by drawing: both test set and window are drawn from the spread of the test
set, 20,000 times, and the threshold is what only one in `1 / RATE` of such pairs exceeds. It is
never below 0.1, under which a change is commonly held to be of no consequence.

Source: Yurdakul and Naranjo 2020, "Statistical properties of the population stability index".
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 0.001
"""Windows with a false alarm, at most, where answers come as independent draws."""

FLOOR: Final = 0.1

_DRAWS: Final = 20_000

Counts = NDArray[np.integer[Any]]


def psi(reference: Counts, window: Counts) -> NDArray[np.float64]:
    """Give the population stability index along the last axis, 0 for equal spreads.

    Args:
        reference: counts by class.
        window: the same.
    """
    p, q = _shares(reference), _shares(window)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1), np.float64)


def total_variation(reference: Sequence[int], window: Sequence[int]) -> float:
    """Give the share of the answers that would have to move, 0 to 1."""
    p = np.asarray(reference) / max(1, sum(reference))
    q = np.asarray(window) / max(1, sum(window))
    return float(abs(p - q).sum() / 2)


@lru_cache(maxsize=64)
def threshold(reference: tuple[int, ...], size: int, rate: float) -> float:
    """Give the index that is too much.

    Args:
        reference: counts of the test set by class.
        size: answers of a window.
        rate: share of the windows that may exceed it without any change.
    """
    rng = np.random.default_rng(0)
    shares = _shares(np.array(reference))
    references = rng.multinomial(sum(reference), shares, _DRAWS)
    windows = rng.multinomial(size, shares, _DRAWS)
    return max(FLOOR, float(np.quantile(psi(references, windows), 1 - rate)))


def _shares(counts: Counts) -> NDArray[np.float64]:
    """Give shares with half an answer added to every class."""
    more = counts + 0.5
    return np.asarray(more / more.sum(axis=-1, keepdims=True), np.float64)
