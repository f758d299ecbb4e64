"""Subsampled self-attention in any model of transformers, switched on by a context manager.

Importing this file registers the attention function `sparsepath_ssa` with transformers. A model
that uses it is dense; inside `subsample` each self-attention draws sources anew, per layer and per
forward pass, and leaves the others out. Layers with a sliding window and steps of generation stay
dense: the one sees few sources already, the other has one target.

Attention dropout does not apply where sources are subsampled: leaving sources out is a dropout.

Shape letters: B examples, H query heads, K key and value heads, N targets, M sources, D width.

Read with: `sampling.py` (who draws), `kernels/subsampled.py` (who computes).

Source: Hussain et al. 2023, arXiv 2306.01705, section on stochastically subsampled self-attention.
"""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

from sparsepath.errors import ConfigError
from sparsepath.kernels.subsampled import attend_in_windows, attend_to_sources, attend_to_strata
from sparsepath.nn.sampling import (
    Mode,
    check_keep,
    draw_order,
    draw_sources,
    draw_strata,
    n_to_keep,
    stratum_of,
)

NAME = "sparsepath_ssa"
"""What transformers calls this attention."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subsampling:
    """Which share of the sources is kept, and how it is drawn."""

    keep: float | tuple[float, ...] = 0.25
    """Share of the sources, above 0 and up to 1; one for all layers, or one for each."""

    mode: Mode = "uniform"
    """How sources are drawn."""

    spread: float | None = None
    """For `local`: how far sources move, in positions. None: half a window."""

    per_example: bool = False
    """Whether each example has a set of its own; else the batch shares one."""

    per_head: bool = False
    """Whether each key head has a set of its own; else all heads share one."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: if one is out of range or has no effect.
        """
        for share in self.keep if isinstance(self.keep, tuple) else (self.keep,):
            check_keep(share)
        if self.spread is not None and self.mode != "local":
            raise ConfigError(
                f"spread = {self.spread} with mode = {self.mode!r} has no effect",
                hint="leave spread out, or use mode='local'",
            )

    def keep_of(self, layer: int) -> float:
        """Give the share of a layer.

        Raises:
            ConfigError: if there are fewer shares than layers.
        """
        if not isinstance(self.keep, tuple):
            return self.keep
        if layer >= len(self.keep):
            raise ConfigError(
                f"keep has {len(self.keep)} shares, the model has more layers",
                hint="give one share for each layer, or one number for all",
            )
        return self.keep[layer]


@dataclass(eq=False)
class Subsampler:
    """What the attention modules of one model share while sources are subsampled."""

    settings: Subsampling
    """How sources are drawn."""
    generator: torch.Generator
    """Draws a seed at each forward pass."""
    in_eval: bool
    """Whether evaluation mode is subsampled too."""
    seed: int = 0
    """Drawn at each forward pass of the model."""
    numbers: dict[int, int] = field(default_factory=dict)
    """Number of each attention module, by its identity, in the order of their calls."""

    def set_keep(self, keep: float) -> None:
        """Keep another share of the sources from the next pass on, the same in all layers.

        Raises:
            ConfigError: if it is not above 0 and up to 1.
        """
        self.settings = replace(self.settings, keep=keep)

    def start_pass(self, *_: Any) -> None:
        """Draw what this forward pass draws from.

        Layers derive their generators from it, so that a layer that activation checkpointing runs
        a second time draws the same sources again.
        """
        high = torch.iinfo(torch.int64).max
        self.seed = int(torch.randint(high, (), generator=self.generator))

    def is_sparse(self, module: nn.Module) -> bool:
        """Say whether a module leaves sources out."""
        is_on = module.training or self.in_eval
        return is_on and self.settings.keep_of(self.layer_of(module)) < 1

    def layer_of(self, module: nn.Module) -> int:
        """Number a module."""
        return self.numbers.setdefault(id(module), len(self.numbers))

    def generator_of(self, layer: int) -> torch.Generator:
        """Make the generator of a layer in this pass."""
        mixed = (self.seed ^ (layer + 1) * 0x9E3779B97F4A7C15) & torch.iinfo(torch.int64).max
        return torch.Generator().manual_seed(mixed)


_STATES: "weakref.WeakKeyDictionary[nn.Module, Subsampler]" = weakref.WeakKeyDictionary()
"""The state of every module of the models that are inside `subsample`."""


@contextmanager
def subsample(  # noqa: PLR0913 - the settings, and who draws
    model: PreTrainedModel,
    *,
    keep: float | Sequence[float] = 0.25,
    mode: Mode = "uniform",
    spread: float | None = None,
    per_example: bool = False,
    per_head: bool = False,
    in_eval: bool = False,
    generator: torch.Generator | None = None,
) -> Iterator[Subsampler]:
    """Let a model's self-attention see a random part of its sources inside the block.

    After the block the model is as it was; what is saved inside it is dense.

    Args:
        model: any model of transformers whose attention can be chosen; weights stay untouched.
        keep: share of the sources that stay, above 0 and up to 1; one for all layers or one each.
        mode: "uniform", "local" or "stratified".
        spread: for "local", how far sources move, in positions; half a window if None.
        per_example: draw a set for each example instead of one for the batch.
        per_head: draw a set for each key head instead of one for all.
        in_eval: subsample in evaluation mode too; otherwise the model is dense there.
        generator: draws a seed at each forward pass, on the CPU; a new one of seed 0 if None.

    Yields:
        What is shared by its layers, to change the share later.

    Raises:
        ConfigError: if a setting is out of range, the model is inside `subsample` already, or its
            attention cannot be chosen.
    """
    settings = Subsampling(
        keep=keep if isinstance(keep, float | int) else tuple(keep),
        mode=mode,
        spread=spread,
        per_example=per_example,
        per_head=per_head,
    )
    if model in _STATES:
        raise ConfigError(
            f"this {type(model).__name__} is subsampled already",
            hint="leave the block of the first `subsample` before opening another",
        )
    state = Subsampler(settings, generator or torch.Generator().manual_seed(0), in_eval)
    with _switched(model, state):
        yield state
    n_seen = len(state.numbers)
    n_given = len(settings.keep) if isinstance(settings.keep, tuple) else 0
    if n_given and n_seen and n_given != n_seen:
        raise ConfigError(
            f"keep has {n_given} shares, but {n_seen} layers attended",
            hint="give one share for each layer, or one number for all",
        )


@contextmanager
def _switched(model: PreTrainedModel, state: Subsampler) -> Iterator[None]:
    """Let a model attend as a state says inside the block."""
    before = model.config._attn_implementation
    handle = model.register_forward_pre_hook(state.start_pass)
    try:
        model.set_attn_implementation(NAME)
        if model.config._attn_implementation != NAME:
            raise ConfigError(
                f"the attention of {type(model).__name__} cannot be chosen",
                hint="use a model that calls transformers' AttentionInterface",
            )
        _STATES.update(dict.fromkeys(model.modules(), state))
        yield
    finally:
        handle.remove()
        for module in model.modules():
            _STATES.pop(module, None)
        model.set_attn_implementation(before)


def drawn_sources(
    module: nn.Module, n_kv_heads: int, is_real: Bool[Tensor, "batch n"]
) -> Int[Tensor, "sets set_heads kept"] | None:
    """Draw the sources of a module that computes its attention itself; None where it is dense.

    For attention with terms that no kernel here knows, such as edges of a graph. Drawn uniformly.

    Args:
        module: who attends.
        n_kv_heads: its key heads.
        is_real: False for padding.

    Raises:
        ConfigError: if sources shall be drawn by their order, which such a module has none of.
    """
    state = _STATES.get(module)
    if state is None or not state.is_sparse(module):
        return None
    if state.settings.mode != "uniform":
        raise ConfigError(
            f"mode = {state.settings.mode!r} needs positions in an order",
            hint="use mode='uniform' for graphs",
        )
    layer = state.layer_of(module)
    sets = (
        len(is_real) if state.settings.per_example else 1,
        n_kv_heads if state.settings.per_head else 1,
    )
    positions = draw_sources(
        is_real.shape[1],
        state.settings.keep_of(layer),
        generator=state.generator_of(layer),
        sets=sets,
        is_real=is_real,
    )
    return positions.to(is_real.device)


def attention(  # noqa: PLR0913 - transformers' calling convention
    module: nn.Module,
    query: Float[Tensor, "batch heads targets width"],
    key: Float[Tensor, "batch kv_heads sources width"],
    value: Float[Tensor, "batch kv_heads sources width"],
    attention_mask: Bool[Tensor, "..."] | None,
    *,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **settings: Any,
) -> tuple[Float[Tensor, "batch targets heads width"], None]:
    """Attend as transformers asks for it; called by its models, not by users.

    Args:
        module: who attends.
        query: of the targets.
        key: of the sources.
        value: of the sources.
        attention_mask: [B, M], False for padding; [B, 1, N, M] where a window slides; or None.
        scaling: factor of the dot products.
        is_causal: whether later sources are hidden; if None, as the module says.
        settings: what transformers passes to other kinds of attention.

    Returns:
        The output, targets before heads, and no attention weights.
    """
    is_causal = bool(module.is_causal) if is_causal is None else is_causal
    state = _STATES.get(module)
    is_whole = query.shape[2] == key.shape[2] and query.shape[2] > 1
    is_open = attention_mask is None or attention_mask.dim() == 2
    is_sparse = state is not None and is_whole and is_open and state.is_sparse(module)
    if state is None or not is_sparse:
        dropout = float(settings.get("dropout", 0.0)) if module.training else 0.0
        output = _dense(query, key, value, attention_mask, (is_causal, scaling, dropout))
    else:
        is_real = None if attention_mask is None else attention_mask.bool()
        output = _subsampled(state, module, (query, key, value), is_real, is_causal, scaling)
    return output.transpose(1, 2).contiguous(), None


def _subsampled(
    state: Subsampler,
    module: nn.Module,
    projections: tuple[Tensor, Tensor, Tensor],
    is_real: Tensor | None,
    is_causal: bool,
    scale: float | None,
) -> Tensor:
    """Draw the sources of a layer and attend to them."""
    settings, layer = state.settings, state.layer_of(module)
    query, key, value = projections
    n, keep = query.shape[2], settings.keep_of(layer)
    generator = state.generator_of(layer)
    sets = (
        query.shape[0] if settings.per_example else 1,
        key.shape[1] if settings.per_head else 1,
    )
    if settings.mode == "uniform":
        positions = draw_sources(n, keep, generator=generator, sets=sets, is_real=is_real)
        return attend_to_sources(
            query, key, value, positions.to(key.device), is_causal=is_causal, scale=scale
        )
    if settings.mode == "local":
        window = n_to_keep(n, keep)
        spread = window / 2 if settings.spread is None else settings.spread
        order = draw_order(n, spread, generator=generator, sets=sets, is_real=is_real)
        return attend_in_windows(
            query,
            key,
            value,
            order.to(key.device),
            window=window,
            is_causal=is_causal,
            scale=scale,
        )
    stratum = stratum_of(keep)
    positions = draw_strata(n, stratum, generator=generator, sets=sets).to(key.device)
    if is_causal and is_real is None:
        return attend_to_strata(query, key, value, positions, stratum=stratum, scale=scale)
    if is_real is not None:
        positions = _real_ones(positions, is_real)
    return attend_to_sources(query, key, value, positions, is_causal=is_causal, scale=scale)


def _real_ones(positions: Tensor, is_real: Tensor) -> Tensor:
    """Turn positions of padding into `n`, which stands for none, and put them last."""
    n_examples, n = is_real.shape
    positions = positions.expand(n_examples, -1, -1)
    is_drawn = is_real.unsqueeze(1).expand(-1, positions.shape[1], -1).gather(-1, positions)
    return positions.masked_fill(~is_drawn, n).sort(dim=-1).values


def _dense(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    settings: tuple[bool, float | None, float],
) -> Tensor:
    """Attend to all sources."""
    is_causal, scale, dropout = settings
    n_targets, n_sources = query.shape[2], key.shape[2]
    if mask is not None and mask.dim() == 2:
        mask = mask.bool()[:, None, None, :]
    if is_causal and n_targets > 1 and (mask is None or mask.shape[-2] == 1):
        if mask is None and n_targets == n_sources:
            return scaled_dot_product_attention(
                query,
                key,
                value,
                dropout_p=dropout,
                is_causal=True,
                scale=scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        ones = torch.ones(n_targets, n_sources, dtype=torch.bool, device=query.device)
        is_past = ones.tril(n_sources - n_targets)
        mask = is_past if mask is None else mask & is_past
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=dropout,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _mask(*, local_size: int | None = None, **settings: Any) -> Tensor | None:
    """Give the padding of a batch, or the whole mask of a layer whose window slides."""
    if local_size is not None:
        return sdpa_mask(local_size=local_size, **settings)
    padding: Tensor | None = settings.get("attention_mask")
    if padding is None:
        return None
    padding = padding[:, -settings["kv_length"] :].bool()
    return None if padding.all() else padding


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, _mask)
