"""Least squares around weights that already exist: a better linear layer without gradients.

The ridge penalty pulls towards the present weights, not towards zero, so that little data changes
little. How strongly it pulls is decided on rows held out of the fit, "no change" included.

Shape letters: N rows, F features, O outputs.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Ridge penalties that are tried, as shares of the mean squared feature."""

HELD_OUT_EVERY = 5
"""Every so manieth row decides between penalties and is not fitted."""


class Affine(NamedTuple):
    """A linear layer, as numbers."""

    weight: Float[Tensor, "outputs features"]
    """As in `torch.nn.Linear`."""
    bias: Float[Tensor, " outputs"]
    """What is added."""


class Refit(NamedTuple):
    """A linear layer fitted to targets."""

    affine: Affine
    """The new weights; the present ones where no fit was better."""
    error_before: float
    """Mean squared error on the held-out rows with the present weights."""
    error_after: float
    """The same with the new weights; never above `error_before`."""
    penalty: float | None
    """The chosen penalty. None: the present weights stay."""


@torch.no_grad()
def refit(
    present: Affine,
    features: Float[Tensor, "rows features"],
    targets: Float[Tensor, "rows outputs"],
) -> Refit:
    """Fit a linear layer to targets by ridge regression around its present weights.

    The work is done in float64. With no features only the bias is fitted.

    Args:
        present: the weights to start from and to pull towards.
        features: inputs; fewer than five rows leave everything as it is.
        targets: wanted outputs.
    """
    held_N = torch.arange(len(features)) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    x_NF = torch.cat([features, features.new_ones(len(features), 1)], dim=1)
    weight_OF = torch.cat([present.weight, present.bias.unsqueeze(1)], dim=1)
    missing_NO = targets - x_NF @ weight_OF.T
    before = float(missing_NO[held_N].double().pow(2).mean()) if bool(held_N.any()) else 0.0
    best = Refit(present, before, before, None)
    if before == 0.0:
        return best
    fit_NF = x_NF[~held_N]
    gram_FF = (fit_NF.T @ fit_NF).double()
    cross_FO = (fit_NF.T @ missing_NO[~held_N]).double()
    scale = float(gram_FF.diagonal().mean())
    for penalty in PENALTIES:
        ridged_FF = gram_FF + penalty * scale * torch.eye(len(gram_FF), dtype=torch.float64)
        change_FO = torch.cholesky_solve(cross_FO, torch.linalg.cholesky(ridged_FF)).float()
        error = float((missing_NO[held_N] - x_NF[held_N] @ change_FO).double().pow(2).mean())
        if error < best.error_after:
            new_OF = weight_OF + change_FO.T
            best = Refit(Affine(new_OF[:, :-1], new_OF[:, -1]), before, error, penalty)
    return best
