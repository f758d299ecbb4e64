"""Everything recorded, turned around: for each neuron where it fired and how strongly.

Places of one site and layer are sorted by neuron; where they do not fit into memory together, the
shards are read several times, for some neurons each time.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.concepts.shards import Array, Shards
from sparsepath.trace.hidden import SitePlace

MAX_EVENTS = 4_000_000
"""Firings that are sorted at once, about 100 MB."""


class Events(NamedTuple):
    """Where one neuron fired."""

    neuron: int
    """Its number at the site."""
    positions: NDArray[np.int64]
    """Row times tokens of a row plus place in the row, ascending, over all rows."""
    values: NDArray[np.float32]
    """Of the neuron there; never zero."""


def events_of(shards: Shards, place: SitePlace) -> Iterator[Events]:
    """Give the events of every neuron of a place, in the order of their numbers.

    Args:
        shards: a finished recording.
        place: one that was recorded.
    """
    first = shards.kept(0, place).indices if shards.paths else np.empty(0)
    n_passes = max(1, -(-first.size * len(shards.paths) // MAX_EVENTS))
    bounds = [place.width * number // n_passes for number in range(n_passes + 1)]
    for low, high in pairwise(bounds):
        yield from _sorted(*_between(shards, place, low, high), low, high)


def _between(shards: Shards, place: SitePlace, low: int, high: int) -> tuple[Array, Array, Array]:
    """Collect the events of some neurons: neuron, position, value."""
    neurons, positions, values = [], [], []
    offset = 0
    for number in range(len(shards.paths)):
        kept = shards.kept(number, place)
        n_rows, length, k = kept.indices.shape
        indices, found = kept.indices.reshape(-1), kept.values.reshape(-1)
        wanted = np.flatnonzero((indices >= low) & (indices < high) & (found != 0))
        neurons.append(indices[wanted])
        positions.append(offset + wanted // k)
        values.append(found[wanted])
        offset += n_rows * length
    return np.concatenate(neurons), np.concatenate(positions), np.concatenate(values)


def _sorted(
    neurons: Array, positions: Array, values: Array, low: int, high: int
) -> Iterator[Events]:
    """Split events by neuron."""
    order = np.argsort(neurons, kind="stable")
    neurons, positions, values = neurons[order], positions[order], values[order]
    starts = np.searchsorted(neurons, np.arange(low, high + 1))
    for number in range(low, high):
        part = slice(starts[number - low], starts[number - low + 1])
        yield Events(number, positions[part], values[part].astype(np.float32))
