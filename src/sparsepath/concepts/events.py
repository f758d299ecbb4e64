"""Everything recorded, turned around: for each neuron where it fired and how strongly.

Each shard's firings at one site and layer are sorted by neuron; where they do not fit into memory
together, the shards are read several times, for some neurons each time.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sparsepath.artifacts.neuron import Neuron, Side
from sparsepath.concepts.shards import Array, Shards, unsigned
from sparsepath.trace.hidden import SitePlace

SIDES: tuple[Side, ...] = ("+", "-")
"""Of an entry whose signs are told apart."""

MAX_EVENTS = 1 << 25
"""Firings that are held sorted, 4 bytes each."""


class Events(NamedTuple):
    """Where one neuron fired."""

    neuron: Neuron
    """Which."""
    positions: NDArray[np.int64]
    """Row times tokens of a row plus place in the row, ascending, over all rows."""
    values: NDArray[np.float32]
    """Of the neuron there; never zero, and above zero where it is one sign of an entry."""


class Narrow(NamedTuple):
    """The same in half the memory."""

    neuron: Neuron
    positions: Array
    values: NDArray[np.float16]
    """As they were recorded."""

    def widened(self) -> Events:
        """Give it back."""
        positions = self.positions.astype(np.int64)
        return Events(self.neuron, positions, self.values.astype(np.float32))


def narrow(events: Events) -> Narrow:
    """Make events of a recording small."""
    most = int(events.positions[-1]) + 1 if len(events.positions) else 0
    kind = np.uint32 if most <= 1 << 32 else np.int64
    return Narrow(events.neuron, events.positions.astype(kind), events.values.astype(np.float16))


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


class _Sorted(NamedTuple):
    """Firings of some entries in one shard, by entry; within one they are in the text's order."""

    offset: int
    """Tokens of the shards before."""
    starts: NDArray[np.int64]
    """Of each entry, and the end of the last one."""
    positions: Array
    """In the shard, unsigned."""
    values: NDArray[np.float16]


def _of_entries(shards: Shards, place: SitePlace) -> Iterator[Events]:
    """Give the events of every entry."""
    first = shards.kept(0, place).indices if shards.paths else np.empty(0)
    n_passes = max(1, -(-first.size * len(shards.paths) // MAX_EVENTS))
    bounds = [place.width * number // n_passes for number in range(n_passes + 1)]
    for low, high in pairwise(bounds):
        parts = list(_sorted(shards, place, low, high))
        for number in range(high - low):
            positions, values = _joined(parts, number)
            yield Events(Neuron(place.layer, place.site, low + number), positions, values)
        parts.clear()  # before the next are sorted


def _sorted(shards: Shards, place: SitePlace, low: int, high: int) -> Iterator[_Sorted]:
    """Sort the firings of some entries, shard by shard."""
    offset = 0
    for number in range(len(shards.paths)):
        kept = shards.kept(number, place)
        n_rows, length, k = kept.indices.shape
        indices, values = kept.indices.reshape(-1), kept.values.reshape(-1)
        # Entries by token, turned around to tokens by entry: SciPy does it without comparing.
        by_token = sparse.csr_array(
            (values.view(np.uint16), indices.astype(np.int32), np.arange(0, values.size + 1, k)),
            (n_rows * length, place.width),
        )
        by_entry = by_token.tocsc()
        starts = by_entry.indptr[low : high + 1].astype(np.int64)
        part = slice(starts[0], starts[-1])
        positions, found = by_entry.indices[part], by_entry.data[part].view(np.float16)
        silent = np.flatnonzero(found == 0)
        starts = starts - starts[0]
        starts = starts - np.searchsorted(silent, starts)
        positions, found = np.delete(positions, silent), np.delete(found, silent)
        n = n_rows * length
        yield _Sorted(offset, starts, positions.astype(unsigned(n)), found)
        offset += n


def _joined(parts: list[_Sorted], number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Put the firings of one entry together."""
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    slices = [slice(part.starts[number], part.starts[number + 1]) for part in parts]
    positions = [
        p.offset + p.positions[s].astype(np.int64) for p, s in zip(parts, slices, strict=True)
    ]
    values = [part.values[one] for part, one in zip(parts, slices, strict=True)]
    return np.concatenate(positions), np.concatenate(values).astype(np.float32)
