"""A language model's weights, made from its safetensors, kept beside them, mapped.

What is made lies in `decode-<form>.safetensors` in the model's folder with the hash of what it was
made of, and is made again when that changed; where the folder cannot be written, it stays in
memory.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from sparsepath.artifacts.model_files import check_sums, model_files, weights_sha256
from sparsepath.config import Form
from sparsepath.errors import ConfigError
from sparsepath.kernels.by_input import Floats, stored, written_out
from sparsepath.runtime.language.kept import write_tensors
from sparsepath.runtime.language.loud import Listener, loud_inputs
from sparsepath.runtime.language.shape import Shape, read_shape
from sparsepath.runtime.language.source import Source, header
from sparsepath.runtime.language.weights import Parts, Weights, assembled, form_of

VERSION = "2"
"""Of the files; others are made again."""

Tensors = dict[str, NDArray[Any]]


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
    return assembled(shape, form, tensors, digest)


def _made(source: Source, shape: Shape, form: Form) -> Iterator[tuple[str, NDArray[Any]]]:
    """Store every part of a model, a layer at a time."""
    embedding = source["model.embed_tokens.weight"]
    yield from _stored("embedding", embedding, form)
    listener = Listener(shape, embedding) if form in ("int8", "int4") else None
    for number in range(shape.n_layers):
        layer, here = f"model.layers.{number}", f"layers.{number}"
        attn, mlp = f"{layer}.self_attn", f"{layer}.mlp"
        exact: Tensors = {
            f"{here}.attn_norm": source[f"{layer}.input_layernorm.weight"],
            f"{here}.mlp_norm": source[f"{layer}.post_attention_layernorm.weight"],
        }
        yield from exact.items()
        maps = {
            "qkv": [f"{attn}.{name}_proj" for name in "qkv"],
            "out": [f"{attn}.o_proj"],
            "gate_up": [f"{mlp}.gate_proj", f"{mlp}.up_proj"],
            "down": [f"{mlp}.down_proj"],
        }
        for part, names in maps.items():
            exact[f"{here}.{part}.rows"] = source.by_input(*names)
            if (bias := source.biases(*names)) is not None:
                exact[f"{here}.{part}.bias"] = bias
                yield f"{here}.{part}.bias", bias
        heard = None
        if listener is not None:
            heard = listener.hear(number, Parts(shape, "fp32", exact).layer(number))
        for part in maps:
            inputs = None if heard is None else heard[part]
            yield from _stored(f"{here}.{part}", exact[f"{here}.{part}.rows"], form, inputs)
    final_norm = source["model.norm.weight"]
    yield "final_norm", final_norm
    is_tied = shape.is_tied or "lm_head.weight" not in source
    head = embedding.T if is_tied else source["lm_head.weight"].T
    yield from _stored("head", head, form)


def _stored(
    name: str, weight: Floats, form: Form, heard: Floats | None = None
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Store a matrix; inputs that were heard to be loud have a second row."""
    kind = form_of(name, form)
    rows, scales = stored(weight, kind)
    if heard is not None:
        lost = weight - written_out(rows, scales, kind, weight.shape[1])
        doubled = loud_inputs(heard, np.linalg.norm(lost, axis=1))
        if len(doubled):
            yield f"{name}.doubled", doubled
            second, second_scales = stored(lost[doubled], kind)
            rows = np.concatenate([rows, second])
            if scales is not None and second_scales is not None:
                scales = np.concatenate([scales, second_scales])
    yield f"{name}.rows", rows
    if scales is not None:
        yield f"{name}.scales", scales


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
    kinds = {"F32": np.float32, "U16": np.uint16, "I8": np.int8, "U8": np.uint8, "I32": np.int32}
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
