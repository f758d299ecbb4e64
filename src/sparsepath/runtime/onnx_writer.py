"""A classifier as an ONNX graph, written from its tensors and not traced.

The graph uses ONNX Runtime's fused operators where they are faster on a CPU (attention, bias with
GELU) and plain ones where they are not (its sum with layer norm takes five times as long as the
parts). What a layer costs is its matrix products and little else; `benchmarks/engine.py` compares
it with other ways to run the same model. Positions beyond the model's maximum length are left out.
Sublayers without units cost one addition and a norm, layers that are absent cost nothing. Hidden
states of which only the largest entries are kept are dense to ONNX Runtime: it gains no speed.

Inputs `input_ids` and `attention_mask` (int64, [B, T], padding to the right); outputs `logits` and
`probabilities` (float32, [B, C]). A stage of an early exit takes the residual stream `hidden`
instead of token ids, or gives it, or both.

Shape letters: B texts, T tokens, D width of the residual stream, C labels.
Read with it: `graph.py` (the builder) and `models.weights` (what a graph is made of).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from sparsepath.models.weights import (
    Activation,
    Affine,
    AttentionWeights,
    EncoderWeights,
    Kept,
    MlpWeights,
    Norm,
)
from sparsepath.runtime.graph import CONTRIB, FLOAT, INT32, INT64, GraphBuilder, value

_MASKED = float(np.finfo(np.float32).min)


@dataclass(kw_only=True)
class _Context:
    """Values that several layers share, made when first needed."""

    builder: GraphBuilder
    weights: EncoderWeights
    biases: dict[int, str]
    """Window to the additive [1, 1, T, T] bias that closes what lies outside."""
    rotations: dict[float, tuple[str, str]]
    """Rotary base to its cosine and sine tables."""
    mask: str = ""
    """The attention mask in int32, where a layer needs it."""
    takes_sources: bool = False
    """Whether each layer's attention sees the tokens that `sources` names."""
    n_attended: int = 0
    """Layers with attention so far."""
    start: str = ""
    """Position of the first token, where rotary positions need it."""


def write_onnx(weights: EncoderWeights, path: Path, *, packs_words: bool = False) -> None:
    """Write the whole classifier.

    Args:
        weights: the classifier.
        path: file to write; large tensors go to `path` + ".data".
        packs_words: store each word embedding as int8 with a scale of its own, a quarter of the
            size for a few operators more.
    """
    _write(weights, path, packs_words=packs_words)


def write_ensemble_onnx(weights: EncoderWeights, path: Path) -> int:
    """Write the whole classifier with one more input: what each layer's attention sees.

    `sources` is int32, [batch, layers, tokens], 1 for a token that is seen. Pooling still takes all
    tokens of `attention_mask`.

    Args:
        weights: the classifier.
        path: file to write; large tensors go to `path` + ".data".

    Returns:
        Layers with attention: the second axis of `sources`.
    """
    return _write(weights, path, takes_sources=True)


def write_stage_onnx(
    weights: EncoderWeights,
    path: Path,
    *,
    first: int,
    stop: int,
    head: Affine,
    takes_ids: bool,
) -> None:
    """Write layers `first` to `stop - 1` and an exit after them.

    The final norm, where the family has one, precedes every exit. A stage that ends before the last
    layer also gives `hidden_out`, the residual stream for the next stage.

    Args:
        weights: the whole classifier.
        path: file to write; large tensors go to `path` + ".data".
        first: number of the first layer present.
        stop: number of the layer after the last one.
        head: the exit's own linear map, width to labels.
        takes_ids: whether the input is `input_ids`, or `hidden` from the stage before.
    """
    stage = replace(weights, layers=weights.layers[first:stop], classifier=head)
    _write(stage, path, takes_ids=takes_ids, gives_hidden=stop < len(weights.layers))


