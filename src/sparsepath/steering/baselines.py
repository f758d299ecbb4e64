"""Other ways to steer, to compare a neuron with: other neurons, and directions of equal norm."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.edit import Edit
from sparsepath.artifacts.neuron import Neuron
from sparsepath.errors import ConfigError, DataError
from sparsepath.trace.ranges import Ranges

Vector = NDArray[np.float32]


def random_neurons(
    steered: Sequence[Neuron], ranges: Ranges, n: int, rng: np.random.Generator
) -> list[Neuron]:
    """Draw neurons of the same site that fire on ordinary text, none of them steered.

    Args:
        steered: the first says which site.
        ranges: usual values.
        n: neurons, at most.
        rng: draws.
    """
    first = steered[0]
    fired = np.flatnonzero(ranges[first.layer, first.site].largest).tolist()
    taken = {neuron.index for neuron in steered if neuron[:2] == first[:2]}
    known = [index for index in fired if index not in taken]
    chosen = rng.permutation(len(known))[:n]
    return [first._replace(index=known[int(i)]) for i in chosen]


def random_direction(width: int, rng: np.random.Generator) -> Vector:
    """Draw a direction evenly, of norm 1, [width]."""
    found = rng.normal(size=width)
    unit: Vector = (found / np.linalg.norm(found)).astype(np.float32)
    return unit


def mean_difference(with_concept: Vector, without: Vector) -> Vector:
    """Give the direction from the mean of some states to that of others, of norm 1.

    Args:
        with_concept: [rows, width], of texts with the concept.
        without: [rows, width], of texts without it.

    Raises:
        DataError: if the means are the same.

    Source:
        Turner et al. 2023, arXiv 2308.10248 (activation addition); Marks & Tegmark 2023,
        arXiv 2310.06824 (mean difference).
    """
    found = with_concept.mean(axis=0) - without.mean(axis=0)
    if not (size := float(np.linalg.norm(found))):
        raise DataError(
            "the texts with and without the concept have the same mean",
            hint="give two files with different texts",
        )
    unit: Vector = (found / size).astype(np.float32)
    return unit


def direction_edits(direction: Vector, like: Sequence[Edit]) -> list[Edit]:
    """Add a direction where neurons are steered, as strongly as they are.

    Args:
        direction: of norm 1, [width].
        like: edits that set or add; the first says where, all together how strongly.

    Raises:
        ConfigError: if one of them is of another kind.
    """
    for edit in like:
        if edit.operation not in ("set", "add"):
            raise ConfigError(
                f"{edit}: a direction has no like of `{edit.operation}`",
                hint="leave --random-directions and --mean-difference out, or sweep set or add",
            )
    norm = math.sqrt(sum(edit.value**2 for edit in like))
    first = like[0]
    place = first.place
    return [
        first.model_copy(
            update={
                "neuron": place._replace(index=index).name,
                "operation": "add",
                "value": float(norm * value),
            }
        )
        for index, value in enumerate(direction)
    ]
