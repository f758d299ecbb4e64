"""Linear probes: logistic regression of a yes-or-no question, in the units of what it reads.

Shape letters: N rows, D what a probe reads.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sparsepath.train.linear import fit_linear

INVERSE_PENALTY = 1.0
"""scikit-learn's `C`, as SAEBench's probes have it."""


class Probe(NamedTuple):
    """A linear question."""

    weight: Float[np.ndarray, " width"]
    bias: float

    def score(self, x: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, " rows"]:
        """Give the logit of each row; above zero is yes."""
        found: Float[np.ndarray, " rows"] = x @ self.weight + self.bias
        return found

    def right(
        self, x: Float[np.ndarray, "rows width"], truth: Int[np.ndarray, " rows"]
    ) -> Float[np.ndarray, " rows"]:
        """Say of each row whether the answer is right, 1 or 0.

        A row on the line counts one half: nothing speaks for either side.
        """
        sides = np.sign(self.score(x)) * np.where(truth == 1, 1, -1)
        found: Float[np.ndarray, " rows"] = (1 + sides) / 2
        return found

    def says(self, x: Float[np.ndarray, "rows width"]) -> Bool[np.ndarray, " rows"]:
        """Give the answer for each row."""
        return self.score(x) > 0


def fit_probe(
    x: Float[np.ndarray, "rows width"],
    truth: Int[np.ndarray, " rows"],
    *,
    by_column: bool = False,
) -> Probe:
    """Fit a probe.

    Args:
        x: what it reads.
        truth: 1 or 0, both there.
        by_column: divide every column by its own spread before the penalty applies, so that each
            counts the same; else all by one number, which keeps the direction of the probe that of
            the space it reads.
    """
    x = x.astype(np.float64)
    spread = x.std(axis=0)
    if not by_column:
        spread = np.full_like(spread, np.sqrt(np.mean(spread**2)))
    spread = np.where(spread > 0, spread, 1.0)
    middle = x.mean(axis=0)
    found = fit_linear((x - middle) / spread, truth, 2, inverse_penalty=INVERSE_PENALTY)
    weight = (found.weight[1] - found.weight[0]).astype(np.float64) / spread
    bias = float(found.bias[1] - found.bias[0]) - float(middle @ weight)
    return Probe(weight, bias)
