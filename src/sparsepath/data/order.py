"""Which rows of a table in memory a training step reads."""

import numpy as np
from numpy.typing import NDArray

from sparsepath.data.shards import permuted


def places_of_step(step: int, batch_size: int, n: int, seed: int) -> NDArray[np.int64]:
    """Give the rows of a step; each pass over all rows has an order of its own.

    Args:
        step: steps before it.
        batch_size: rows of every step.
        n: rows there are.
        seed: decides the orders.
    """
    places = [divmod(step * batch_size + i, n) for i in range(batch_size)]
    return np.array([permuted(place, n, seed, number) for number, place in places])
