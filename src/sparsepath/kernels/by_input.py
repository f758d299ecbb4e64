"""Matrices with one row an input, as the native code reads them; numpy only, no torch.

8-bit rows have one scale each. Those of 4 bits hold theirs (`four_bits.py`).
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparsepath.kernels.four_bits import Floats as Floats
from sparsepath.kernels.four_bits import packed, unpacked

Form = Literal["fp32", "bf16", "int8", "int4"]
"""How weights are stored."""

KINDS: dict[Form, int] = {"fp32": 0, "bf16": 1, "int8": 2, "int4": 3}
"""Numbers of the forms in the C library."""

TOP = 127
"""Largest stored integer of 8 bits."""

LINE = 64
"""Bytes of a line of the processor's cache."""


def stored(weight: Floats, form: Form) -> tuple[NDArray[Any], Floats | None]:
    """Store a matrix [inputs, outputs]; integers are rounded to the nearest, bf16 as its bits.

    Args:
        weight: one row an input.
        form: how; in 8 bits the largest of a row is at the end of the range.

    Returns:
        Its rows, and the scale of each for 8 bits.
    """
    weight = np.ascontiguousarray(weight, dtype=np.float32)
    if form == "fp32":
        return weight, None
    if form == "bf16":
        bits = weight.view(np.uint32)
        # To the nearest, ties to even, as torch has it.
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16), None
    if form == "int4":
        return packed(weight), None
    scales = np.maximum(np.abs(weight).max(axis=1), np.finfo(np.float32).tiny) / np.float32(TOP)
    rows = _at_line(weight.shape)
    np.clip(np.rint(weight / scales[:, None]), -TOP, TOP, out=rows, casting="unsafe")
    return rows, scales


def _at_line(shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Give room that begins with a line of the cache, so that no load of a row touches two."""
    size = int(np.prod(shape))
    room = np.empty(size + LINE, np.int8)
    first = -room.ctypes.data % LINE
    return room[first : first + size].reshape(shape)


def written_out(rows: NDArray[Any], scales: Floats | None, form: Form, n_outputs: int) -> Floats:
    """Give what `stored` stands for, [inputs, outputs]."""
    plain: Floats
    if form == "fp32":
        return rows
    if form == "bf16":
        plain = (rows.astype(np.uint32) << 16).view(np.float32)
        return plain
    if form == "int4":
        return unpacked(rows, n_outputs)
    assert scales is not None
    plain = rows.astype(np.float32) * scales[:, None]
    return plain
