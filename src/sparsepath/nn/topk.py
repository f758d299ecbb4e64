"""A layer that keeps the k largest entries of a hidden state and sets the others to zero.

Which entries, how many at which step, and how the gradient passes are settings. The layer has no
weights: a model with it has the checkpoint of one without.

Source: Takahashi et al. 2025, "TopK Language Models", arXiv 2506.21468 (by value, on the residual
stream); Gao et al. 2024, arXiv 2406.04093 (dead entries); Bengio et al. 2013, arXiv 1308.3432
(straight-through).

Read with: `kernels/largest.py` (who finds them).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparsepath.errors import ConfigError
from sparsepath.kernels.largest import largest, topk

By = Literal["value", "magnitude"]
"""What is largest: the number itself, or its absolute value."""


Annealing = Literal["none", "linear", "cosine"]
"""Ways for k to fall from all entries: not at all, along a line, along a cosine."""


class TopK(nn.Module):
    """Keeps the largest entries of the last axis."""

    fired: Tensor
    """How often each entry was kept since `forget`, [width]; counted in training mode."""
    n_rows: Tensor
    """Rows seen since then."""

    def __init__(
        self,
        width: int,
        k: int,
        *,
        by: By = "value",
        is_positive: bool = False,
        n_always_on: int = 0,
        is_straight_through: bool = False,
    ) -> None:
        """Choose how entries are kept.

        Args:
            width: entries of a row.
            k: entries that compete and are kept, 1 to `width - n_always_on`.
            by: by value as in the paper, or by magnitude, with the sign.
            is_positive: kept entries below zero become zero too.
            n_always_on: the first entries, which are kept beside the k.
            is_straight_through: the gradient passes to all entries, as if nothing had been dropped.

        Raises:
            ConfigError: if a number is out of range.
        """
        super().__init__()
        if not 0 <= n_always_on < width or not 1 <= k <= width - n_always_on:
            raise ConfigError(
                f"k = {k} with {n_always_on} always on, of {width} entries",
                hint=f"choose k from 1 to {max(1, width - n_always_on)}",
            )
        self.width, self.k, self.by = width, k, by
        self.is_positive, self.n_always_on = is_positive, n_always_on
        self.is_straight_through = is_straight_through
        self.k_now = k
        self.is_reviving = False
        self.revival: Tensor | None = None
        self.register_buffer("fired", torch.zeros(width), persistent=False)
        self.register_buffer("n_rows", torch.zeros(()), persistent=False)

    def extra_repr(self) -> str:
        """Say the settings."""
        return f"{self.k_now} of {self.width} by {self.by}"

    def revive(self, is_reviving: bool = True) -> None:
        """Measure, in training mode, how far entries that no row keeps are from being kept.

        `revival` then holds, after each pass, the mean over the rows and over those entries of what
        they lack, differentiable; zero where every entry fired. Adding it to the loss, with a small
        weight, brings dead entries back.
        """
        self.is_reviving = is_reviving

    def set_k(self, k: int) -> None:
        """Keep another number from the next pass on, for annealing.

        Args:
            k: at least 1; above what competes, everything is kept.

        Raises:
            ConfigError: if it is below 1.
        """
        if k < 1:
            raise ConfigError(f"k = {k}", hint="keep at least one entry")
        self.k_now = min(k, self.width - self.n_always_on)

    def forget(self) -> None:
        """Count from zero again."""
        self.fired.zero_()
        self.n_rows.zero_()

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Keep the largest entries of each row."""
        competing = x[..., self.n_always_on :]
        self.revival = None
        if self.k_now < competing.shape[-1]:
            kept = self._kept(competing)
            if self.training and self.is_reviving:
                self.revival = self._lacking(competing, kept)
            if self.is_straight_through:
                kept = competing + (kept - competing).detach()
        else:
            kept = competing
        if self.is_positive:
            kept = kept.relu()
        y = kept if not self.n_always_on else torch.cat([x[..., : self.n_always_on], kept], dim=-1)
        if self.training:
            self._count(y)
        return y

    def _kept(self, x: Tensor) -> Tensor:
        """Set the others to zero."""
        if self.by == "value":
            return topk(x, self.k_now)
        indices = largest(x.abs(), self.k_now).indices
        return torch.zeros_like(x).scatter(-1, indices, x.gather(-1, indices))

    def _lacking(self, x: Tensor, kept: Tensor) -> Tensor:
        """Give what entries that fired nowhere lack to the least that was kept, on average."""
        size = (x.abs() if self.by == "magnitude" else x).flatten(0, -2)
        is_kept = (kept != 0).flatten(0, -2)
        dead = ~is_kept.any(dim=0)
        if not bool(dead.any()):
            return x.new_zeros(())
        least = size.detach().masked_fill(~is_kept, torch.inf).amin(dim=-1, keepdim=True)
        # A row whose kept entries are all zero has no least one.
        least = least.masked_fill(least.isinf(), 0.0)
        return (least - size[:, dead]).relu().mean()

    @torch.no_grad()
    def _count(self, y: Tensor) -> None:
        """Count which entries fired."""
        rows = y.detach().reshape(-1, self.width)
        self.fired += (rows != 0).sum(dim=0)
        self.n_rows += len(rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class KSchedule:
    """How many entries are kept over the steps: from all of them down to k, then k."""

    shape: Annealing = "linear"
    """`none` keeps k from the first step on."""

    share: float = 0.3
    """Share of the steps over which k falls, 0 to 1."""

    def __post_init__(self) -> None:
        """Check the share.

        Raises:
            ConfigError: if it is not between 0 and 1.
        """
        if not 0 <= self.share <= 1:
            raise ConfigError(f"topk.share = {self.share}", hint="choose a share from 0 to 1")

    def at(self, step: int, n_steps: int, *, k: int, width: int) -> int:
        """Give the entries that a step keeps.

        Args:
            step: steps done before it.
            n_steps: steps of the whole training, at least 1.
            k: entries at the end.
            width: entries there are.
        """
        n_falling = self.share * n_steps
        if self.shape == "none" or step >= n_falling:
            return k
        done = step / n_falling
        left = 1 - done if self.shape == "linear" else (1 + math.cos(math.pi * done)) / 2
        return k + round((width - k) * left)
