"""How large the values of neurons get on ordinary text, and which strengths go beyond that.

A set or added value may be `LARGEST_TIMES` the largest size that the neuron had where it was
measured. Of a neuron that never fired nothing is known; there `UNKNOWN_TIMES` the root mean square
of the values that its site kept is the limit. A factor may be `LARGEST_TIMES`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import ConfigError
from sparsepath.trace.edits import Spot

LARGEST_TIMES = 4.0
UNKNOWN_TIMES = 4.0


class Range(NamedTuple):
    """Values of one site of one layer."""

    largest: NDArray[np.float32]
    """Size of the largest value of each entry, [width]; 0 where it never fired."""
    squares: float
    """Sum of the squares of all values."""
    n_kept: int
    """Values that were not zero."""

    @property
    def rms(self) -> float:
        """Root mean square of the values that were not zero."""
        return math.sqrt(self.squares / self.n_kept) if self.n_kept else 0.0

    def with_rows(self, rows: NDArray[np.float32]) -> "Range":
        """Take more hidden states in, [rows, width]."""
        return Range(
            np.maximum(self.largest, np.abs(rows).max(axis=0, initial=0.0)),
            self.squares + float(np.square(rows, dtype=np.float64).sum()),
            self.n_kept + int(np.count_nonzero(rows)),
        )


Ranges = Mapping[Spot, Range]
"""Of every site that was measured."""


class Limit(NamedTuple):
    """How strong an edit of a neuron may be."""

    largest: float
    """Size of its largest value where it was measured; 0 where it never fired."""
    value: float
    """Set and added values may be this large in size."""
    factor: float = LARGEST_TIMES
    """Factors may be this large in size."""


def limit_of(neuron: Neuron, ranges: Ranges) -> Limit:
    """Give how strong an edit of a neuron may be; without any limit where nothing was measured."""
    found = ranges.get((neuron.layer, neuron.site))
    if found is None:
        return Limit(0.0, math.inf)
    largest = float(found.largest[neuron.index])
    known = LARGEST_TIMES * largest if largest else UNKNOWN_TIMES * found.rms
    return Limit(largest, known)


def check_strengths(edits: Sequence[Edit], ranges: Ranges) -> None:
    """Refuse what is stronger than a model bears.

    Raises:
        ConfigError: if an edit is beyond its limit.
    """
    for edit in edits:
        limit = limit_of(edit.place, ranges)
        most = limit.factor if edit.operation == "scale" else limit.value
        if abs(edit.value) <= most:
            continue
        known = (
            f"its largest value on ordinary text is {limit.largest:.4g}"
            if limit.largest
            else "it never fired on ordinary text"
        )
        raise ConfigError(
            f"{edit}: {abs(edit.value):.4g} is beyond the limit of {most:.4g}; {known}",
            hint=f"stay within {most:.4g}, or allow it (--unsafe-strength, unsafe_strength=True); "
            "such strengths mostly break the text",
        )
