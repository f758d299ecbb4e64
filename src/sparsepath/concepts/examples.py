"""Where a neuron fires most strongly, and where it fires as it usually does.

The strongest firings alone mislead: they may be of another kind than most. So examples come from
bands: the strongest, and those around the strongest 0.1 %, 1 %, 10 % and 50 % of the firings.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.artifacts.catalogue_schema import AFTER, BEFORE
from sparsepath.concepts.events import Events
from sparsepath.concepts.recorded import Recorded

BANDS: dict[str, tuple[float, int]] = {
    "top": (0.0, 6), "0.1%": (0.001, 2), "1%": (0.01, 2), "10%": (0.1, 3), "50%": (0.5, 3),
}  # fmt: skip
"""Share of the firings that are stronger, and examples, by name."""


class Example(NamedTuple):
    """One firing with its surroundings."""

    band: str
    """A key of `BANDS`."""
    value: float
    """Of the neuron at the token."""
    at: int
    """Place of the token in the context."""
    ids: NDArray[np.uint32]
    """Tokens of the context."""
    values: NDArray[np.float16]
    """Of the neuron at each of them; 0 where it does not fire."""


def examples(events: Events, text: Recorded) -> list[Example]:
    """Choose examples, each from a row of its own as far as there are rows.

    Args:
        events: of finding rows only.
        text: of the recording.
    """
    order = _strongest_first(events.values)
    n, used = len(order), set[int]()
    found = []
    for band, (share, n_wanted) in BANDS.items():
        first = round(share * n)
        if share and first < BANDS["top"][1]:
            continue  # the strongest ones are these
        # Not below the middle of what is left, so that a band is what its name says.
        last = n if not share else first + max(n_wanted, round(first * 0.5))
        for rank in _spread(order[first:last], n_wanted, used, events, text.length):
            found.append(_example(band, int(rank), events, text))
    return found


def _strongest_first(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Sort firings by value, and equal ones by place.

    Values were recorded in 16 bits. Read as whole numbers their bits are in order once those of
    negative ones are turned, and NumPy's stable sort of such numbers is by digits: ten times as
    fast as that of floats.
    """
    bits = values.astype(np.float16).view(np.uint16)
    is_negative = bits >> 15 == 1
    keys = np.where(is_negative, bits, np.uint16(0x7FFF) - bits)
    order: NDArray[np.int64] = np.argsort(keys, kind="stable")
    return order


def _spread(
    ranks: NDArray[np.int64], n: int, used: set[int], events: Events, length: int
) -> Iterator[int]:
    """Take the first of some firings whose rows were not used yet."""
    taken = 0
    for rank in ranks:
        row = int(events.positions[rank]) // length
        if row in used:
            continue
        used.add(row)
        taken += 1
        yield int(rank)
        if taken == n:
            return


def _example(band: str, number: int, events: Events, text: Recorded) -> Example:
    """Cut the surroundings of one firing out of its row."""
    position = int(events.positions[number])
    row, place = divmod(position, text.length)
    start, end = max(0, place - BEFORE), min(text.length, place + AFTER + 1)
    if text.texts is not None:
        same = np.flatnonzero(text.texts[row] == text.texts[row, place])
        start, end = max(start, int(same[0])), min(end, int(same[-1]) + 1)
    ids = text.tokens[row, start:end].astype(np.uint32)
    values = np.zeros(len(ids), np.float16)
    low, high = np.searchsorted(
        events.positions, [position - place + start, position - place + end]
    )
    values[events.positions[low:high] - (position - place + start)] = events.values[low:high]
    return Example(band, float(events.values[number]), place - start, ids, values)
