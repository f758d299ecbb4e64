"""Judge labels on held-out rows: does the label alone tell where the neuron fires?

Balanced accuracy: the mean of the share of firings at which the label holds and the share of other
tokens at which it does not; 0.5 is chance. F1: harmonic mean of the share of firings covered and of
the share of what it says that is right; it is low for a rare neuron even where the label is good.
The control is the balanced accuracy of another neuron's label of the same place.

Source: detection of Paulo et al. 2024, arXiv 2410.13928, without a language model that judges.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.bits import Bits, count

LEAST_SCORE = 0.65
"""Balanced accuracy below which a label counts as saying nothing."""

LEAST_FIRINGS = 5
"""Held-out firings below which a label is not judged."""


class Judgement(NamedTuple):
    """Of one label."""

    score: float | None
    """Balanced accuracy, 0 to 1; None where the neuron fires too seldom."""
    f1: float | None
    """0 to 1."""
    control: float | None
    """Balanced accuracy of another neuron's label."""
    n: int
    """Held-out firings."""


def judge(fired: Bits, said: Bits, n: int, seed: int = 0) -> list[Judgement]:
    """Judge the labels of the neurons of a place.

    Args:
        fired: where each fires in the held-out rows, [neurons, positions / 64].
        said: where its label says so.
        n: positions.
        seed: shuffles labels for the control, among neurons that fire.
    """
    n_fired, n_said = count(fired), count(said)
    n_both = count(fired & said)
    others = shuffled(np.flatnonzero(n_fired > 0), len(fired), seed)
    n_control = count(fired & said[others])
    scores = balanced_accuracy(n_both, n_said, n_fired, n)
    controls = balanced_accuracy(n_control, n_said[others], n_fired, n)
    f1 = 2 * n_both / np.maximum(1, n_fired + n_said)
    is_judged = n_fired >= LEAST_FIRINGS
    return [
        Judgement(float(scores[i]), float(f1[i]), float(controls[i]), int(n_fired[i]))
        if is_judged[i]
        else Judgement(None, None, None, int(n_fired[i]))
        for i in range(len(fired))
    ]


def balanced_accuracy(
    n_both: NDArray[np.int64], n_said: NDArray[np.int64], n_fired: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    """Give the mean of both shares, from counts.

    Args:
        n_both: where a neuron fires and its label holds.
        n_said: where its label holds.
        n_fired: where it fires.
        n: positions.
    """
    covered = n_both / np.maximum(1, n_fired)
    left_out = 1 - (n_said - n_both) / np.maximum(1, n - n_fired)
    found: NDArray[np.float64] = (covered + left_out) / 2
    return found


def shuffled(alive: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """Give each of some neurons another one of them; the rest keep themselves."""
    found = np.arange(n)
    order = np.random.default_rng(seed).permutation(alive)
    found[order] = np.roll(order, 1)
    return found
