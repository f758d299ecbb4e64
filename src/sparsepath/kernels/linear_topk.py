"""Linear maps before and after the k largest entries, whose backward passes touch only those.

A row of a weight that no kept entry stands for is neither read nor written, but for the zeros of
its gradient. With few rows of input, as in tuning on single texts, that is most of the weight; with
many, nearly all rows of the weight are used by some, and the passes are dense products. On a CPU
forward and backward were faster than the dense way with up to 32 rows, and equal from 256 on
(`LOG.md`, 2026-11-22), so the layers of `models/topk_lm.py`, which train on thousands of rows, do
not use them.

Read with: `largest.py` (which entries), `sparse_linear.py` (the same without gradients).
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from sparsepath.errors import ShapeError
from sparsepath.kernels.largest import largest
from sparsepath.kernels.sparse_linear import MAX_ROWS, InputMajor, sparse_linear


class Encoded(NamedTuple):
    """What `linear_then_topk` gives; a loss may use values and `dense`, both or one."""

    values: Float[Tensor, "*rows k"]
    """The largest entries."""
    indices: Int[Tensor, "*rows k"]
    """Where they stand, ascending."""
    dense: Float[Tensor, "*rows features"]
    """All entries, as the linear map gave them."""


def topk_then_linear(
    x: Float[Tensor, "..."],
    k: int,
    weight: Float[Tensor, "inputs outputs"],
    bias: Float[Tensor, " outputs"] | None = None,
) -> Float[Tensor, "*rows outputs"]:
    """Multiply the k largest entries of each row with a matrix. Differentiable once.

    Args:
        x: any rows of floating numbers, [..., inputs].
        k: 1 to inputs; ties to the lowest index, NaN above everything.
        weight: one row an input; of a `torch.nn.Linear` this is `linear.weight.T`.
        bias: added to every output.

    Raises:
        ShapeError: if `k` is out of range or shapes do not fit.
    """
    if x.dim() == 0 or x.shape[-1] != len(weight):
        raise ShapeError(
            f"rows {tuple(x.shape)} for {len(weight)} inputs", hint="give rows of that many entries"
        )
    product: Tensor = _TopKThenLinear.apply(x, k, weight)
    return product if bias is None else product + bias


def linear_then_topk(
    x: Float[Tensor, "..."],
    weight: Float[Tensor, "features inputs"],
    bias: Float[Tensor, " features"] | None,
    k: int,
    *,
    is_positive: bool = False,
) -> Encoded:
    """Find the k largest of all features, as the encoder of a sparse autoencoder does.

    Differentiable once, through the values and through `dense`.

    Args:
        x: any rows of floating numbers, [..., inputs].
        weight: one row a feature, as in `torch.nn.Linear`.
        bias: of the features.
        k: 1 to features; ties to the lowest index, NaN above everything.
        is_positive: largest entries below zero become zero, and pass no gradient.

    Raises:
        ShapeError: if `k` is out of range or shapes do not fit.
    """
    if x.dim() == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"rows {tuple(x.shape)} for {weight.shape[1]} inputs",
            hint="give rows of that many entries",
        )
    return Encoded(*_LinearThenTopK.apply(x, weight, bias, k, is_positive))


class _TopKThenLinear(torch.autograd.Function):
    """Keeps which entries were kept, and their values."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int, weight: Tensor) -> Tensor:
        """Read the rows of the kept entries."""
        values, indices = largest(x, k)
        ctx.save_for_backward(values, indices, weight)
        return _times_rows(values, indices, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Give the kept entries and the rows they read their gradients."""
        values, indices, weight = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            passed = _dots(grad, indices, weight)
            of_x = passed.new_zeros(*grad.shape[:-1], len(weight)).scatter_(-1, indices, passed)
        if ctx.needs_input_grad[2]:
            of_weight = _outer(values, indices, grad, len(weight))
        return of_x, None, of_weight


class _LinearThenTopK(torch.autograd.Function):
    """Keeps which features were kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, k: int, is_positive: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Multiply densely: which are largest shows only then."""
        dense = linear(x, weight, bias)
        values, indices = largest(dense, k)
        if is_positive:
            values = values.relu()
        ctx.save_for_backward(x, weight, indices, values > 0 if is_positive else None)
        ctx.mark_non_differentiable(indices)
        ctx.set_materialize_grads(False)
        return values, indices, dense

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_values: Tensor | None, _: None, of_dense: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Touch the kept features, and all of them only if a loss used all of them."""
        x, weight, indices, is_on = ctx.saved_tensors
        n = len(weight)
        if of_values is not None and is_on is not None:
            of_values = of_values * is_on
        if of_dense is not None:
            whole = of_dense if of_values is None else of_dense.scatter_add(-1, indices, of_values)
            rows = whole.reshape(-1, n)
            of_x, of_weight = whole @ weight, rows.mT @ x.reshape(-1, x.shape[-1])
            of_bias = rows.sum(dim=0)
        elif of_values is not None:
            of_x = _times_rows(of_values, indices, weight)
            of_weight = _outer(of_values, indices, x, n)
            of_bias = of_values.new_zeros(n)
            of_bias.index_add_(0, indices.flatten(), of_values.flatten())
        else:
            return None, None, None, None, None
        return of_x, of_weight, of_bias if ctx.needs_input_grad[2] else None, None, None


def _coefficients(values: Tensor, indices: Tensor, n: int) -> tuple[Tensor, Tensor | None]:
    """Write few entries of rows as a matrix of the columns that any row uses, and say which.

    None stands for all columns: from as many entries as columns on, leaving some out gains nothing.
    """
    values, places = values.reshape(-1, values.shape[-1]), indices.reshape(-1, indices.shape[-1])
    used = None
    if places.numel() < n:
        used, places = places.unique(return_inverse=True)
    width = n if used is None else len(used)
    return values.new_zeros(len(values), width).scatter_(-1, places, values), used


def _times_rows(values: Tensor, indices: Tensor, weight: Tensor) -> Tensor:
    """Add up the rows of a weight that entries stand for, each times its entry."""
    is_native = values.dtype == weight.dtype == torch.float32 and weight.device.type == "cpu"
    if is_native and weight.stride(-1) == 1 and values[..., 0].numel() <= MAX_ROWS:
        stored = InputMajor(weight.detach(), None, "fp32", weight.shape[1])
        return sparse_linear(values.detach(), indices, stored)
    matrix, used = _coefficients(values, indices, len(weight))
    product = matrix @ (weight if used is None else weight[used])
    return product.view(*values.shape[:-1], weight.shape[1])


def _outer(values: Tensor, indices: Tensor, other: Tensor, n: int) -> Tensor:
    """Add up the outer products of entries and other vectors, as rows of a weight's gradient."""
    matrix, used = _coefficients(values, indices, n)
    product = matrix.mT @ other.reshape(-1, other.shape[-1])
    if used is None:
        return product
    return product.new_zeros(n, product.shape[1]).index_copy_(0, used, product)


def _dots(grad: Tensor, indices: Tensor, weight: Tensor) -> Tensor:
    """Multiply vectors with the rows of a weight that entries stand for."""
    rows, places = grad.reshape(-1, grad.shape[-1]), indices.reshape(-1, indices.shape[-1])
    if places.numel() < len(weight):
        used, places = places.unique(return_inverse=True)
        weight = weight[used]
    return (rows @ weight.mT).gather(-1, places).view(indices.shape)
