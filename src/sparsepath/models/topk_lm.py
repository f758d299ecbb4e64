"""A Llama whose hidden states keep only their k largest entries, at chosen sites.

The weights are those of a Llama of the same shape; which sites are sparse stands in `config.json`,
so a saved model never runs dense unnoticed. This file is copied beside saved weights and also works
there alone, with transformers and without sparsepath (`trust_remote_code=True`); the layers that
train are then missing, the answers are the same.

Sites: `block_out` (the residual stream after a block, as in the paper), `attn_in` and `mlp_in`
(after the norms), `attn_out` and `mlp_hidden` (before the output projections). The last
`n_dense_layers` layers have none.

Source: Takahashi et al. 2025, arXiv 2506.21468, figure of the model.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, LlamaConfig
from transformers import initialization as init
from transformers.models.llama.modeling_llama import (
    LlamaDecoderLayer,
    LlamaForCausalLM,
    LlamaModel,
    LlamaPreTrainedModel,
    LlamaRMSNorm,
)

try:
    from sparsepath.nn.topk import TopK
except ImportError:  # beside saved weights, without sparsepath: what inference needs

    class TopK(nn.Module):  # type: ignore[no-redef]
        """Keeps the largest entries of the last axis; for inference."""

        def __init__(self, width: int, k: int, *, by: str = "value", is_positive: bool = False,
                     n_always_on: int = 0, is_straight_through: bool = False) -> None:  # fmt: skip
            """Take the settings; how gradients pass does not matter here."""
            super().__init__()
            self.k, self.by, self.is_positive, self.n_always_on = k, by, is_positive, n_always_on

        def forward(self, x: Tensor) -> Tensor:
            """Keep the largest entries; ties go to the lowest index, as a stable sort has them."""
            first, rest = x[..., : self.n_always_on], x[..., self.n_always_on :]
            size = rest.abs() if self.by == "magnitude" else rest
            order = (size + 0.0).sort(dim=-1, descending=True, stable=True).indices[..., : self.k]
            kept = torch.zeros_like(rest).scatter(-1, order, rest.gather(-1, order))
            kept = kept.relu() if self.is_positive else kept
            return torch.cat([first, kept], dim=-1)


SITES = ("block_out", "attn_in", "attn_out", "mlp_in", "mlp_hidden")
"""Where a hidden state can be sparse."""


class TopKConfig(LlamaConfig):
    """A Llama's configuration, and what is kept where."""

    model_type = "sparsepath_topk"

    def __init__(
        self,
        topk: dict[str, int] | None = None,
        topk_by: Any = "value",
        topk_positive: bool = False,
        n_always_on: int = 0,
        n_dense_layers: int = 1,
        straight_through: bool = False,
        **settings: Any,
    ) -> None:
        """Keep what is sparse; the rest is a Llama's.

        Args:
            topk: entries that are kept, by site.
            topk_by: `value` or `magnitude`, or one of them by site; sites that it lacks: `value`.
            topk_positive: whether kept entries below zero become zero.
            n_always_on: first entries of every sparse hidden state, kept beside the k.
            n_dense_layers: last layers without any sparse site.
            straight_through: whether gradients pass to entries that were dropped.
            settings: those of a Llama.
        """
        self.topk, self.topk_by, self.topk_positive = dict(topk or {}), topk_by, topk_positive
        self.n_always_on, self.n_dense_layers = n_always_on, n_dense_layers
        self.straight_through = straight_through
        super().__init__(**settings)

    def width_of(self, site: str) -> int:
        """Give the entries of a hidden state at a site."""
        if site == "mlp_hidden":
            return int(self.intermediate_size)
        if site == "attn_out":
            head_dim = self.head_dim or self.hidden_size // self.num_attention_heads
            return int(self.num_attention_heads * head_dim)
        return int(self.hidden_size)

    def by(self, site: str) -> Any:
        """Give what is largest at a site."""
        return self.topk_by if isinstance(self.topk_by, str) else self.topk_by.get(site, "value")

    def layer(self, site: str, number: int) -> TopK | None:
        """Make the sparse layer of a site in a block; None where it stays dense."""
        named = set(self.topk) | (set() if isinstance(self.topk_by, str) else set(self.topk_by))
        unknown = sorted(named - set(SITES))
        if unknown:
            raise ValueError(f"topk names {unknown[0]!r}; the sites are {', '.join(SITES)}")
        k = self.topk.get(site)
        if k is None or number >= self.num_hidden_layers - self.n_dense_layers:
            return None
        return TopK(
            self.width_of(site),
            k,
            by=self.by(site),
            is_positive=self.topk_positive,
            n_always_on=self.n_always_on,
            is_straight_through=self.straight_through,
        )


