"""From a torch classifier to plain numpy arrays, one reading function per family.

The arrays are views of the model's parameters where the layout allows it: use them before the model
is trained further. What the families do differently (where segment embeddings go, position
numbers that start at 2, fused projections, gates) is settled here, so that nothing further down
needs to know a family.

Read with it: `weights.py` (what comes out) and `families.py` (where the units are).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from sparsepath.errors import ModelError
from sparsepath.models.classifier import Head, PathwayClassifier
from sparsepath.models.families import LayerSites, encoder_layers, encoder_sites, families_hint
from sparsepath.models.weights import (
    Activation,
    Affine,
    AttentionWeights,
    EncoderWeights,
    HeadWeights,
    Kept,
    LayerWeights,
    MlpWeights,
    Norm,
)

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

_NORM_PATHS: dict[str, tuple[str, str]] = {
    "bert": ("attention.output.LayerNorm", "output.LayerNorm"),
    "roberta": ("attention.output.LayerNorm", "output.LayerNorm"),
    "xlm-roberta": ("attention.output.LayerNorm", "output.LayerNorm"),
    "distilbert": ("sa_layer_norm", "output_layer_norm"),
    "modernbert": ("attn_norm", "mlp_norm"),
}
"""Norm of the attention and of the MLP, from the layer."""


class _Embeddings(NamedTuple):
    """What turns token ids into the first residual stream."""

    words: np.ndarray
    positions: np.ndarray | None
    norm: Norm


class _Positions(NamedTuple):
    """How a layer's attention knows positions."""

    rope_base: float | None
    window: int | None


def describe(model: PathwayClassifier) -> EncoderWeights:
    """Return the weights of a classifier as numpy arrays in float32.

    Raises:
        ModelError: if its encoder is of an unknown family or uses a feature that no graph has.
    """
    encoder = model.encoder
    sites = encoder_sites(encoder)
    activation = _activation(encoder.config)
    modules = encoder_layers(encoder)
    embeddings = _embeddings(encoder, sites.family, int(model.config.max_length))
    is_modern = sites.family == "modernbert"
    return EncoderWeights(
        words=embeddings.words,
        positions=embeddings.positions,
        embedding_norm=embeddings.norm,
        layers=tuple(
            _sparse(
                _layer(module, layer, activation, _NORM_PATHS[sites.family], positions),
                kept.get("topk", {}),
            )
            for module, layer, positions, kept in zip(
                modules,
                sites.layers,
                _layer_positions(encoder, len(modules)),
                model.config.layers,
                strict=True,
            )
        ),
        is_pre_norm=is_modern,
        final_norm=_norm(encoder.get_submodule("final_norm")) if is_modern else None,
        pooling=_pooling(model.config.pooling),
        classifier=_affine(model.classifier),
        max_length=_max_length(embeddings.positions, int(model.config.max_length)),
        head=_head(model),
    )


def _max_length(positions: np.ndarray | None, wanted: int) -> int:
    """Tokens that the position table allows, at most as many as wanted."""
    return wanted if positions is None else min(wanted, int(positions.shape[0]))


def _pooling(name: str) -> Literal["mean", "cls"]:
    """Narrow the configuration's string."""
    if name == "mean":
        return "mean"
    if name == "cls":
        return "cls"
    raise ModelError(f"pooling {name!r} is unknown", hint="use pooling mean or cls")


def _head(model: PathwayClassifier) -> HeadWeights | None:
    """Read what lies between pooling and classifier."""
    if not isinstance(model.head, Head):
        return None
    assert model.config.head is not None
    name, norm = model.config.head["activation"], model.head.norm
    return HeadWeights(
        dense=_affine(model.head.dense),
        activation="tanh" if name == "tanh" else _known_activation(name),
        norm=None if isinstance(norm, nn.Identity) else _norm(norm),
    )


def _activation(config: PretrainedConfig) -> Activation:
    """Read the nonlinearity under the name that the family gives it."""
    for key in ("hidden_act", "activation", "hidden_activation"):
        name = getattr(config, key, None)
        if name is not None:
            return _known_activation(name)
    raise ModelError(f"{config.model_type} names no activation", hint=families_hint())


def _known_activation(name: str) -> Activation:
    """Give the nonlinearity that a name of transformers means."""
    if name not in _ACTIVATIONS:
        raise ModelError(
            f"activation {name!r} cannot be written as a graph",
            hint=f"choose an encoder with one of: {', '.join(_ACTIVATIONS)}",
        )
    return _ACTIVATIONS[name]


