"""A language model's weights by input: made from its safetensors, kept beside them, mapped.

Matrices are stored with one row an input, because a hidden state that is mostly zero reads only
the rows of the others. 8-bit rows have one scale each, 4-bit rows one for every 32 outputs; biases,
norms and the rotation of positions stay fp32. What is made lies in `decode-<form>.safetensors` in
the model's folder with the hash of what it was made of, and is made again when that changed; where
the folder cannot be written, it stays in memory.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from sparsepath.artifacts.model_files import check_sums, model_files, weights_sha256
from sparsepath.config import Form
from sparsepath.errors import ConfigError, ModelError
from sparsepath.kernels.by_input import Floats, stored, written_out
from sparsepath.kernels.four_bits import row_bytes
from sparsepath.runtime.language.kept import write_tensors
from sparsepath.runtime.language.shape import Shape, read_shape
from sparsepath.runtime.language.source import Source, header

VERSION = "2"
"""Of the files; others are made again."""

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

    def dense(self) -> Floats:
        """Write the weights out, [inputs, outputs]."""
        return written_out(self.rows, self.scales, self.form, self.n_outputs)


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


def read_weights(folder: Path, form: Form) -> Weights:
    """Read a model, from the file made before or from its safetensors.

    Args:
        folder: with `config.json` and `model.safetensors`, whole or in parts.
        form: how rows are stored.

    Raises:
        ConfigError: if `form` is not known.
        ModelError: if files are missing, damaged, altered, or do not fit the configuration.
    """
    if form not in get_args(Form):
        raise ConfigError(f"weights in {form!r}", hint=f"use one of {', '.join(get_args(Form))}")
    shape = read_shape(folder)
    digest = weights_sha256(folder)
    check_sums(folder, digest)
    kept = folder / f"decode-{form}.safetensors"
    tensors = _read_kept(kept, digest)
    if tensors is None:
        tensors = dict(_made(Source(model_files(folder)), shape, form))
        facts = {"version": VERSION, "made_of": digest, "form": form}
        facts["content"] = _content(tensors)
        # Without a file the weights are there all the same.
        with contextlib.suppress(OSError, SafetensorError):
            write_tensors(kept, tensors, facts)
            tensors = _read_kept(kept, digest) or tensors
    return _weights(shape, form, tensors, digest)


def form_of(name: str, form: Form) -> Form:
    """Give how a matrix is stored: rows as long as the vocabulary bear no 4 bits."""
    return "int8" if form == "int4" and name in ("embedding", "head") else form


def _made(source: Source, shape: Shape, form: Form) -> Iterator[tuple[str, NDArray[Any]]]:
    """Store every part of a model."""

    def part(name: str, weight: Floats, bias: Floats | None = None) -> Iterator[Any]:
        rows, scales = stored(weight, form_of(name, form))
        yield f"{name}.rows", rows
        if scales is not None:
            yield f"{name}.scales", scales
        if bias is not None:
            yield f"{name}.bias", bias

    embedding = source["model.embed_tokens.weight"]
    yield from part("embedding", embedding)
    is_tied = shape.is_tied or "lm_head.weight" not in source
    yield from part("head", embedding.T if is_tied else source["lm_head.weight"].T)
    yield "final_norm", source["model.norm.weight"]
    for number in range(shape.n_layers):
        layer, here = f"model.layers.{number}", f"layers.{number}"
        attn, mlp = f"{layer}.self_attn", f"{layer}.mlp"
        yield f"{here}.attn_norm", source[f"{layer}.input_layernorm.weight"]
        yield f"{here}.mlp_norm", source[f"{layer}.post_attention_layernorm.weight"]
        inner = [f"{attn}.{name}_proj" for name in "qkv"]
        for name, maps in zip(
            PARTS,
            (
                inner,
                [f"{attn}.o_proj"],
                [f"{mlp}.gate_proj", f"{mlp}.up_proj"],
                [f"{mlp}.down_proj"],
            ),
            strict=True,
        ):
            yield from part(f"{here}.{name}", source.by_input(*maps), source.biases(*maps))


def _read_kept(path: Path, digest: str) -> Tensors | None:
    """Map a file made before; None if there is none that is whole and made of the same model."""
    try:
        with safe_open(path, framework="numpy") as opened:
            facts = opened.metadata() or {}
    except (OSError, SafetensorError):
        return None
    if facts.get("version") != VERSION or facts.get("made_of") != digest:
        return None
    start, entries = header(path)
    kinds = {"F32": np.float32, "U16": np.uint16, "I8": np.int8, "U8": np.uint8}
    tensors: Tensors = {
        name: np.memmap(
            path,
            kinds[entry["dtype"]],
            "r",
            start + entry["data_offsets"][0],
            tuple(entry["shape"]),
        )
        for name, entry in entries.items()
        if name != "__metadata__"
    }
    return tensors if facts.get("content") == _content(tensors) else None


def _content(tensors: Tensors) -> str:
    """Hash what is stored, by name; so a file that was altered is made anew."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        flat: Any = np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8)
        digest.update(flat)
    return digest.hexdigest()


def _weights(
    shape: Shape, form: Form, tensors: Mapping[str, NDArray[Any]], made_of: str
) -> Weights:
    """Put the parts together.

    Raises:
        ModelError: if sizes are not those of the configuration.
    """

    def vector(name: str, n: int) -> Floats:
        found = tensors.get(name)
        if found is None or found.shape != (n,) or found.dtype != np.float32:
            raise ModelError(
                f"{name} does not have {n} numbers",
                hint="config.json belongs to another model; copy the folder again, whole",
            )
        return found

    def matrix(name: str, n_inputs: int, n_outputs: int) -> Matrix:
        kind = form_of(name, form)
        rows = tensors.get(f"{name}.rows", np.zeros((0, 0)))
        width = row_bytes(n_outputs) if kind == "int4" else n_outputs
        if rows.shape != (n_inputs, width) or rows.dtype != STORED[kind]:
            raise ModelError(
                f"{name} has {rows.shape[0]} inputs, not {n_inputs}, or not {n_outputs} outputs",
                hint="config.json belongs to another model; copy the folder again, whole",
            )
        scales = vector(f"{name}.scales", n_inputs) if kind == "int8" else None
        bias = vector(f"{name}.bias", n_outputs) if f"{name}.bias" in tensors else None
        return Matrix(rows, scales, bias, kind, n_outputs)

    heads, d = shape.n_heads * shape.head_dim, shape.d_model
    inner = heads + 2 * shape.n_kv_heads * shape.head_dim
    layers = [
        Layer(
            vector(f"layers.{n}.attn_norm", d),
            vector(f"layers.{n}.mlp_norm", d),
            matrix(f"layers.{n}.qkv", d, inner),
            matrix(f"layers.{n}.out", heads, d),
            matrix(f"layers.{n}.gate_up", d, 2 * shape.d_mlp),
            matrix(f"layers.{n}.down", shape.d_mlp, d),
        )
        for n in range(shape.n_layers)
    ]
    return Weights(
        shape,
        form,
        matrix("embedding", shape.vocabulary, d),
        matrix("head", d, shape.vocabulary),
        vector("final_norm", d),
        layers,
        sum(tensor.nbytes for tensor in tensors.values()),
        made_of,
    )
