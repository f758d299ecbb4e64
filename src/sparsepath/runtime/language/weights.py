"""A language model's weights by input.

Matrices are stored with one row an input, because a hidden state that is mostly zero reads only
the rows of the others. 8-bit rows have one scale each, 4-bit rows one for every 32 outputs; biases,
norms and the rotation of positions stay fp32.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.config import Form
from sparsepath.errors import ModelError
from sparsepath.kernels.by_input import Floats, written_out
from sparsepath.kernels.four_bits import row_bytes
from sparsepath.runtime.language.shape import Shape

STORED = {"fp32": np.float32, "bf16": np.uint16, "int8": np.int8, "int4": np.uint8}
"""Types of stored rows."""

PARTS = ("qkv", "out", "gate_up", "down")
"""Matrices of a layer."""

Tensors = dict[str, NDArray[Any]]


class Matrix(NamedTuple):
    """A matrix by input."""

    rows: NDArray[Any]
    """[inputs, outputs]; of int4 [inputs, bytes] (`kernels/by_input.py`)."""
    scales: Floats | None
    """One an input, of 8 bits."""
    bias: Floats | None
    """One an output."""
    form: Form
    n_outputs: int
    doubled: NDArray[np.int32] | None = None
    """Inputs, ascending, that have a second row behind the others, of what the first one lost
    (`loud.py`); None: none."""

    def dense(self) -> Floats:
        """Write the weights out, [inputs, outputs]."""
        whole = written_out(self.rows, self.scales, self.form, self.n_outputs)
        if self.doubled is None:
            return whole
        first, second = np.split(whole, [len(whole) - len(self.doubled)])
        first[self.doubled] += second
        return first


class Layer(NamedTuple):
    """Weights of a block."""

    attn_norm: Floats
    mlp_norm: Floats
    qkv: Matrix
    """Queries, keys and values beside each other."""
    out: Matrix
    gate_up: Matrix
    """Gate and up beside each other."""
    down: Matrix


class Weights(NamedTuple):
    """Weights of a model."""

    shape: Shape
    form: Form
    embedding: Matrix
    """One row a token."""
    head: Matrix
    final_norm: Floats
    layers: list[Layer]
    n_bytes: int
    """Of all of them as stored."""
    made_of: str
    """Hash of the model's weights; of several files, joined by commas."""


def form_of(name: str, form: Form) -> Form:
    """Give how a matrix is stored.

    Where the rest has 4 bits, rows as long as the vocabulary keep 8, and so do queries, keys and
    values: a sixth of SmolLM2's layers, from which a third of the loss of 4 bits came.
    """
    keeps_8 = name in ("embedding", "head") or name.endswith(".qkv")
    return "int8" if form == "int4" and keeps_8 else form


class Parts:
    """Tensors by name, put together to matrices and layers."""

    def __init__(self, shape: Shape, form: Form, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take the tensors; whether they fit is seen when they are asked for."""
        self._shape, self._form, self._tensors = shape, form, tensors

    def vector(self, name: str, n: int) -> Floats:
        """Give a vector.

        Raises:
            ModelError: if it is missing, or does not have so many numbers.
        """
        found = self._tensors.get(name)
        if found is None or found.shape != (n,) or found.dtype != np.float32:
            raise ModelError(
                f"{name} does not have {n} numbers",
                hint="config.json belongs to another model; copy the folder again, whole",
            )
        return found

    def matrix(self, name: str, n_inputs: int, n_outputs: int) -> Matrix:
        """Give a matrix.

        Raises:
            ModelError: if it is missing, or of another size.
        """
        kind, tensors = form_of(name, self._form), self._tensors
        rows = tensors.get(f"{name}.rows", np.zeros((0, 0)))
        doubled = tensors.get(f"{name}.doubled")
        n_rows = n_inputs + (0 if doubled is None else len(doubled))
        width = row_bytes(n_outputs) if kind == "int4" else n_outputs
        if rows.shape != (n_rows, width) or rows.dtype != STORED[kind]:
            raise ModelError(
                f"{name} has {rows.shape[0]} inputs, not {n_inputs}, or not {n_outputs} outputs",
                hint="config.json belongs to another model; copy the folder again, whole",
            )
        scales = self.vector(f"{name}.scales", n_rows) if kind == "int8" else None
        bias = self.vector(f"{name}.bias", n_outputs) if f"{name}.bias" in tensors else None
        return Matrix(rows, scales, bias, kind, n_outputs, doubled)

    def layer(self, number: int) -> Layer:
        """Give a block.

        Raises:
            ModelError: if something is missing, or of another size.
        """
        shape, here = self._shape, f"layers.{number}"
        heads, d = shape.n_heads * shape.head_dim, shape.d_model
        return Layer(
            self.vector(f"{here}.attn_norm", d),
            self.vector(f"{here}.mlp_norm", d),
            self.matrix(f"{here}.qkv", d, heads + 2 * shape.n_kv_heads * shape.head_dim),
            self.matrix(f"{here}.out", heads, d),
            self.matrix(f"{here}.gate_up", d, 2 * shape.d_mlp),
            self.matrix(f"{here}.down", shape.d_mlp, d),
        )


def assembled(shape: Shape, form: Form, tensors: Mapping[str, NDArray[Any]], of: str) -> Weights:
    """Put a model together.

    Args:
        shape: of the model.
        form: how rows are stored.
        tensors: by name.
        of: hash of what they were made of.

    Raises:
        ModelError: if sizes are not those of the configuration.
    """
    parts, d = Parts(shape, form, tensors), shape.d_model
    return Weights(
        shape,
        form,
        parts.matrix("embedding", shape.vocabulary, d),
        parts.matrix("head", d, shape.vocabulary),
        parts.vector("final_norm", d),
        [parts.layer(number) for number in range(shape.n_layers)],
        sum(tensor.nbytes for tensor in tensors.values()),
        of,
    )
