"""The k largest entries of each row on a GPU, and products that read only their rows of a matrix.

The Triton twins of `largest.py` and `sparse_linear.py`. A row stays in registers: its entries
become integers of the same order, the k-th largest is found bit by bit by counting, and ties go to
the lowest index. The data is read once and written once.

Runs without a GPU in Triton's interpreter (TRITON_INTERPRET=1), which the tests use.

Read with: `reference.py` (what is right).
"""

from typing import Any, NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from sparsepath.errors import ShapeError

MAX_ROW = 16_384
"""Longest row that fits into a program's registers."""

OUTPUTS = 128
"""Outputs of a product that a program adds up."""


class Kept(NamedTuple):
    """The largest entries of each row."""

    values: Float[Tensor, "rows k"]
    """As in the row."""
    indices: Int[Tensor, "rows k"]
    """Ascending, int32."""


def largest(x: Float[Tensor, "rows width"], k: int) -> Kept:
    """Find the k largest entries of each row. Not differentiable; see `topk`.

    Args:
        x: rows of fp32, bf16 or fp16.
        k: 1 to width.

    Raises:
        ShapeError: if `k` is out of range, or rows are longer than `MAX_ROW`.
    """
    _check(x, k)
    x = x.contiguous()
    values = torch.empty(len(x), k, dtype=x.dtype, device=x.device)
    indices = torch.empty(len(x), k, dtype=torch.int32, device=x.device)
    if len(x):
        width = x.shape[1]
        _largest_kernel[(len(x),)](
            x, x, values, indices, width, k, _power(width), **_bits(x), is_packed=True
        )
    return Kept(values, indices)


def topk(x: Float[Tensor, "rows width"], k: int) -> Float[Tensor, "rows width"]:
    """Set all but the k largest entries of each row to zero.

    Differentiable once: the gradient passes through the entries that are kept.

    Args:
        x: rows of fp32, bf16 or fp16.
        k: 1 to width.

    Raises:
        ShapeError: if `k` is out of range, or rows are longer than `MAX_ROW`.
    """
    _check(x, k)
    found: Tensor = _KeepLargest.apply(x.contiguous(), k)
    return found


def sparse_linear(
    kept: Kept, weight: Float[Tensor, "inputs outputs"]
) -> Float[Tensor, "rows outputs"]:
    """Multiply rows that are zero but for some entries with a matrix. Not differentiable.

    Args:
        kept: the entries; indices below `inputs`.
        weight: one row an input.

    Raises:
        ShapeError: if shapes do not fit.
    """
    if kept.values.shape != kept.indices.shape or weight.dim() != 2:
        raise ShapeError(
            f"values {tuple(kept.values.shape)}, indices {tuple(kept.indices.shape)}, weight "
            f"{tuple(weight.shape)}",
            hint="give one index for each value, and a matrix with one row an input",
        )
    (n, k), n_outputs = kept.values.shape, weight.shape[1]
    y = torch.empty(n, n_outputs, dtype=torch.float32, device=weight.device)
    if n and n_outputs:
        grid = (n, triton.cdiv(n_outputs, OUTPUTS))
        _gather_kernel[grid](
            kept.values.contiguous(),
            kept.indices.contiguous(),
            weight,
            y,
            k,
            n_outputs,
            weight.stride(0),
            weight.stride(1),
            block=OUTPUTS,
        )
    return y.to(weight.dtype)


class _KeepLargest(torch.autograd.Function):
    """Keep them; the gradient needs to know which they were."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int) -> Tensor:
        """Write the kept entries, and zeros between."""
        ctx.save_for_backward(x)
        ctx.k = k
        return _among_zeros(x, x, k)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the gradient of what was kept; which that is is found again, without memory."""
        (x,) = ctx.saved_tensors
        (grad,) = grads
        return _among_zeros(x, grad.contiguous(), ctx.k), None


def _among_zeros(x: Tensor, source: Tensor, k: int) -> Tensor:
    """Give the entries of `source` where x has its largest, and zeros elsewhere."""
    y, width = torch.empty_like(x), x.shape[1]
    if len(x):
        _largest_kernel[(len(x),)](
            x, source, y, y, width, k, _power(width), **_bits(x), is_packed=False
        )
    return y


