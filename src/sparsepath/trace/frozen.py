"""A language model of the Llama kind that is linear around one text, with the same answers.

What makes such a model non-linear is held at its values for the text: the scales of the norms, the
patterns of attention, the gates of the MLPs, and which entries TopK keeps. Every hidden state is
then a linear map of the ones below, so that entry times gradient is what the entry adds, and all
entries of the residual stream together add up to the logit: nothing is approximated. (Biases, as in
Qwen's projections, add a rest of their own.)

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (paths of frozen
attention); Ali et al. 2022, arXiv 2202.07304 (attention and norms held constant, so that relevance
is conserved). Read with `pathways/next_token.py`.

Shape letters: B examples, T tokens, H heads, D width.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask
from transformers.models.llama.modeling_llama import repeat_kv

from sparsepath.artifacts.neuron import SITES, Site
from sparsepath.errors import ModelError
from sparsepath.models.language_folder import LANGUAGE_KINDS
from sparsepath.trace.sites import hook_site, keeps_few

NAME = "sparsepath_frozen"
"""Of the attention function whose patterns have no gradient."""

Edit = Callable[[int, Site, Tensor], Tensor]
"""Changes a hidden state: layer, site, values [B, T, D]."""


@dataclass(eq=False)
class Reading:
    """Hidden states of the last forward pass, with their graph."""

    sites: dict[tuple[int, Site], Tensor] = field(default_factory=dict)
    """By layer and site; where a site is sparse, what it keeps."""

    heads: list[Tensor] = field(default_factory=list)
    """Per layer what heads give to the output projection, [B, T, heads x width]."""


Scales = dict[nn.Module, Tensor]
"""What each norm multiplies a token's hidden state by, [B, T, 1]."""


@contextmanager
def frozen(model: PreTrainedModel) -> Iterator[Scales]:
    """Hold everything that is not linear; values stay as they are, gradients become exact shares.

    Args:
        model: a causal model of the Llama kind, in evaluation mode; as before afterwards.

    Yields:
        The norms' scales, once the model ran.

    Raises:
        ModelError: if the model is of another kind.
    """
    if model.config.model_type not in LANGUAGE_KINDS:
        raise ModelError(
            f"an answer of a {model.config.model_type} cannot be taken apart",
            hint=f"use a language model of these kinds: {', '.join(LANGUAGE_KINDS)}",
        )
    before, scales = model.config._attn_implementation, Scales()
    with ExitStack() as undo, held_norms(model, scales):
        for module in model.modules():
            activation = getattr(module, "act_fn", None)
            if activation is not None:
                undo.callback(setattr, module, "act_fn", activation)
                module.act_fn = _Held(activation)
        model.set_attn_implementation(NAME)
        undo.callback(model.set_attn_implementation, before)
        yield scales


@contextmanager
def held_norms(model: PreTrainedModel, scales: Scales) -> Iterator[None]:
    """Let norms multiply by the same numbers whatever they are given.

    Args:
        model: a causal model of the Llama kind; as before afterwards.
        scales: what they multiply by; those that are missing are filled in by the next pass.
    """
    norms = [module for module in model.modules() if type(module).__name__.endswith("Norm")]
    try:
        for norm in norms:
            norm.forward = _held_norm(norm, scales)
        yield
    finally:
        for norm in norms:
            norm.__dict__.pop("forward", None)


@contextmanager
def reading(model: PreTrainedModel, edit: Edit | None = None) -> Iterator[Reading]:
    """Record every site of every block, after changing it.

    Args:
        model: a causal model of the Llama kind; as before afterwards.
        edit: changes what is recorded and goes on. None: nothing.
    """
    found = Reading()
    with ExitStack() as undo:
        for number, layer in enumerate(_layers(model)):
            for site in SITES:
                handle = hook_site(layer, site, _keeper(found, number, site, edit))
                undo.callback(handle.remove)
            projection = layer.self_attn.o_proj
            handle = projection.register_forward_pre_hook(
                lambda _module, args: found.heads.append(args[0])
            )
            undo.callback(handle.remove)
        yield found


def is_sparse(model: PreTrainedModel, layer: int, site: Site) -> bool:
    """Say whether a site of a block keeps its largest entries only."""
    return keeps_few(_layers(model)[layer], site)


def _layers(model: PreTrainedModel) -> list[Any]:
    """Give the blocks."""
    body: Any = model.base_model
    return list(body.layers)


def _keeper(
    found: Reading, layer: int, site: Site, edit: Edit | None
) -> Callable[[Tensor], Tensor]:
    """Make what records a hidden state."""

    def keep(values: Tensor) -> Tensor:
        if edit is not None:
            values = edit(layer, site, values)
        found.sites[layer, site] = values
        return values

    return keep


def _held_norm(norm: Any, scales: Scales) -> Callable[[Tensor], Tensor]:
    """Make the forward pass of a root-mean-square norm whose scale is a number."""

    def forward(hidden_states: Tensor) -> Tensor:
        if norm not in scales:
            variance = hidden_states.detach().float().square().mean(-1, keepdim=True)
            scales[norm] = torch.rsqrt(variance + norm.variance_epsilon)
        normed: Tensor = norm.weight * (hidden_states.float() * scales[norm]).to(norm.weight.dtype)
        topk = getattr(norm, "topk", None)
        return normed if topk is None else topk(normed)

    return forward


class _Held(nn.Module):
    """An activation whose result has no gradient."""

    def __init__(self, activation: nn.Module) -> None:
        """Take the activation."""
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Give its value."""
        value: Tensor = self.activation(x)
        return value.detach()


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attend with patterns that have no gradient."""
    keys = repeat_kv(key, module.num_key_value_groups)
    values = repeat_kv(value, module.num_key_value_groups)
    with torch.no_grad():
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        logits = query @ keys.transpose(2, 3) * scale
        if attention_mask is not None:
            logits = logits + attention_mask[..., : keys.shape[-2]]
        pattern = logits.float().softmax(dim=-1).to(query.dtype)
    return (pattern @ values).transpose(1, 2).contiguous(), pattern


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, eager_mask)
