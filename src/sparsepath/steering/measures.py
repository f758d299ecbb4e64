"""Side effects of steering on what is written, and intervals.

Source: Wilson 1927 (interval of a share).
"""

import math
from collections.abc import Sequence

import numpy as np

from sparsepath.artifacts.base import Interval

Z95 = 1.959964
"""Standard errors of a 95 % interval."""


GRAM = 4
"""Tokens of a gram."""


def repetition(tokens: Sequence[int], n: int = GRAM) -> float:
    """Give the share of n-grams that occurred earlier in the same output, 0 to 1.

    Args:
        tokens: of an output; 0 where it is shorter than `n`.
        n: tokens of a gram.
    """
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def share_ci95(count: float, n: int) -> Interval:
    """Give the 95 % Wilson interval of a share.

    Args:
        count: of `n`.
        n: at least 1.
    """
    share, square = count / n, Z95**2 / n
    middle = (share + square / 2) / (1 + square)
    half = Z95 * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def repetition_ci95(shares: Sequence[float], n_grams: int) -> Interval:
    """Give the 95 % interval of the mean repetition of outputs.

    The wider of two: by the standard error over outputs, and the Wilson interval of all grams
    together, since outputs that all repeat nothing have no spread.

    Args:
        shares: `repetition` of each output, at least one.
        n_grams: of all outputs together.
    """
    middle = float(np.mean(shares))
    spread = float(np.std(shares, ddof=1)) if len(shares) > 1 else 0.0
    half = Z95 * spread / math.sqrt(len(shares))
    low, high = share_ci95(middle * n_grams, n_grams) if n_grams else (middle, middle)
    return min(low, middle - half), max(high, middle + half)
