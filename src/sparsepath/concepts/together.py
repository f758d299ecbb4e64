"""Which neurons of a place fire together, on a sample of the text.

How much two neurons fire together is the Jaccard index of the tokens at which they fire: those of
both, as a share of those of either.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sparsepath.concepts.events import Events

N_SAMPLED = 32_768
"""Positions at most."""

N_SHOWN = 5
"""Neurons that are named for each."""

NEAR_DUPLICATE = 0.8
"""Jaccard index from which two neurons count as near-duplicates."""

LEAST_BOTH = 3
"""Tokens at which two neurons must fire both."""


class Together(NamedTuple):
    """A neuron that fires with another one."""

    neuron: int
    """Its number."""
    jaccard: float
    """0 to 1."""


class Patterns:
    """Where the neurons of one place fire in the sample."""

    def __init__(self, n_positions: int) -> None:
        """Choose the sample: evenly spread over all positions.

        Args:
            n_positions: of the recording.
        """
        # Odd, so that places in rows, whose length is mostly even, come up alike.
        self.step = max(1, -(-n_positions // N_SAMPLED)) | 1
        self.n_sampled = -(-n_positions // self.step)
        self._places: list[NDArray[np.uint16]] = []

    def add(self, events: Events) -> NDArray[np.uint16]:
        """Take the events of the next neuron; give its places in the sample, ascending."""
        numbers = events.positions // self.step
        inside = numbers[numbers * self.step == events.positions]
        self._places.append(inside.astype(np.uint16))
        return self._places[-1]

    def together(self) -> list[list[Together]]:
        """Give the neurons that fire most with each, by its number."""
        sizes = np.array([len(places) for places in self._places], np.int64)
        pattern = incidence(self._places, self.n_sampled)
        both = (pattern @ pattern.T).tocsr()
        found = []
        for number in range(len(sizes)):
            part = slice(both.indptr[number], both.indptr[number + 1])
            others, n_both = both.indices[part].astype(np.int64), both.data[part].astype(np.int64)
            wanted = (others != number) & (n_both >= LEAST_BOTH)
            others, n_both = others[wanted], n_both[wanted]
            jaccard = n_both / (sizes[number] + sizes[others] - n_both)
            best = np.lexsort((others, -jaccard))[:N_SHOWN]
            found.append([Together(int(others[i]), float(jaccard[i])) for i in best])
        return found


def incidence(places: list[NDArray[np.uint16]], n_positions: int) -> sparse.csr_array:
    """Make the matrix [neurons, positions] of where each fires, ones and zeros."""
    ends = np.cumsum([0, *(len(p) for p in places)])
    columns = np.concatenate(places) if places else np.empty(0, np.uint16)
    ones = np.ones(len(columns), np.int32)
    return sparse.csr_array(
        (ones, columns.astype(np.int32), ends.astype(np.int32)), (len(places), n_positions)
    )
