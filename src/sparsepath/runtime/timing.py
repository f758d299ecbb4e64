"""Timing things against each other in one process, so that their ratio holds on a busy machine.

Each block gives every candidate the same rows, in a fresh random order of candidates: what slows
the machine down for a while slows all of them. Within its turn a candidate first runs rows that are
not counted, because a served model finds its weights in the caches, not those of its rivals.
"""

import gc
import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

WARM_UP: Final = 2
"""Calls at the start of every turn that are not counted."""


def time_interleaved(
    calls: Mapping[str, Callable[[int], object]],
    rows: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    max_s: float | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, NDArray[np.float64]]:
    """Time calls on rows, block by block, the candidates in turn.

    Args:
        calls: for each candidate, what runs one row, given its number.
        rows: row numbers, [blocks, rows of a block].
        rng: draws the order of the candidates in each block.
        max_s: stop after the block in which this many seconds are over; at least one block is done.
        clock: nanoseconds; `time.thread_time_ns` leaves out what others did meanwhile, for calls
            that run on the calling thread alone.

    Returns:
        Milliseconds, [blocks, rows of a block] for every candidate; entries at the same place are
        of the same row at nearly the same time.
    """
    names = list(calls)
    samples: dict[str, list[list[float]]] = {name: [] for name in names}
    end = None if max_s is None else time.monotonic() + max_s
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        for block in rows:
            for place in rng.permutation(len(names)):
                name = names[int(place)]
                samples[name].append(_turn(calls[name], block, clock))
            gc.collect(0)
            if end is not None and time.monotonic() > end:
                break
    finally:
        if was_collecting:
            gc.enable()
    return {name: np.array(turns) for name, turns in samples.items()}


def _turn(
    call: Callable[[int], object], block: NDArray[np.int64], clock: Callable[[], int]
) -> list[float]:
    """Warm up on the last rows of a block, then time all of them in order."""
    numbers = block.tolist()
    for row in numbers[-WARM_UP:]:
        call(row)
    taken = []
    for row in numbers:
        start = clock()
        call(row)
        taken.append((clock() - start) / 1e6)
    return taken
