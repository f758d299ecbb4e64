"""Everything recorded, turned around: for each neuron where it fired and how strongly.

Places of one site and layer are sorted by neuron; where they do not fit into memory together, the
shards are read several times, for some neurons each time.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.neuron import Neuron, Side
from sparsepath.concepts.shards import Array, Shards
from sparsepath.trace.hidden import SitePlace

SIDES: tuple[Side, ...] = ("+", "-")
"""Of an entry whose signs are told apart."""

MAX_EVENTS = 4_000_000
"""Firings that are sorted at once, about 100 MB."""


class Events(NamedTuple):
    """Where one neuron fired."""

    neuron: Neuron
    """Which."""
    positions: NDArray[np.int64]
    """Row times tokens of a row plus place in the row, ascending, over all rows."""
    values: NDArray[np.float32]
    """Of the neuron there; never zero, and above zero where it is one sign of an entry."""


def events_of(shards: Shards, place: SitePlace, *, is_two_sided: bool = False) -> Iterator[Events]:
    """Give the events of every neuron of a place, in the order of their numbers.

    Args:
        shards: a finished recording.
        place: one that was recorded.
        is_two_sided: whether each sign of an entry is a neuron; the one above zero comes first.
    """
    for entry in _of_entries(shards, place):
        yield from (_one_side(entry, side) for side in SIDES) if is_two_sided else (entry,)


def _one_side(entry: Events, side: Side) -> Events:
    """Leave the events of one sign."""
    neuron = entry.neuron._replace(side=side)
    values = neuron.sign * entry.values
    return Events(neuron, entry.positions[values > 0], values[values > 0])


def _of_entries(shards: Shards, place: SitePlace) -> Iterator[Events]:
    """Give the events of every entry."""
    first = shards.kept(0, place).indices if shards.paths else np.empty(0)
    n_passes = max(1, -(-first.size * len(shards.paths) // MAX_EVENTS))
    bounds = [place.width * number // n_passes for number in range(n_passes + 1)]
    for low, high in pairwise(bounds):
        for number, positions, values in _sorted(*_between(shards, place, low, high), low, high):
            yield Events(Neuron(place.layer, place.site, number), positions, values)


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
) -> Iterator[tuple[int, Array, Array]]:
    """Split events by entry."""
    order = np.argsort(neurons, kind="stable")
    neurons, positions, values = neurons[order], positions[order], values[order]
    starts = np.searchsorted(neurons, np.arange(low, high + 1))
    for number in range(low, high):
        part = slice(starts[number - low], starts[number - low + 1])
        yield number, positions[part], values[part].astype(np.float32)