def _embeddings(encoder: PreTrainedModel, family: str, max_length: int) -> _Embeddings:
    """Read the embedding tables; positions beyond `max_length` are left out."""
    part = encoder.get_submodule("embeddings")
    words = _array(encoder.get_input_embeddings().weight)
    if family == "modernbert":
        return _Embeddings(words, None, _norm(part.get_submodule("norm")))
    table = _array(part.get_submodule("position_embeddings").weight)
    # RoBERTa numbers the first real token padding_idx + 1.
    start = int(encoder.config.pad_token_id) + 1 if family.endswith("roberta") else 0
    table = table[start : start + max_length]
    if family != "distilbert":
        table = table + _array(part.get_submodule("token_type_embeddings").weight)[0]
    return _Embeddings(words, table, _norm(part.get_submodule("LayerNorm")))


def _layer_positions(encoder: PreTrainedModel, n_layers: int) -> list[_Positions]:
    """Read rotary bases and windows of every layer; the other families have none."""
    config = encoder.config
    if config.model_type != "modernbert":
        return [_Positions(None, None)] * n_layers
    found = []
    for kind in config.layer_types[:n_layers]:
        rope = config.rope_parameters[kind]
        if rope.get("rope_type", "default") != "default":
            raise ModelError(
                f"rotary positions of type {rope['rope_type']!r} cannot be written as a graph",
                hint="choose a ModernBERT without scaled rotary positions",
            )
        window = int(config.sliding_window) if kind == "sliding_attention" else None
        found.append(_Positions(float(rope["rope_theta"]), window))
    return found


def _layer(
    module: nn.Module,
    sites: LayerSites,
    activation: Activation,
    norms: tuple[str, str],
    positions: _Positions,
) -> LayerWeights:
    """Read one layer."""
    query, key, value = _projections(sites)
    first = module.get_submodule(norms[0])
    attention = AttentionWeights(
        query=query,
        key=key,
        value=value,
        output=_affine(sites.attention_out),
        n_heads=sites.n_heads,
        head_dim=sites.head_dim,
        rope_base=positions.rope_base,
        window=positions.window,
    )
    return LayerWeights(
        attention=attention,
        attention_norm=None if isinstance(first, nn.Identity) else _norm(first),
        mlp=_mlp(sites, activation),
        mlp_norm=_norm(module.get_submodule(norms[1])),
    )


def _sparse(layer: LayerWeights, topk: Mapping[str, Mapping[str, Any]]) -> LayerWeights:
    """Note where a layer keeps only the largest entries."""
    kept = {site: Kept(k=int(found["k"]), by=found["by"]) for site, found in topk.items()}
    return replace(
        layer,
        mlp=replace(layer.mlp, kept=kept.get("mlp_hidden")),
        kept_out=kept.get("block_out"),
    )


def _projections(sites: LayerSites) -> list[Affine]:
    """Query, key and value, taken apart where they are fused."""
    if not sites.is_fused:
        return [_affine(part) for part in sites.attention_in]
    return _split(sites.attention_in[0], 3)


def _mlp(sites: LayerSites, activation: Activation) -> MlpWeights:
    """Read the MLP, its gate taken apart."""
    inner, gate = _split(sites.mlp_in, 2) if sites.is_glu else (_affine(sites.mlp_in), None)
    return MlpWeights(inner=inner, gate=gate, output=_affine(sites.mlp_out), activation=activation)


def _split(linear: nn.Linear, n_parts: int) -> list[Affine]:
    """Cut a linear layer whose rows are several maps one after another."""
    whole = _affine(linear)
    size = whole.weight.shape[1] // n_parts
    cuts = [slice(part * size, (part + 1) * size) for part in range(n_parts)]
    return [
        Affine(weight=whole.weight[:, cut], bias=None if whole.bias is None else whole.bias[cut])
        for cut in cuts
    ]


def _affine(linear: nn.Linear) -> Affine:
    """Read a linear layer; torch keeps it transposed."""
    bias = None if linear.bias is None else _array(linear.bias)
    return Affine(weight=_array(linear.weight).T, bias=bias)


def _norm(module: nn.Module) -> Norm:
    """Read a layer normalisation."""
    if not isinstance(module, nn.LayerNorm):
        raise ModelError(
            f"{type(module).__name__} stands where a LayerNorm should", hint=families_hint()
        )
    bias = None if module.bias is None else _array(module.bias)
    return Norm(weight=_array(module.weight), bias=bias, epsilon=float(module.eps))


def _array(values: Tensor | nn.Module) -> np.ndarray:
    """Return a parameter as a float32 array, without a copy where it is one already."""
    assert isinstance(values, Tensor)
    array: np.ndarray = values.detach().cpu().float().numpy()
    return array
