"""Matrices with one row an input, as the native code reads them; numpy only, no torch.

8-bit and 4-bit rows have one scale each; 32 outputs of 4 bits are 16 bytes, the low halves first,
stored plus 8.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Form = Literal["fp32", "bf16", "int8", "int4"]
"""How weights are stored."""

KINDS: dict[Form, int] = {"fp32": 0, "bf16": 1, "int8": 2, "int4": 3}
"""Numbers of the forms in the C library."""

TOPS: dict[Form, int] = {"int8": 127, "int4": 7}
"""Largest stored integers."""

PACK = 32
"""Outputs that are packed together in 4 bits."""

Floats = NDArray[np.float32]


def stored(weight: Floats, form: Form) -> tuple[NDArray[Any], Floats | None]:
    """Store a matrix [inputs, outputs]; integers are rounded to the nearest, bf16 as its bits.

    Args:
        weight: one row an input.
        form: how; the largest integer of a row is at the end of the range.

    Returns:
        Its rows, and the scale of each for integers.
    """
    weight = np.ascontiguousarray(weight, dtype=np.float32)
    if form == "fp32":
        return weight, None
    if form == "bf16":
        bits = weight.view(np.uint32)
        # To the nearest, ties to even, as torch has it.
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16), None
    top = TOPS[form]
    scales = np.maximum(np.abs(weight).max(axis=1), np.finfo(np.float32).tiny) / np.float32(top)
    whole = np.clip(np.rint(weight / scales[:, None]), -top, top)
    if form == "int8":
        return whole.astype(np.int8), scales
    padded = np.pad(whole, ((0, 0), (0, -whole.shape[1] % PACK))).astype(np.int8) + 8
    blocks = padded.astype(np.uint8).reshape(len(padded), -1, 2, PACK // 2)
    packed = blocks[:, :, 0] | (blocks[:, :, 1] << 4)
    return np.ascontiguousarray(packed.reshape(len(padded), -1)), scales


def written_out(rows: NDArray[Any], scales: Floats | None, form: Form, n_outputs: int) -> Floats:
    """Give what `stored` stands for, [inputs, outputs]."""
    plain: Floats
    if form == "fp32":
        return rows
    if form == "bf16":
        plain = (rows.astype(np.uint32) << 16).view(np.float32)
        return plain
    if form == "int4":
        halves = np.stack([rows & 15, rows >> 4], axis=1).astype(np.float32) - 8
        blocks = halves.reshape(len(rows), 2, -1, PACK // 2).transpose(0, 2, 1, 3)
        plain = blocks.reshape(len(rows), -1)[:, :n_outputs]
    else:
        plain = rows.astype(np.float32)
    assert scales is not None
    plain = plain * scales[:, None]
    return plain
