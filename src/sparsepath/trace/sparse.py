"""Read and scale what the sparse sites of a running classifier keep, without changing its weights.

A neuron here is an entry of a sparse site. It is active in a text where at least one of the tokens
keeps it. At gate `g` the value `x` that a token keeps becomes `g * x + (1 - g) * mean`, as in
`gates.py`; an entry that a token drops has `x` = 0.

Shape letters: B examples, T tokens, W entries of a site.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.topk_classifier import sparse_sites
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import evaluating

Values = list[Tensor]
"""What each sparse site keeps, first layer first, [B, T, W] each; padding tokens included."""


@contextmanager
def record_sparse(model: PathwayClassifier) -> Iterator[Values]:
    """Record what sparse sites keep in each forward pass inside the block; the last one stays."""
    sites = sparse_sites(model)
    values: Values = [torch.empty(0) for _ in sites]
    handles = [
        site.topk.register_forward_hook(_keep(values, number)) for number, site in enumerate(sites)
    ]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def gated_sparse(
    model: PathwayClassifier,
    gates: Sequence[Tensor],
    means: Sequence[Tensor],
) -> Iterator[None]:
    """Run the model inside the block with every kept neuron scaled by its gate.

    Gradients flow to the gates. A gate of exactly 1 changes nothing, to the last bit.

    Args:
        model: with sparse sites; its weights stay untouched.
        gates: per site [W], or [B, W] for one set per example; W differs from site to site.
        means: per site [W], what a neuron becomes at gate 0.

    Raises:
        ShapeError: if gates and means are not of the model's sites.
    """
    sites = sparse_sites(model)
    widths = [site.topk.width for site in sites]
    if [x.shape[-1] for x in gates] != widths or [len(x) for x in means] != widths:
        raise ShapeError(
            f"gates of {[x.shape[-1] for x in gates]} and means of {[len(x) for x in means]} "
            "entries",
            hint=f"the sparse sites of this model have {widths}",
        )
    handles = [
        site.topk.register_forward_hook(_scale(gate, mean))
        for site, gate, mean in zip(sites, gates, means, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def sparse_means(model: PathwayClassifier, batches: Iterable[Batch]) -> list[Tensor]:
    """Average what every sparse site keeps, [W] each, over the real tokens of `batches`.

    Args:
        model: put into evaluation mode for the time of the call.
        batches: at least one batch.

    Raises:
        ShapeError: if there is no real token.
    """
    sums = [torch.zeros(s.topk.width, dtype=torch.float64) for s in sparse_sites(model)]
    n_tokens = 0
    with evaluating(model), record_sparse(model) as values:
        for batch in batches:
            model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
            real_BT = batch.attention_mask.bool()
            n_tokens += int(real_BT.sum())
            for total, kept_BTW in zip(sums, values, strict=True):
                total += kept_BTW[real_BT].sum(dim=0, dtype=torch.float64)
    if n_tokens == 0:
        raise ShapeError("no real token to average over", hint="pass at least one non-empty batch")
    return [(total / n_tokens).float() for total in sums]


def _keep(values: Values, number: int) -> Callable[[nn.Module, Any, Tensor], None]:
    """Return a hook that keeps a module's output."""

    def keep(_module: nn.Module, _args: Any, output: Tensor) -> None:
        values[number] = output

    return keep


def _scale(gate: Tensor, mean: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    """Return a hook that scales the last axis of a module's output."""
    per_example = gate.unsqueeze(1) if gate.dim() == 2 else gate
    offset = (1 - per_example) * mean

    def scale(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        return output * per_example + offset

    return scale