def _write(
    weights: EncoderWeights,
    path: Path,
    *,
    takes_ids: bool = True,
    gives_hidden: bool = False,
    packs_words: bool = False,
    takes_sources: bool = False,
) -> int:
    """Build and save a classifier or a stage of one; return its layers with attention."""
    builder = GraphBuilder()
    context = _Context(
        builder=builder, weights=weights, biases={}, rotations={}, takes_sources=takes_sources
    )
    inputs = [value("attention_mask", INT64, ["batch", "tokens"])]
    if takes_ids:
        inputs.insert(0, value("input_ids", INT64, ["batch", "tokens"]))
        hidden = _embed(context, packs_words=packs_words)
    else:
        inputs.insert(0, value("hidden", FLOAT, ["batch", "tokens", weights.width]))
        hidden = "hidden"
    outputs = [
        value("logits", FLOAT, ["batch", weights.n_labels]),
        value("probabilities", FLOAT, ["batch", weights.n_labels]),
    ]
    run = _pre_norm_layers if weights.is_pre_norm else _post_norm_layers
    hidden = run(context, hidden)
    if gives_hidden:
        builder.node("Identity", [hidden], output="hidden_out")
        outputs.append(value("hidden_out", FLOAT, ["batch", "tokens", weights.width]))
    if weights.final_norm is not None:
        hidden = _norm(builder, hidden, weights.final_norm)
    _classify(context, hidden, weights.classifier)
    if takes_sources:
        inputs.append(value("sources", INT32, ["batch", max(1, context.n_attended), "tokens"]))
    builder.save(path, inputs, outputs)
    return context.n_attended


def _embed(context: _Context, *, packs_words: bool) -> str:
    """Token ids to the first residual stream."""
    builder, weights = context.builder, context.weights
    hidden = _packed_words(context) if packs_words else _words(context)
    if weights.positions is not None:
        positions = builder.constant(weights.positions, "positions")
        count = builder.node("Shape", ["input_ids"], start=1, end=2)
        zero = builder.constant(np.array([0]), "zero")
        used = builder.node("Slice", [positions, zero, count, zero])
        hidden = builder.node("Add", [hidden, used])
    return _norm(builder, hidden, weights.embedding_norm)


def _words(context: _Context) -> str:
    """Look up word embeddings."""
    words = context.builder.constant(context.weights.words, "words")
    return context.builder.node("Gather", [words, "input_ids"])


def _packed_words(context: _Context) -> str:
    """Look up word embeddings in int8 and multiply each with its scale."""
    builder, words = context.builder, context.weights.words
    scale_V1 = np.abs(words).max(axis=1, keepdims=True, initial=1e-12) / np.float32(127)
    packed = np.round(words / scale_V1).astype(np.int8)
    rows = builder.node("Gather", [builder.constant(packed, "words"), "input_ids"])
    scales = builder.node("Gather", [builder.constant(scale_V1, "word_scales"), "input_ids"])
    return builder.node("Mul", [builder.node("Cast", [rows], to=FLOAT), scales])


def _classify(context: _Context, hidden: str, head: Affine) -> None:
    """Pool the tokens and map them to labels, through the model's head where it has one."""
    builder = context.builder
    if context.weights.pooling == "cls":
        zero = builder.constant(np.array(0), "first")
        pooled = builder.node("Gather", [hidden, zero], axis=1)
    else:
        axis = builder.constant(np.array([1]), "axis")
        mask = builder.node("Cast", ["attention_mask"], to=FLOAT)
        share = builder.node("LpNormalization", [mask], axis=1, p=1)
        mean = builder.node("MatMul", [builder.node("Unsqueeze", [share, axis]), hidden])
        pooled = builder.node("Squeeze", [mean, axis])
    own = context.weights.head
    if own is not None:
        before = _linear(builder, pooled, own.dense, "head")
        pooled = _nonlinear(builder, before, own.activation)
        pooled = pooled if own.norm is None else _norm(builder, pooled, own.norm)
    weight = builder.constant(head.weight, "classifier")
    bias = [] if head.bias is None else [builder.constant(head.bias, "classifier_bias")]
    builder.node("Gemm", [pooled, weight, *bias], output="logits")
    builder.node("Softmax", ["logits"], output="probabilities", axis=-1)


def _post_norm_layers(context: _Context, hidden: str) -> str:
    """Layers that normalise after each residual sum: BERT, RoBERTa, DistilBERT."""
    for layer in context.weights.layers:
        assert layer.attention_norm is not None
        for part, norm in ((layer.attention, layer.attention_norm), (layer.mlp, layer.mlp_norm)):
            change = _sublayer(context, hidden, part)
            total = _add(context.builder, hidden, change, part.output.bias)
            hidden = _norm(context.builder, total, norm)
        hidden = _largest(context.builder, hidden, layer.kept_out)
    return hidden


