"""What a language model of transformers has that can be steered."""

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from sparsepath.errors import ModelError
from sparsepath.models.language_folder import LANGUAGE_KINDS
from sparsepath.trace.edits import Sites


def body_of(model: PreTrainedModel) -> nn.Module:
    """Give the part of a language model that holds its layers.

    Raises:
        ModelError: if the model is of another kind.
    """
    kind = model.config.model_type
    if kind not in LANGUAGE_KINDS:
        raise ModelError(
            f"a model of type {kind!r} cannot be steered",
            hint=f"use a language model of one of these types: {', '.join(LANGUAGE_KINDS)}",
        )
    return model.base_model


def sites_of(model: PreTrainedModel) -> Sites:
    """Give what a model has that can be edited; raises as `body_of`."""
    body_of(model)
    config: Any = model.config
    d_model, heads = int(config.hidden_size), int(config.num_attention_heads)
    head_dim = getattr(config, "head_dim", None) or d_model // heads
    n_layers = int(config.num_hidden_layers)
    sparse = dict(config.topk) if config.model_type == "sparsepath_topk" else {}
    return Sites(
        n_layers=n_layers,
        widths={
            "block_out": d_model,
            "attn_in": d_model,
            "attn_out": heads * head_dim,
            "mlp_in": d_model,
            "mlp_hidden": int(config.intermediate_size),
        },
        sparse=sparse,
        n_sparse_layers=n_layers - config.n_dense_layers if sparse else 0,
    )
