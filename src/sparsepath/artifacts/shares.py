"""Intervals of shares: what counts say, and how surely.

Source: Wilson 1927 (score interval); Agresti and Caffo 2000 (difference of two shares); Agresti and
Min 2005 (difference of two shares of the same things).
"""

import math
from typing import Final

from sparsepath.artifacts.base import Interval

Z95: Final = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(n_right: int | float, n: int, z: float = Z95) -> Interval:
    """Give the Wilson score interval of a share.

    Args:
        n_right: successes, `0 <= n_right <= n`. Where trials are shares from 0 to 1 in place of
            yes or no, their sum: they vary less, so the interval is at least as wide as it must be.
        n: trials, at least 1.
        z: quantile of the normal distribution.

    Returns:
        Both ends, inside 0 to 1.
    """
    share = n_right / n
    scale = 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / scale
    # The interval holds the share itself, also after rounding.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def difference(first: tuple[int, int], second: tuple[int, int], z: float = Z95) -> Interval:
    """Give the interval of one share minus another one, of different things.

    Args:
        first: successes and trials, at least one.
        second: the same of what is taken away.
        z: quantile of the normal distribution.
    """
    (right_1, n_1), (right_2, n_2) = first, second
    p_1, p_2 = (right_1 + 1) / (n_1 + 2), (right_2 + 1) / (n_2 + 2)
    half = z * math.sqrt(p_1 * (1 - p_1) / (n_1 + 2) + p_2 * (1 - p_2) / (n_2 + 2))
    return max(-1.0, p_1 - p_2 - half), min(1.0, p_1 - p_2 + half)


def paired_difference(only_first: int, only_second: int, n: int, z: float = Z95) -> Interval:
    """Give the interval of one share minus another one, of the same things.

    Args:
        only_first: things in which only the first succeeds.
        only_second: things in which only the second does.
        n: all things, at least 1.
        z: quantile of the normal distribution.
    """
    b, c, m = only_first + 0.5, only_second + 0.5, n + 2
    half = z * math.sqrt(max(0.0, b + c - (b - c) ** 2 / m)) / m
    return max(-1.0, (b - c) / m - half), min(1.0, (b - c) / m + half)