def _pre_norm_layers(context: _Context, hidden: str) -> str:
    """Layers that normalise before each sublayer: ModernBERT."""
    builder = context.builder
    for layer in context.weights.layers:
        for part, norm in ((layer.attention, layer.attention_norm), (layer.mlp, layer.mlp_norm)):
            normed = hidden if norm is None else _norm(builder, hidden, norm)
            change = _sublayer(context, normed, part)
            hidden = _add(builder, hidden, change, part.output.bias)
        hidden = _largest(builder, hidden, layer.kept_out)
    return hidden


def _sublayer(context: _Context, hidden: str, part: AttentionWeights | MlpWeights) -> str | None:
    """What a sublayer adds, without its output's bias; None if it has no units."""
    if isinstance(part, AttentionWeights):
        return _attention(context, hidden, part) if part.n_heads else None
    return _mlp(context.builder, hidden, part) if part.n_neurons else None


def _attention(context: _Context, hidden: str, part: AttentionWeights) -> str:
    """Multi-head attention up to the output's matrix product."""
    if part.rope_base is None and part.window is None:
        heads = _packed_attention(context, hidden, part)
    else:
        heads = _rotary_attention(context, hidden, part)
    return _product(context.builder, heads, part.output.weight, "attention_output")


def _packed_attention(context: _Context, hidden: str, part: AttentionWeights) -> str:
    """Attention with learnt positions as one operator that holds all three projections."""
    builder = context.builder
    parts = (part.query, part.key, part.value)
    weight = np.concatenate([projection.weight for projection in parts], axis=1)
    bias = np.concatenate([_bias_or_zeros(projection) for projection in parts])
    return builder.node(
        "Attention",
        [
            hidden,
            builder.constant(weight, "qkv"),
            builder.constant(bias, "qkv_bias"),
            _mask(context),
        ],
        domain=CONTRIB,
        num_heads=part.n_heads,
        mask_filter_value=_MASKED,
    )


def _rotary_attention(context: _Context, hidden: str, part: AttentionWeights) -> str:
    """Attention with rotary positions and, where the layer is local, a window."""
    builder = context.builder
    query, key, attended = (
        _linear(builder, hidden, projection, name)
        for projection, name in (
            (part.query, "query"),
            (part.key, "key"),
            (part.value, "value"),
        )
    )
    if part.rope_base is not None:
        query, key = (
            _rotate(context, name, part.rope_base, part.head_dim) for name in (query, key)
        )
    window = "" if part.window is None else _window_bias(context, part.window)
    return builder.node(
        "MultiHeadAttention",
        [query, key, attended, "", _mask(context), window],
        domain=CONTRIB,
        num_heads=part.n_heads,
        mask_filter_value=_MASKED,
    )


def _mask(context: _Context) -> str:
    """The attention mask as the attention operators want it."""
    if context.takes_sources:
        place = context.builder.constant(np.array(context.n_attended, np.int64), "layer")
        context.n_attended += 1
        return context.builder.node("Gather", ["sources", place], axis=1)
    if not context.mask:
        context.mask = context.builder.node("Cast", ["attention_mask"], to=INT32)
    return context.mask


