"""The k largest entries of each row: exact, ties to the lowest index, NaN above everything.

On a CPU a kernel in C finds them (`native/topk.c`), on a GPU one in Triton (`triton/largest.py`);
elsewhere PyTorch's stable sort does.

Read with: `reference.py` (what is right).
"""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from operator import index
from types import ModuleType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.kernels.native import Level, best_level, library

LEAST_ENTRIES = 1 << 19
"""Entries that are worth another thread."""

TRITON_DEVICES = {"cuda"}
"""Where Triton's kernels are used; its interpreter also runs them on a CPU."""


class Kept(NamedTuple):
    """The largest entries of each row."""

    values: Float[Tensor, "*rows k"]
    """As in the row."""
    indices: Int[Tensor, "*rows k"]
    """Ascending."""


def largest(x: Float[Tensor, "*rows width"], k: int, *, level: Level | None = None) -> Kept:
    """Find the k largest entries of each row. Not differentiable; see `topk`.

    Args:
        x: any rows of floating numbers.
        k: 1 to width.
        level: instruction set; None: the best that the processor has.

    Raises:
        ShapeError: if `k` is out of range, or `x` has no rows of floating numbers.
    """
    k = _checked(x, k)
    width = x.shape[-1]
    x = x.detach()
    if (gpu := _gpu_kernels(x)) is not None:
        found = gpu.largest(x.reshape(-1, width), k)
        shape = (*x.shape[:-1], k)
        return Kept(found.values.view(shape), found.indices.long().view(shape))
    if x.device.type == "cpu" and x.dtype != torch.float64 and library() is not None:
        return _native(x, k, best_level() if level is None else level)
    order = x.sort(dim=-1, descending=True, stable=True).indices
    indices = order[..., :k].sort(dim=-1).values
    return Kept(x.gather(-1, indices), indices)


def topk(x: Float[Tensor, "*rows width"], k: int) -> Float[Tensor, "*rows width"]:
    """Set all but the k largest entries of each row to zero.

    Differentiable once: the gradient passes through the entries that are kept.

    Args:
        x: any rows of floating numbers.
        k: 1 to width.

    Raises:
        ShapeError: if `k` is out of range, or `x` has no rows of floating numbers.
    """
    found: Tensor
    k = _checked(x, k)
    if (gpu := _gpu_kernels(x)) is not None:
        found = gpu.topk(x.reshape(-1, x.shape[-1]), k).view(x.shape)
        return found
    found = _KeepLargest.apply(x, k)
    return found


def _checked(x: Tensor, k: int) -> int:
    """Give k as a plain number.

    Raises:
        ShapeError: if it is none, is out of range, or `x` is not made of rows.
    """
    if not (isinstance(x, Tensor) and x.is_floating_point() and x.layout == torch.strided):
        what = f"a {x.layout} tensor of {x.dtype}" if isinstance(x, Tensor) else repr(type(x))
        raise ShapeError(
            f"x is {what}", hint="give a dense tensor of floating numbers, such as x.float()"
        )
    width = x.shape[-1] if x.dim() else 0
    if width == 0:
        raise ShapeError(f"a tensor of shape {tuple(x.shape)}", hint="give rows of 1 entry or more")
    try:
        number = index(k)
    except TypeError as err:
        raise ShapeError(f"k = {k!r}", hint=f"use a whole number from 1 to {width}") from err
    if not 1 <= number <= width:
        raise ShapeError(f"k = {k} of {width} entries", hint=f"use k from 1 to {width}")
    return number


def _gpu_kernels(x: Tensor) -> ModuleType | None:
    """Give the Triton twins; None on a CPU, without the extra `gpu`, or for rows too long."""
    if x.device.type not in TRITON_DEVICES or x.dtype == torch.float64:
        return None
    try:
        from sparsepath.kernels.triton import largest as kernels
    except ImportError:
        return None
    return kernels if 0 < x.shape[-1] <= kernels.MAX_ROW else None


class _KeepLargest(torch.autograd.Function):
    """Keep them, and remember which they were."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int) -> Tensor:
        """Write the kept entries into zeros."""
        kept = largest(x, k)
        ctx.save_for_backward(kept.indices)
        ctx.shape = x.shape
        return torch.zeros_like(x).scatter_(-1, kept.indices, kept.values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the gradient of what was kept."""
        (indices,) = ctx.saved_tensors
        (grad,) = grads
        passed = grad.gather(-1, indices)
        return torch.zeros(ctx.shape, dtype=grad.dtype).to(grad.device).scatter_(
            -1, indices, passed
        ), None


def _native(x: Tensor, k: int, level: Level | None) -> Kept:
    """Let the C kernel find them, in several threads where there is much to do."""
    # Half precision fits into fp32 exactly, so the order is the same.
    rows = x.float().reshape(-1, x.shape[-1])
    if rows.stride(-1) != 1:
        rows = rows.contiguous()
    values = torch.empty(len(rows), k, dtype=torch.float32)
    places = torch.empty(len(rows), k, dtype=torch.int32)
    n_parts = max(1, min(torch.get_num_threads(), rows.numel() // LEAST_ENTRIES))
    bounds = [len(rows) * part // n_parts for part in range(n_parts + 1)]

    def run(part: int) -> None:
        start, end = bounds[part], bounds[part + 1]
        _call(rows[start:end], values[start:end], places[start:end], level)

    if n_parts == 1:
        run(0)
    else:
        with ThreadPoolExecutor(n_parts) as pool:
            list(pool.map(run, range(n_parts)))
    shape = (*x.shape[:-1], k)
    return Kept(values.to(x.dtype).view(shape), places.long().view(shape))


def _call(rows: Tensor, values: Tensor, places: Tensor, level: Level | None) -> None:
    """Call the library on rows of one thread."""
    native = library()
    assert native is not None
    n_rows, width = rows.shape
    # A single row may have any stride; it has no next one.
    stride = rows.stride(0) if n_rows > 1 else width
    status = native.sp_topk_f32(
        ctypes.c_void_p(rows.data_ptr()),
        ctypes.c_int64(n_rows),
        ctypes.c_int64(stride),
        ctypes.c_int64(width),
        ctypes.c_int64(values.shape[1]),
        ctypes.c_void_p(values.data_ptr()),
        ctypes.c_void_p(places.data_ptr()),
        ctypes.c_int(int(level or 0)),
    )
    if status:
        raise MemoryError(f"the native top-k of {n_rows} rows of {width} ended with {status}")
