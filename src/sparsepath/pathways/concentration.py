"""How few units carry each answer, and whether they are the same ones for every input.

A unit's importance for one input is the first-order effect of its gate on the log-probability of
the model's answer, by absolute value. Heads and neurons are counted together, each kind with a
total of 1 per input, since one head does the work of many neurons.

Shape letters: N inputs, U units.

Source: the claim that pathways are few and input-dependent is that of Hussain et al. 2023,
arXiv 2306.01705; the measures are Lorenz 1905 and Hill 1973 (effective number, exponential of the
entropy).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import evaluating, gated

TOP_SHARE = 0.10
"""Share of the units whose sets are compared between inputs."""

LORENZ_POINTS = 21
"""Points of the curve, both ends included."""


class Concentration(NamedTuple):
    """How importance is spread over units, and over inputs."""

    lorenz: list[float]
    """Share of the importance that the least important 0, 5, ... 100 % of the units of an input
    carry together; the mean over inputs."""
    effective_share: float
    """Effective number of units of an input as a share of all; the mean over inputs, 0 to 1."""
    top_share: float
    """Share of an input's importance that its most important tenth of the units carries."""
    overlap: float
    """Mean Jaccard overlap of that tenth between two inputs, 0 to 1; 1: the same for all."""
    overlap_same_label: float
    """The same between two inputs that the model gives the same label."""
    overlap_shuffled: float
    """The same when each input's importances are shuffled over the units: chance."""


@torch.enable_grad()
def input_importance(
    model: PathwayClassifier, batches: Sequence[Batch], *, means: UnitMeans | None
) -> Float[Tensor, "inputs units"]:
    """Score all units for each input.

    Args:
        model: in evaluation mode during the call; weights stay untouched.
        batches: inputs; their labels do not matter.
        means: what a unit becomes at gate 0. None: zero.

    Returns:
        Importances of heads and neurons that are present, half of each row's total for each kind.

    Raises:
        ShapeError: if there is no input or no unit.
    """
    full = UnitMask.full(model)
    if not batches or full.n_units == 0:
        raise ShapeError("no inputs or no units to score", hint="pass rows and a model with layers")
    found = []
    with evaluating(model):
        for batch in batches:
            n = len(batch.input_ids)
            heads_NLH = full.heads.float().expand(n, -1, -1).clone().requires_grad_()
            neurons_NLM = full.neurons.float().expand(n, -1, -1).clone().requires_grad_()
            with gated(model, heads=heads_NLH, neurons=neurons_NLM, means=means):
                logits_NC = model(batch.input_ids, batch.attention_mask).logits
            best_N = logits_NC.log_softmax(dim=-1).amax(dim=-1)
            grads = torch.autograd.grad(best_N.sum(), (heads_NLH, neurons_NLM))
            kinds = [
                grad[:, present].abs()
                for grad, present in zip(grads, (full.heads, full.neurons), strict=True)
                if present.any()
            ]
            parts = [kind / kind.sum(dim=-1, keepdim=True).clamp(min=1e-12) for kind in kinds]
            found.append(torch.cat(parts, dim=-1) / len(parts))
    return torch.cat(found)


def concentration(
    importance: Float[np.ndarray, "inputs units"],
    labels: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    n_pairs: int = 2000,
) -> Concentration:
    """Measure how importance is spread.

    Args:
        importance: of each unit for each input, none below 0; rows sum to 1.
        labels: what the model answers to each input.
        rng: draws pairs of inputs, and shuffles.
        n_pairs: pairs that are compared, at most.

    Raises:
        ShapeError: if there are fewer than two inputs.
    """
    n, n_units = importance.shape
    if n < 2:
        raise ShapeError(f"{n} inputs cannot be compared", hint="pass two rows or more")
    rising = np.sort(importance, axis=1)
    shares = np.concatenate([np.zeros((n, 1)), rising.cumsum(axis=1)], axis=1)
    places = np.linspace(0, n_units, LORENZ_POINTS).round().astype(int)
    positive = np.where(importance > 0, importance, 1.0)
    entropy = -(importance * np.log(positive)).sum(axis=1)
    n_top = max(1, round(TOP_SHARE * n_units))
    top = _tops(importance, n_top)
    shuffled = _tops(rng.permuted(importance, axis=1), n_top)
    pairs = _pairs(n, n_pairs, rng)
    overlaps = _overlaps(top, pairs)
    is_same = labels[pairs[:, 0]] == labels[pairs[:, 1]]
    return Concentration(
        lorenz=[float(value) for value in shares[:, places].mean(axis=0)],
        effective_share=float(np.exp(entropy).mean() / n_units),
        top_share=float(rising[:, -n_top:].sum(axis=1).mean()),
        overlap=float(overlaps.mean()),
        overlap_same_label=float(overlaps[is_same].mean()) if is_same.any() else float("nan"),
        overlap_shuffled=float(_overlaps(shuffled, pairs).mean()),
    )


def _tops(importance: NDArray[np.float64], n_top: int) -> NDArray[np.bool_]:
    """Mark the most important units of each input, none that has no importance at all."""
    marked = np.zeros(importance.shape, bool)
    np.put_along_axis(marked, np.argsort(-importance, axis=1, kind="stable")[:, :n_top], True, 1)
    return marked & (importance > 0)


def _pairs(n: int, n_pairs: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw pairs of different inputs."""
    first = rng.integers(n, size=n_pairs)
    second = (first + rng.integers(1, n, size=n_pairs)) % n
    return np.stack([first, second], axis=1)


def _overlaps(marked: NDArray[np.bool_], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the Jaccard overlap of each pair."""
    one, two = marked[pairs[:, 0]], marked[pairs[:, 1]]
    shared = (one & two).sum(axis=1)
    either = (one | two).sum(axis=1)
    overlaps: NDArray[np.float64] = shared / np.maximum(either, 1)
    return overlaps