class SparseNorm(LlamaRMSNorm):
    """A norm whose output keeps its largest entries."""

    def __init__(self, width: int, eps: float, topk: TopK) -> None:
        """Make the norm."""
        super().__init__(width, eps=eps)
        self.topk = topk

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Normalise, then keep."""
        kept: Tensor = self.topk(super().forward(hidden_states))
        return kept


class SparseInputLinear(nn.Linear):
    """A linear map of the largest entries of its input."""

    def __init__(self, n_in: int, n_out: int, *, bias: bool, topk: TopK) -> None:
        """Make the map."""
        super().__init__(n_in, n_out, bias=bias)
        self.topk = topk

    def forward(self, input: Tensor) -> Tensor:
        """Keep, then map."""
        return super().forward(self.topk(input))


class TopKDecoderLayer(LlamaDecoderLayer):
    """A block with its sparse sites."""

    def __init__(self, config: TopKConfig, layer_idx: int) -> None:
        """Replace what a sparse site stands beside; names of weights stay."""
        super().__init__(config, layer_idx)
        width, eps = config.hidden_size, config.rms_norm_eps
        self.block_out = config.layer("block_out", layer_idx)
        if (attn_in := config.layer("attn_in", layer_idx)) is not None:
            self.input_layernorm = SparseNorm(width, eps, attn_in)
        if (mlp_in := config.layer("mlp_in", layer_idx)) is not None:
            self.post_attention_layernorm = SparseNorm(width, eps, mlp_in)
        if (attn_out := config.layer("attn_out", layer_idx)) is not None:
            old = self.self_attn.o_proj
            self.self_attn.o_proj = SparseInputLinear(
                old.in_features, old.out_features, bias=old.bias is not None, topk=attn_out
            )
        if (hidden := config.layer("mlp_hidden", layer_idx)) is not None:
            old = self.mlp.down_proj
            self.mlp.down_proj = SparseInputLinear(
                old.in_features, old.out_features, bias=old.bias is not None, topk=hidden
            )

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Run the block; what leaves it may be sparse."""
        output: Tensor = super().forward(hidden_states, *args, **kwargs)
        return output if self.block_out is None else self.block_out(output)


class TopKPreTrainedModel(LlamaPreTrainedModel):
    """What models of this kind have in common."""

    config: TopKConfig
    config_class = TopKConfig
    _no_split_modules = ["TopKDecoderLayer"]  # noqa: RUF012 - transformers' way

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Begin a module; a loaded model's parts come as memory with anything in it."""
        super()._init_weights(module)
        if isinstance(module, SparseNorm):
            init.ones_(module.weight)
        elif isinstance(module, TopK):
            for counter in module.buffers(recurse=False):
                init.zeros_(counter)


class TopKModel(TopKPreTrainedModel, LlamaModel):
    """The body: all that is sparse is in here."""

    def __init__(self, config: TopKConfig) -> None:
        """Build the blocks."""
        super().__init__(config)
        self.layers = nn.ModuleList(
            [TopKDecoderLayer(config, number) for number in range(config.num_hidden_layers)]
        )
        self.post_init()


class TopKForCausalLM(TopKPreTrainedModel, LlamaForCausalLM):
    """A language model with sparse hidden states."""

    def __init__(self, config: TopKConfig) -> None:
        """Build body and head."""
        super().__init__(config)
        self.model = TopKModel(config)
        self.post_init()


AutoConfig.register("sparsepath_topk", TopKConfig, exist_ok=True)
AutoModel.register(TopKConfig, TopKModel, exist_ok=True)
AutoModelForCausalLM.register(TopKConfig, TopKForCausalLM, exist_ok=True)
TopKConfig.register_for_auto_class()
TopKModel.register_for_auto_class("AutoModel")
TopKForCausalLM.register_for_auto_class("AutoModelForCausalLM")
