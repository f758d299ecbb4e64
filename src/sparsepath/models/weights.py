"""The numbers of a classifier without its framework: plain numpy arrays, whatever the family.

`describe.py` fills it from a torch model, `runtime.onnx_writer` turns it into a graph, and
`runtime.latency_model` fills it with random numbers to time shapes that no model has yet. Every
linear map is stored as `x @ weight + bias`. All families come down to one description: learnt or
rotary positions, norms after or before each sublayer, an MLP with or without a gate.

Shape letters: V tokens of the vocabulary, P positions, D width of the residual stream, C labels.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Activation = Literal["gelu", "gelu_tanh", "relu", "silu"]
"""Nonlinearity of the MLP; `gelu` is the exact one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine:
    """A linear map `x @ weight + bias`."""

    weight: Float[np.ndarray, "inputs outputs"]
    """Input features by output features."""

    bias: Float[np.ndarray, " outputs"] | None
    """What is added, or None where the model has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Norm:
    """Layer normalisation."""

    weight: Float[np.ndarray, " width"]
    """Scale of each feature."""

    bias: Float[np.ndarray, " width"] | None
    """Shift of each feature, or None."""

    epsilon: float
    """Added to the variance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """How many entries of a hidden state are kept; the others are zero."""

    k: int
    """Largest entries, 1 or more; of equal ones the lower index."""

    by: Literal["value", "magnitude"]
    """What is largest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionWeights:
    """Self-attention with `n_heads` heads; with none, only the output's bias remains."""

    query: Affine
    """Width to heads times head_dim."""

    key: Affine
    """As `query`."""

    value: Affine
    """As `query`."""

    output: Affine
    """Heads times head_dim to width."""

    n_heads: int
    """Heads present, 0 or more."""

    head_dim: int
    """Width of a head; scores are divided by its square root."""

    rope_base: float | None = None
    """Base of the rotary positions, or None for learnt positions."""

    window: int | None = None
    """Tokens seen to each side, or None for all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MlpWeights:
    """A two-layer perceptron; with no neurons, only the output's bias remains."""

    inner: Affine
    """Width to neurons, before the nonlinearity."""

    gate: Affine | None
    """Width to neurons, multiplied with the activations; None without a gate."""

    output: Affine
    """Neurons to width."""

    activation: Activation
    """Nonlinearity of the neurons."""

    kept: Kept | None = None
    """Which neurons of a token are not zero; None: all."""

    @property
    def n_neurons(self) -> int:
        """Neurons present, 0 or more."""
        return int(self.output.weight.shape[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerWeights:
    """One encoder layer that is present."""

    attention: AttentionWeights
    """Its attention, possibly with no heads."""

    attention_norm: Norm | None
    """After the attention's residual sum, or before the attention; None if the family has none."""

    mlp: MlpWeights
    """Its MLP, possibly with no neurons."""

    mlp_norm: Norm
    """After the MLP's residual sum, or before the MLP."""

    kept_out: Kept | None = None
    """Which entries of the layer's output are not zero; None: all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadWeights:
    """A layer between the pooled vector and the classifier."""

    dense: Affine
    """Width to width, before the nonlinearity."""

    activation: Activation | Literal["tanh"]
    """Nonlinearity."""

    norm: Norm | None
    """After it, or None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderWeights:
    """A whole classifier: embeddings, the layers that are present, pooling, labels."""

    words: Float[np.ndarray, "V D"]
    """Word embeddings."""

    positions: Float[np.ndarray, "P D"] | None
    """Embeddings of position 0, 1, ... (segment 0 included); None with rotary positions."""

    embedding_norm: Norm
    """Normalises the sum of the embeddings."""

    layers: tuple[LayerWeights, ...]
    """First layer first; may be empty."""

    is_pre_norm: bool
    """Norms come before each sublayer (ModernBERT) instead of after its residual sum."""

    final_norm: Norm | None
    """After the last layer, where norms come first."""

    pooling: Literal["mean", "cls"]
    """Mean over real tokens, or the first token."""

    classifier: Affine
    """Width to labels."""

    max_length: int
    """Tokens of a text that are read, special ones included."""

    head: HeadWeights | None = None
    """Between pooling and classifier, or None."""

    @property
    def width(self) -> int:
        """Features of the residual stream."""
        return int(self.words.shape[1])

    @property
    def n_labels(self) -> int:
        """Labels the classifier tells apart."""
        return int(self.classifier.weight.shape[1])

    @property
    def shape(self) -> list[tuple[int, int]]:
        """Heads and neurons of every layer that is present."""
        return [(layer.attention.n_heads, layer.mlp.n_neurons) for layer in self.layers]
