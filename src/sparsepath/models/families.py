"""The encoder families that sparsepath can read and cut, and where their units live.

A unit is a head (columns `h * head_dim : (h + 1) * head_dim` at the input of `attention_out`) or an
MLP neuron (a column at the input of `mlp_out`). The paths themselves are in `classifier.py`, which
must stand alone. A GLU neuron has two rows in `mlp_in`: its activation and, `n_neurons` later, its
gate.
"""

from typing import NamedTuple

from torch import nn
from transformers import PreTrainedModel

from sparsepath.errors import ModelError
from sparsepath.models.classifier import LAYER_PATHS

FAMILIES: dict[str, str] = {
    "bert": "BERT (also MiniLM, multilingual E5 small, Japanese BERT)",
    "roberta": "RoBERTa",
    "xlm-roberta": "XLM-RoBERTa (also multilingual E5 base, BGE-M3)",
    "distilbert": "DistilBERT",
    "modernbert": "ModernBERT",
}
"""Hugging Face `model_type` to the name a person knows."""


class LayerSites(NamedTuple):
    """The linear layers of one encoder layer between which its units live."""

    attention_in: tuple[nn.Linear, ...]
    """Query, key, value; or one fused layer whose rows are [3, heads, head_dim]."""
    attention_out: nn.Linear
    """Its input columns are the heads."""
    mlp_in: nn.Linear
    """Its rows make the neurons; in a GLU all activations first, then all gates."""
    mlp_out: nn.Linear
    """Its input columns are the neurons."""
    n_heads: int
    """Heads present in this layer."""
    head_dim: int
    """Width of a head, in features."""
    n_neurons: int
    """MLP neurons present in this layer."""
    is_glu: bool
    """Whether `mlp_in` has a gate row for every neuron."""
    is_fused: bool
    """Whether query, key and value are one linear layer."""


class EncoderSites(NamedTuple):
    """Where the units of an encoder live."""

    family: str
    """A key of `FAMILIES`."""
    embedding: nn.Embedding
    """The word embeddings."""
    layers: list[LayerSites]
    """First layer first."""


def families_hint() -> str:
    """Return the sentence that names the encoders sparsepath knows."""
    names = ", ".join(f"{label} (model_type {key!r})" for key, label in FAMILIES.items())
    return f"choose an encoder of one of these families: {names}"


def check_family(model_type: object) -> str:
    """Return `model_type` if sparsepath knows it.

    Raises:
        ModelError: naming the known families, if it does not.
    """
    if isinstance(model_type, str) and model_type in FAMILIES:
        return model_type
    raise ModelError(f"architecture {model_type!r} is not supported", hint=families_hint())


def encoder_layers(encoder: PreTrainedModel) -> list[nn.Module]:
    """Return the layers of an encoder, first layer first.

    Raises:
        ModelError: if the architecture is unknown.
    """
    family = check_family(encoder.config.model_type)
    try:
        return list(encoder.get_submodule(LAYER_PATHS[family].layers).children())
    except AttributeError as error:
        raise ModelError(
            f"{type(encoder).__name__} says it is {family!r} but is not built like it",
            hint=families_hint(),
        ) from error


def encoder_sites(encoder: PreTrainedModel) -> EncoderSites:
    """Return where the units of a Hugging Face encoder live.

    Args:
        encoder: the body without a head, such as `BertModel`, whole or already cut.

    Raises:
        ModelError: if the architecture is unknown.
    """
    layers = encoder_layers(encoder)
    family = check_family(encoder.config.model_type)
    head_dim = encoder.config.hidden_size // encoder.config.num_attention_heads
    embedding = encoder.get_input_embeddings()
    if not isinstance(embedding, nn.Embedding):
        raise ModelError(
            f"the word embeddings are {type(embedding).__name__}", hint=families_hint()
        )
    return EncoderSites(family, embedding, [_layer_sites(x, family, head_dim) for x in layers])


def _layer_sites(layer: nn.Module, family: str, head_dim: int) -> LayerSites:
    """Look up the linear layers of one encoder layer."""
    paths = LAYER_PATHS[family]
    attention_out = _linear(layer, paths.attention_out)
    mlp_out = _linear(layer, paths.mlp_out)
    return LayerSites(
        attention_in=tuple(_linear(layer, path) for path in paths.attention_in),
        attention_out=attention_out,
        mlp_in=_linear(layer, paths.mlp_in),
        mlp_out=mlp_out,
        n_heads=attention_out.in_features // head_dim,
        head_dim=head_dim,
        n_neurons=mlp_out.in_features,
        is_glu=paths.is_glu,
        is_fused=len(paths.attention_in) == 1,
    )


def _linear(layer: nn.Module, path: str) -> nn.Linear:
    """Return the linear layer at a dotted path."""
    try:
        module = layer.get_submodule(path)
    except AttributeError as error:
        raise ModelError(f"{type(layer).__name__} has no {path}", hint=families_hint()) from error
    if not isinstance(module, nn.Linear):
        raise ModelError(
            f"{path} of {type(layer).__name__} is {type(module).__name__}, not a linear layer",
            hint=families_hint(),
        )
    return module