def _check(x: Tensor, k: int) -> None:
    """See that a kernel can do it.

    Raises:
        ShapeError: if it cannot.
    """
    if x.dim() != 2 or not 1 <= k <= x.shape[1]:
        raise ShapeError(
            f"k = {k} of rows {tuple(x.shape)}", hint="use k from 1 to the row's width"
        )
    if x.shape[1] > MAX_ROW:
        raise ShapeError(
            f"rows of {x.shape[1]} entries", hint=f"use rows of {MAX_ROW} entries at most"
        )


def _power(width: int) -> int:
    """Give the power of two that a row is filled up to."""
    return int(triton.next_power_of_2(width))


INFINITY = {torch.float32: 0x7F800000, torch.bfloat16: 0x7F80, torch.float16: 0x7C00}
"""Bits of infinity; those of NaN are larger."""


def _bits(x: Tensor) -> dict[str, int]:
    """Give the bits of an entry, and those of infinity."""
    return {"bits": 8 * x.element_size(), "infinity": INFINITY[x.dtype]}


@no_type_check
@triton.jit
def _ordered(x, bits: tl.constexpr, infinity: tl.constexpr):
    """Give integers from 1 up in the order of the entries: NaN on top, -0 like +0."""
    if bits == 32:
        raw = x.to(tl.uint32, bitcast=True).to(tl.int64)
    else:
        raw = x.to(tl.uint16, bitcast=True).to(tl.int64)
    top = 1 << (bits - 1)
    size = raw & (top - 1)
    raw = tl.where(size == 0, 0, raw)
    raw = tl.where(size > infinity, top - 1, raw)
    return tl.where(raw >= top, 2 * top - 1 - raw, raw + top) + 1


@no_type_check
@triton.jit
def _largest_kernel(
    x_ptr, source_ptr, out_ptr, indices_ptr, width, k, block: tl.constexpr, bits: tl.constexpr,
    infinity: tl.constexpr, is_packed: tl.constexpr,
):  # fmt: skip
    """Keep the entries of a source where x has its largest: packed with indices, or among zeros."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    inside = at < width
    x = tl.load(x_ptr + row * width + at, mask=inside, other=0.0)
    # Outside the row stands less than any entry.
    key = tl.where(inside, _ordered(x, bits, infinity), 0)
    threshold = tl.zeros([], dtype=tl.int64)
    for place in tl.static_range(bits, -1, -1):
        higher = threshold + (1 << place)
        reached = tl.sum((key >= higher).to(tl.int32), axis=0)
        threshold = tl.where(reached >= k, higher, threshold)
    above = key > threshold
    is_tie = key == threshold
    n_above = tl.sum(above.to(tl.int32), axis=0)
    rank = tl.cumsum(is_tie.to(tl.int32), axis=0)
    kept = above | (is_tie & (rank <= k - n_above))
    source = tl.load(source_ptr + row * width + at, mask=inside, other=0.0)
    if is_packed:
        slot = tl.cumsum(kept.to(tl.int32), axis=0) - 1
        tl.store(out_ptr + row * k + slot, source, mask=kept)
        tl.store(indices_ptr + row * k + slot, at, mask=kept)
    else:
        tl.store(out_ptr + row * width + at, tl.where(kept, source, 0.0), mask=inside)


@no_type_check
@triton.jit
def _gather_kernel(
    values_ptr, indices_ptr, weight_ptr, y_ptr, k, n_outputs, row_stride, column_stride,
    block: tl.constexpr,
):  # fmt: skip
    """Add up some outputs of one row."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * block + tl.arange(0, block)
    inside = at < n_outputs
    total = tl.zeros([block], dtype=tl.float32)
    for entry in range(k):
        value = tl.load(values_ptr + row * k + entry).to(tl.float32)
        place = tl.load(indices_ptr + row * k + entry).to(tl.int64)
        weights = tl.load(
            weight_ptr + place * row_stride + at * column_stride, mask=inside, other=0.0
        )
        total += value * weights.to(tl.float32)
    tl.store(y_ptr + row * n_outputs + at, total, mask=inside)