def _rotate(context: _Context, name: str, base: float, head_dim: int) -> str:
    """Turn each pair of features by an angle that grows with the position."""
    builder = context.builder
    if base not in context.rotations:
        frequencies = 1.0 / base ** (np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
        angles = np.arange(context.weights.max_length, dtype=np.float32)[:, None] * frequencies
        context.rotations[base] = (
            builder.constant(np.cos(angles).astype(np.float32), "cosines"),
            builder.constant(np.sin(angles).astype(np.float32), "sines"),
        )
    if not context.start:
        context.start = builder.constant(np.zeros(1, np.int64), "start")
    return builder.node(
        "RotaryEmbedding", [name, context.start, *context.rotations[base]], domain=CONTRIB
    )


def _window_bias(context: _Context, window: int) -> str:
    """A [1, 1, T, T] bias: 0 for tokens at most `window` apart, else as good as minus infinity."""
    if window in context.biases:
        return context.biases[window]
    builder = context.builder
    count = builder.node("Shape", ["attention_mask"], start=1, end=2)
    scalar = builder.node("Squeeze", [count])
    zero, one = (builder.constant(np.array(number), "number") for number in (0, 1))
    positions = builder.node("Range", [zero, scalar, one])
    rows = builder.node("Unsqueeze", [positions, builder.constant(np.array([1]), "axis")])
    distance = builder.node("Abs", [builder.node("Sub", [rows, positions])])
    far = builder.node("Greater", [distance, builder.constant(np.array(window), "window")])
    closed = builder.constant(np.array(_MASKED, np.float32), "closed")
    bias = builder.node("Where", [far, closed, builder.constant(np.array(0.0, np.float32), "open")])
    axes = builder.constant(np.array([0, 1]), "axes")
    context.biases[window] = builder.node("Unsqueeze", [bias, axes])
    return context.biases[window]


def _mlp(builder: GraphBuilder, hidden: str, part: MlpWeights) -> str:
    """The perceptron up to the output's matrix product."""
    neurons = _activated(builder, hidden, part)
    if part.gate is not None:
        neurons = builder.node("Mul", [neurons, _linear(builder, hidden, part.gate, "gate")])
    neurons = _largest(builder, neurons, part.kept)
    return _product(builder, neurons, part.output.weight, "mlp_output")


def _largest(builder: GraphBuilder, values: str, kept: Kept | None) -> str:
    """Set all but the largest entries of the last axis to zero; ties go to the lower index.

    ONNX Runtime multiplies the zeros like any number: this costs time and saves none.
    """
    if kept is None:
        return values
    is_signed = kept.by == "magnitude"
    size = builder.node("Abs", [values]) if is_signed else values
    k = builder.constant(np.array([kept.k], np.int64), "k")
    entries, places = builder.nodes("TopK", [size, k], [True, True], axis=-1, sorted=0)
    if is_signed:
        entries = builder.node("GatherElements", [values, places], axis=-1)
    shape = builder.node("Shape", [values])
    zeros = builder.node("ConstantOfShape", [shape])
    return builder.node("ScatterElements", [zeros, places, entries], axis=-1)


def _activated(builder: GraphBuilder, hidden: str, part: MlpWeights) -> str:
    """The neurons after their nonlinearity."""
    if part.activation == "gelu" and part.inner.bias is not None:
        product = _product(builder, hidden, part.inner.weight, "neurons")
        bias = builder.constant(part.inner.bias, "neurons_bias")
        return builder.node("BiasGelu", [product, bias], domain=CONTRIB)
    before = _linear(builder, hidden, part.inner, "neurons")
    return _nonlinear(builder, before, part.activation)


def _nonlinear(builder: GraphBuilder, before: str, activation: Activation | Literal["tanh"]) -> str:
    """Apply a nonlinearity."""
    if activation == "tanh":
        return builder.node("Tanh", [before])
    if activation == "relu":
        return builder.node("Relu", [before])
    if activation == "silu":
        return builder.node("Mul", [before, builder.node("Sigmoid", [before])])
    approximate = "tanh" if activation == "gelu_tanh" else "none"
    return builder.node("Gelu", [before], approximate=approximate)


def _product(builder: GraphBuilder, hidden: str, weight: np.ndarray, name: str) -> str:
    return builder.node("MatMul", [hidden, builder.constant(weight, name)])


def _linear(builder: GraphBuilder, hidden: str, part: Affine, name: str) -> str:
    product = _product(builder, hidden, part.weight, name)
    if part.bias is None:
        return product
    return builder.node("Add", [product, builder.constant(part.bias, f"{name}_bias")])


def _add(builder: GraphBuilder, hidden: str, change: str | None, bias: np.ndarray | None) -> str:
    """Residual sum; a change of None is a sublayer without units."""
    if bias is not None:
        shift = builder.constant(bias, "output_bias")
        if change is None:
            return builder.node("Add", [hidden, shift])
        change = builder.node("Add", [change, shift])
    return hidden if change is None else builder.node("Add", [change, hidden])


def _norm(builder: GraphBuilder, hidden: str, norm: Norm) -> str:
    scale, shift = _norm_constants(builder, norm)
    return builder.node("LayerNormalization", [hidden, scale, shift], epsilon=norm.epsilon)


def _norm_constants(builder: GraphBuilder, norm: Norm) -> tuple[str, str]:
    shift = np.zeros_like(norm.weight) if norm.bias is None else norm.bias
    return builder.constant(norm.weight, "scale"), builder.constant(shift, "shift")


def _bias_or_zeros(part: Affine) -> np.ndarray:
    return np.zeros(part.weight.shape[1], np.float32) if part.bias is None else part.bias
