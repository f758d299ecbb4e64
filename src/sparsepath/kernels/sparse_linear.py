"""Products of vectors that are mostly zero with matrices: only rows of the others are read.

Weights lie by input, `[inputs, outputs]`, in fp32, bf16, integers of 8 bits with one scale an
input, which is folded into the entry and costs nothing, or 4 bits with a scale for 32 outputs.
On a CPU a kernel in C reads the rows (`native/gather.c`); without it PyTorch's `embedding_bag`
does. From a share of the entries on that was measured, a dense product is faster, and is taken.

Read with: `by_input.py` (how weights are stored), `reference.py` (what is right), `largest.py`
(which entries).
"""

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from sparsepath.errors import ShapeError
from sparsepath.kernels.by_input import KINDS, Form, stored, written_out
from sparsepath.kernels.native import NO_MEMORY, Level, best_level, library

MAX_ROWS = 32
"""Vectors up to which rows are gathered; more of them share so many rows that a dense product of
fp32 weights is faster."""

DENSE_FROM: dict[Form, float] = {"fp32": 0.5, "bf16": 0.9, "int8": 1.0, "int4": 1.0}
"""Share of the entries from which the dense product is taken. Integers have none to fall back to:
PyTorch would have to write them out first."""


class InputMajor(NamedTuple):
    """A matrix by input."""

    rows: Tensor
    """[inputs, outputs]; of int4 [inputs, bytes] (`four_bits.py`)."""
    scales: Float[Tensor, " inputs"] | None
    """Of 8 bits."""
    form: Form
    """How it is stored."""
    n_outputs: int
    """Columns."""

    @property
    def n_inputs(self) -> int:
        """Rows."""
        return self.rows.shape[0]

    @property
    def n_bytes(self) -> int:
        """Bytes of weights and scales."""
        scales = 0 if self.scales is None else self.scales.nbytes
        return self.rows.nbytes + scales

    def dense(self) -> Float[Tensor, "inputs outputs"]:
        """Write the weights out in fp32."""
        if self.form in ("fp32", "bf16"):
            return self.rows.float()
        rows, scales = self.rows.numpy(), None if self.scales is None else self.scales.numpy()
        return torch.from_numpy(written_out(rows, scales, self.form, self.n_outputs))


def store(weight: Float[Tensor, "inputs outputs"], form: Form) -> InputMajor:
    """Store a matrix by input.

    Args:
        weight: one row an input; of a `torch.nn.Linear` this is `linear.weight.T`.
        form: how; of 8 bits the largest of an input is at the end of the range.
    """
    weight = weight.detach().float().cpu()
    n_outputs = weight.shape[1]
    if form == "fp32":
        return InputMajor(weight.contiguous(), None, form, n_outputs)
    if form == "bf16":
        return InputMajor(weight.bfloat16().contiguous(), None, form, n_outputs)
    rows, scales = stored(weight.numpy(), form)
    factors = None if scales is None else torch.from_numpy(scales)
    return InputMajor(torch.from_numpy(rows), factors, form, n_outputs)


def sparse_linear(
    values: Float[Tensor, "*rows k"],
    indices: Int[Tensor, "..."],
    weight: InputMajor,
    bias: Float[Tensor, "..."] | None = None,
    *,
    level: Level | None = None,
) -> Float[Tensor, "*rows outputs"]:
    """Multiply rows that are zero but for k entries with a matrix. Not differentiable.

    Sums are fp32. Of 8 bits, entry times scale is rounded to 1/32,767 of the largest among eight
    neighbours (an entry more than eight times the mean to a billionth of itself), so that eight
    rows add up as whole numbers: a hundredth of what 8 bits themselves lose, or less.

    Args:
        values: the entries, fp32, on the CPU.
        indices: where they stand in their row; of the same shape.
        weight: the matrix.
        bias: added to every output, [outputs].
        level: instruction set; None: the best that the processor has.

    Raises:
        ShapeError: if an index is outside the matrix, or shapes do not fit.
    """
    if values.shape != indices.shape or (bias is not None and len(bias) != weight.n_outputs):
        raise ShapeError(
            f"values {tuple(values.shape)}, indices {tuple(indices.shape)}, "
            f"{weight.n_outputs} outputs, bias {None if bias is None else tuple(bias.shape)}",
            hint="give one index for each value, and one bias for each output",
        )
    k = values.shape[-1]
    n_rows = values.shape[:-1].numel()
    is_dense = k >= DENSE_FROM[weight.form] * weight.n_inputs or n_rows > MAX_ROWS
    if not is_dense and library() is not None:
        return _by_library(values, indices, weight, bias, level, n_rows)
    _check_places(indices, weight)
    output = _by_torch(values.reshape(-1, k), indices.reshape(-1, k), weight, is_dense=is_dense)
    output = output if bias is None else output + bias
    return output.view(*values.shape[:-1], weight.n_outputs)


