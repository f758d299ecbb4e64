"""Yes-or-no answers at many positions as bits, 64 in a number: small, and quick to count."""

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
"""[..., positions / 64, rounded up]; unused bits are zero."""

_COUNTS = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def pack(mask: NDArray[np.bool_]) -> Bits:
    """Pack answers, [..., positions]."""
    packed = np.packbits(mask, axis=-1)
    missing = -packed.shape[-1] % 8
    if missing:
        packed = np.pad(packed, [(0, 0)] * (packed.ndim - 1) + [(0, missing)])
    return np.ascontiguousarray(packed).view(np.uint64)


def pack_places(places: NDArray[np.int64], n: int) -> Bits:
    """Pack the answers that are yes at some positions of `n` only."""
    mask = np.zeros(n, bool)
    mask[places] = True
    return pack(mask)


def unpack(bits: Bits, start: int, end: int) -> NDArray[np.float32]:
    """Give the answers of some 64s of positions as 0 and 1, [..., (end - start) x 64]."""
    part = np.ascontiguousarray(bits[..., start:end]).view(np.uint8)
    return np.unpackbits(part, axis=-1).astype(np.float32)


def count(bits: Bits) -> NDArray[np.int64]:
    """Count what is yes along the last axis."""
    counts = _COUNTS[np.ascontiguousarray(bits).view(np.uint8)]
    found: NDArray[np.int64] = counts.sum(axis=-1, dtype=np.int64)
    return found


if hasattr(np, "bitwise_count"):  # since NumPy 2

    def count(bits: Bits) -> NDArray[np.int64]:
        """Count what is yes along the last axis."""
        found: NDArray[np.int64] = np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)
        return found
