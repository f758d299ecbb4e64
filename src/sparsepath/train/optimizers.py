"""The optimisers of a training: AdamW, or Muon for the matrices of the layers and AdamW beside it.

Muon is PyTorch's own (`torch.optim.Muon`). A rate schedule multiplies the rate that each group
began with.
"""

from collections.abc import Sequence

import torch
from torch import nn

from sparsepath.train.recipe import TrainPart

PEAK = "peak_rate"
"""Key of a parameter group that holds the rate it began with."""

BETAS = (0.9, 0.95)
"""Decay of AdamW's moments, as is common for language models."""


def make_optimizers(model: nn.Module, settings: TrainPart) -> list[torch.optim.Optimizer]:
    """Make the optimisers of a model.

    Args:
        model: whose parameters are moved, each by one optimiser.
        settings: rates and decay.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    by_muon: list[nn.Parameter] = []
    if settings.optimizer == "muon":
        by_muon = [p for name, p in named if p.ndim == 2 and id(p) not in tables]
    ids = {id(p) for p in by_muon}
    rest = [p for _, p in named if id(p) not in ids]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    used = [group for group in groups if group["params"]]
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(used, lr=settings.rate, betas=BETAS, foreach=False)
    ]
    if by_muon:
        decay = settings.weight_decay
        found.append(torch.optim.Muon(by_muon, lr=settings.muon_rate, weight_decay=decay))
    for optimizer in found:
        for group in optimizer.param_groups:
            group[PEAK] = group["lr"]
    return found


def set_rates(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> float:
    """Set every rate to a share of its highest; return the rate of the first group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group[PEAK] * factor
    return float(optimizers[0].param_groups[0]["lr"])