def _check_places(indices: Tensor, weight: InputMajor) -> None:
    """See that every index is one of the matrix.

    Raises:
        ShapeError: if not.
    """
    if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < weight.n_inputs:
        raise ShapeError(
            f"indices from {int(indices.min())} to {int(indices.max())} for {weight.n_inputs} "
            "inputs",
            hint="give the places of the entries in their row",
        )


def _by_torch(values: Tensor, indices: Tensor, weight: InputMajor, *, is_dense: bool) -> Tensor:
    """Let PyTorch gather rows, or multiply densely."""
    if is_dense:
        whole = torch.zeros(len(values), weight.n_inputs)
        return whole.scatter_(-1, indices, values) @ weight.dense()
    if weight.form == "fp32":
        return embedding_bag(indices, weight.rows, per_sample_weights=values, mode="sum")
    # Sums in half precision would lose digits, so the rows that are read are written out.
    used, places = indices.unique(return_inverse=True)
    scales = None if weight.scales is None else weight.scales[used]
    few = weight._replace(rows=weight.rows[used], scales=scales)
    return embedding_bag(places, few.dense(), per_sample_weights=values, mode="sum")


def _by_library(
    values: Tensor,
    indices: Tensor,
    weight: InputMajor,
    bias: Tensor | None,
    level: Level | None,
    n_rows: int,
) -> Tensor:
    """Let the C kernel read the rows."""
    gather = _gather()
    if not (is_wide := indices.dtype == torch.int64) and indices.dtype != torch.int32:
        indices, is_wide = indices.long(), True
    values, places = values.float().contiguous(), indices.contiguous()
    bias = None if bias is None else bias.float().contiguous()
    rows, shape = weight.rows, values.shape
    output = torch.empty(*shape[:-1], weight.n_outputs)
    status = gather(
        rows.data_ptr(),
        KINDS[weight.form],
        rows.stride(0) * rows.element_size(),
        None if weight.scales is None else weight.scales.data_ptr(),
        rows.shape[0],
        weight.n_outputs,
        values.data_ptr(),
        places.data_ptr(),
        is_wide,
        n_rows,
        shape[-1],
        None if bias is None else bias.data_ptr(),
        output.data_ptr(),
        int((best_level() if level is None else level) or 0),
    )
    if status == NO_MEMORY:
        raise MemoryError("the native product ran out of memory")
    if status != 0:  # indices are looked at there; another fault is none that a caller can make
        _check_places(indices, weight)
        raise AssertionError(f"the native product ended with {status}")
    return output


@lru_cache(maxsize=1)
def _gather() -> Callable[..., int]:
    """Give the kernel; with the types of what it takes, a call costs a third."""
    native = library()
    assert native is not None
    gather = native.sp_gather
    pointer, whole, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    gather.argtypes = (
        *(pointer, flag, whole, pointer, whole, whole),  # the matrix
        *(pointer, pointer, flag, whole, whole),  # the vectors
        *(pointer, pointer, flag),
    )
    gather.restype = flag
    found: Callable[..., int] = gather
    return found
