"""Where the sites of a language model of transformers are.

Shape letters: B texts, T tokens, W width of a site.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from sparsepath.artifacts.neuron import Site
from sparsepath.errors import ModelError
from sparsepath.trace.edits import Sites

FAMILIES = ("llama", "mistral", "qwen2", "sparsepath_topk")
"""Values of `model_type` whose blocks have their parts at the same places."""

Change = Callable[[Tensor], Tensor]
"""Takes a hidden state after TopK, [B, T, W], and gives what takes its place."""


def body_of(model: PreTrainedModel) -> nn.Module:
    """Give the part of a language model that holds its layers.

    Raises:
        ModelError: if the model is of another kind.
    """
    kind = model.config.model_type
    if kind not in FAMILIES:
        raise ModelError(
            f"a model of type {kind!r} cannot be steered",
            hint=f"use a language model of one of these types: {', '.join(FAMILIES)}",
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


def hook_site(body: nn.Module, layer: int, site: Site, change: Change) -> RemovableHandle:
    """Let a function change the hidden state of a site, after its TopK.

    Args:
        body: of the model.
        layer: number of the block.
        site: of it.
        change: called at every forward pass.

    Returns:
        What takes the function away again.
    """
    block = body.get_submodule(f"layers.{layer}")
    names = {
        "block_out": "",
        "attn_in": "input_layernorm",
        "mlp_in": "post_attention_layernorm",
        "attn_out": "self_attn.o_proj",
        "mlp_hidden": "mlp.down_proj",
    }
    part = block.get_submodule(names[site])
    if site not in ("attn_out", "mlp_hidden"):
        return part.register_forward_hook(lambda _module, _inputs, output: change(output))
    # A sparse map keeps the largest entries of its input itself.
    topk = dict(part.named_children()).get("topk")
    if topk is not None:
        return topk.register_forward_hook(lambda _module, _inputs, output: change(output))
    return part.register_forward_pre_hook(lambda _module, inputs: (change(inputs[0]),))
