"""Weights of 4 bits: sixteen levels, and a scale for every 32 outputs of an input.

One scale for a whole row cannot bear outliers, and levels that lie evenly waste those at the ends:
weights are nearly normal within a block. So the levels are those of NF4 (Dettmers et al. 2023,
"QLoRA", appendix E) in whole 127ths, zero among them. A block is 16 bytes of levels' numbers, the
first 16 outputs in the low halves, and its scale as bf16: 18 bytes for 32 weights.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PACK = 32
"""Outputs of a block."""

PACK_BYTES = 18
"""Bytes of a block."""

LEVELS = (-127, -88, -67, -50, -36, -23, -12, 0, 10, 20, 31, 43, 56, 71, 92, 127)
"""What the sixteen numbers stand for, times the scale; as in `native/weight.h`."""

ZERO = LEVELS.index(0)

ENDS = (1.0, 0.95, 0.9, 0.85, 0.8, 1.1)
"""Scales that are tried for a block: so far out lies the end of the levels, in largest weights."""

CHUNK = 4096
"""Blocks that are stored at a time, so that they stay in the cache."""

Floats = NDArray[np.float32]


def packed(weight: Floats) -> NDArray[np.uint8]:
    """Store a matrix; the squared error of each block is the least of some scales, each fitted.

    Args:
        weight: [inputs, outputs].

    Returns:
        [inputs, bytes]: a block of 18 for every 32 outputs, the last filled up with zeros.
    """
    n_inputs, n_outputs = weight.shape
    padded = np.pad(weight.astype(np.float32), ((0, 0), (0, -n_outputs % PACK)))
    blocks = padded.reshape(-1, PACK)
    found = np.empty((len(blocks), PACK_BYTES), np.uint8)
    for start in range(0, len(blocks), CHUNK):
        part = slice(start, start + CHUNK)
        codes, scales = _fitted(blocks[part])
        found[part, : PACK // 2] = codes[:, : PACK // 2] | codes[:, PACK // 2 :] << 4
        halves = (scales.view(np.uint32) >> 16).astype("<u2")
        found[part, PACK // 2 :] = halves.view(np.uint8).reshape(-1, 2)
    return found.reshape(n_inputs, -1)


def unpacked(rows: NDArray[Any], n_outputs: int) -> Floats:
    """Give what `packed` stands for, [inputs, outputs]."""
    blocks = np.ascontiguousarray(rows).reshape(-1, PACK_BYTES)
    codes = np.concatenate([blocks[:, : PACK // 2] & 15, blocks[:, : PACK // 2] >> 4], axis=1)
    bits = np.ascontiguousarray(blocks[:, PACK // 2 :]).view("<u2").astype(np.uint32) << 16
    plain: Floats = np.array(LEVELS, np.float32)[codes] * bits.view(np.float32)
    return np.ascontiguousarray(plain.reshape(len(rows), -1)[:, :n_outputs])


def row_bytes(n_outputs: int) -> int:
    """Bytes of a stored row."""
    return -(-n_outputs // PACK) * PACK_BYTES


def _nearest() -> tuple[NDArray[np.uint8], Floats]:
    """Give the number of the nearest level, and the level, by floor(2 x) + 256.

    Halfway between two whole levels lies a multiple of a half, so this is exact.
    """
    levels = np.array(LEVELS, np.float32)
    middles = (levels[1:] + levels[:-1]) / 2
    codes = np.searchsorted(middles, np.arange(-256, 256) / 2, side="right").astype(np.uint8)
    return codes, levels[codes]


CODES, NEAREST = _nearest()


@np.errstate(invalid="ignore")
def _fitted(blocks: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Choose numbers of levels and scales, whose last 16 bits are 0, [blocks, 32] and [blocks].

    What is not finite makes its whole block not a number.
    """
    ends = np.abs(blocks).max(axis=1, keepdims=True)
    unit = np.where(ends > 0, LEVELS[-1] / np.where(ends > 0, ends, 1), 0).astype(np.float32)
    most = np.full(len(blocks), -1.0, np.float32)
    best = np.zeros(blocks.shape, np.int16)
    for end in ENDS:
        for sign in (1.0, -1.0):  # levels below and above zero differ
            places = np.clip(blocks * (unit * np.float32(2 * sign / end)), -254, 255)
            places = np.floor(np.nan_to_num(places)).astype(np.int16) + 256
            levels = NEAREST[places]
            # With the best scale of these levels, the squared error is what this leaves of it.
            inner = np.einsum("bo,bo->b", levels, blocks)
            squares = np.einsum("bo,bo->b", levels, levels)
            explained = inner * inner / np.maximum(squares, 1)
            is_better = explained > most
            np.copyto(most, explained, where=is_better)
            np.copyto(best, places, where=is_better[:, None])
    levels = NEAREST[best]
    squares = np.maximum(np.einsum("bo,bo->b", levels, levels), 1)
    scales: Floats = np.einsum("bo,bo->b", levels, blocks) / squares
    scales[~np.isfinite(ends[:, 0])] = np.nan
    return CODES[best], _as_bf16(scales)


def _as_bf16(scales: Floats) -> Floats:
    """Round to the nearest number of 16 bits."""
    bits = np.ascontiguousarray(scales, dtype=np.float32).view(np.uint32)
    rounded: Floats = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)
    return rounded
