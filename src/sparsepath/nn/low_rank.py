"""Low-rank changes of the maps of a model: few weights to train, nothing left of them afterwards.

A map computes with W + B A; B starts at zero. The change is a parametrisation of the weight, so it
also acts on what a sparse site lets through, and merging it is exact.

Source: Hu et al. 2021, arXiv 2106.09685.
"""

import math
from collections.abc import Collection
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparsepath.errors import ConfigError


class LowRank(nn.Module):
    """Adds a product of two thin matrices to a weight."""

    def __init__(self, n_out: int, n_in: int, rank: int, generator: torch.Generator) -> None:
        """Make the two matrices.

        Args:
            n_out: rows of the weight.
            n_in: columns of it.
            rank: columns of B and rows of A, at least 1.
            generator: draws A.
        """
        super().__init__()
        bound = 1 / math.sqrt(n_in)
        a = (torch.rand(rank, n_in, generator=generator) * 2 - 1) * bound
        self.a = nn.Parameter(a)
        self.b = nn.Parameter(torch.zeros(n_out, rank))

    def forward(self, weight: Float[Tensor, "n_out n_in"]) -> Float[Tensor, "n_out n_in"]:
        """Change a weight."""
        return weight + self.b @ self.a


def add_low_rank(
    model: nn.Module, names: Collection[str], *, rank: int, generator: torch.Generator
) -> None:
    """Freeze a model and let some of its maps change by low rank.

    Args:
        model: changed in place.
        names: last parts of the names of the maps, such as `q_proj`.
        rank: at least 1, and below the sides of every map.
        generator: draws first weights.

    Raises:
        ConfigError: if a map is too small for `rank`, or none has such a name.
    """
    maps = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.rsplit(".", 1)[-1] in names
    }
    if not maps:
        raise ConfigError(f"no map is called {', '.join(sorted(names))}", hint="name linear maps")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for name, linear in maps.items():
        n_out, n_in = linear.weight.shape
        if not 1 <= rank < min(n_out, n_in):
            raise ConfigError(
                f"rank {rank} for {name}, {n_out} by {n_in}",
                hint=f"choose a rank from 1 to {min(n_out, n_in) - 1}",
            )
        change = LowRank(n_out, n_in, rank, generator)
        parametrize.register_parametrization(linear, "weight", change)


def merge_low_rank(model: nn.Module) -> None:
    """Put the changes into the weights; the model is an ordinary one again."""
    for module in model.modules():
        if isinstance(module, nn.Linear) and parametrize.is_parametrized(module, "weight"):
            merged = parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
            cast(nn.Linear, merged).weight.requires_grad_(True)
