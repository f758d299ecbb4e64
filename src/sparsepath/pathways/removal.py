"""How quality falls as units leave: the important first, the unimportant first, or at random.

Units that leave are held at their mean by gates; nothing is repaired or trained, so a curve speaks
about the scores and about the model as it is. At fraction `f` the same share of all heads and of
all neurons has left, since one head is worth many neurons and a common order would hide one kind.

Shape letters: L layers, U units of the widest layer, B examples, C labels.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sparsepath.errors import ConfigError, ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMask, UnitMeans, UnitScores
from sparsepath.pathways.scores import score_units
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import evaluating, gated

Order = Literal["important-first", "least-first", "random"]
"""Which units leave first."""

FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the units that have left."""

Z_95 = 1.959963984540054
"""Half width of a 95 % normal interval, in standard errors."""


class RemovalPoint(NamedTuple):
    """Quality after a share of the units has left."""

    fraction: float
    """Share of the heads, and of the neurons, that has left; 0 to 1."""
    accuracy: float
    """Share of right rows."""
    accuracy_ci95: tuple[float, float]
    """Wilson interval of `accuracy` over rows."""
    nll_nats: float
    """Mean negative log-likelihood of the right label."""
    n: int
    """Rows."""


class RemovalCurve(NamedTuple):
    """One order of leaving."""

    order: Order
    """Which units leave first."""
    method: str
    """Whose scores decide; `draw 1` and so on for random orders."""
    points: list[RemovalPoint]
    """By ascending fraction."""


class Quality(NamedTuple):
    """How well a model answers labelled rows."""

    n_right: int
    """Rows answered rightly."""
    nll_nats: float
    """Mean negative log-likelihood of the right label."""
    n: int
    """Rows."""


def removal_curves(  # noqa: PLR0913 - every one is a choice of the caller
    model: PathwayClassifier,
    batches: Sequence[Batch],
    scores: Mapping[str, UnitScores],
    *,
    means: UnitMeans | None,
    generator: torch.Generator,
    fractions: Sequence[float] = FRACTIONS,
    n_random: int = 3,
) -> list[RemovalCurve]:
    """Measure quality while units leave, in both orders for every method, and at random.

    Args:
        model: the classifier, in evaluation mode during the call.
        batches: labelled rows, not those that the scores come from.
        scores: by the name of the method.
        means: what a unit that left is replaced by. None: zero.
        generator: draws the random orders.
        fractions: shares that have left, ascending, within 0 to 1.
        n_random: random orders.

    Returns:
        For every method `important-first` then `least-first`; then the random draws. Cost: one
        forward pass over `batches` per curve and fraction, less where two have the same units.

    Raises:
        ConfigError: if a fraction is outside 0 to 1.
        ShapeError: if rows have no labels.
    """
    if not all(0.0 <= f <= 1.0 for f in fractions):
        raise ConfigError(f"fractions {list(fractions)}", hint="use shares between 0 and 1")
    plans: list[tuple[Order, str, UnitScores]] = []
    for name, given in scores.items():
        plans += [("important-first", name, given), ("least-first", name, _negated(given))]
    for draw in range(n_random):
        drawn = score_units(model, [], "random", generator=generator)
        plans.append(("random", f"draw {draw + 1}", drawn))
    known: dict[bytes, Quality] = {}
    curves = []
    for order, name, ranking in plans:
        points = []
        for fraction in fractions:
            keep = remaining(model, ranking, fraction)
            key = keep.heads.numpy().tobytes() + keep.neurons.numpy().tobytes()
            if key not in known:
                known[key] = measure_masked(model, batches, keep, means=means)
            points.append(_point(fraction, known[key]))
        curves.append(RemovalCurve(order, name, points))
    return curves


def remaining(model: PathwayClassifier, ranking: UnitScores, fraction: float) -> UnitMask:
    """Return what is left after the highest scored units have gone.

    Args:
        model: whose units they are.
        ranking: units with higher scores go first; of equal ones the lower number.
        fraction: share of the heads, and of the neurons, to remove; rounded to whole units.
    """
    full = UnitMask.full(model)
    return UnitMask(
        heads=_without_top(full.heads, ranking.heads, fraction),
        neurons=_without_top(full.neurons, ranking.neurons, fraction),
    )


@torch.no_grad()
def measure_masked(
    model: PathwayClassifier,
    batches: Sequence[Batch],
    keep: UnitMask | None = None,
    *,
    means: UnitMeans | None = None,
) -> Quality:
    """Measure a model on labelled rows with only some units at work (all when `keep` is None).

    Raises:
        ShapeError: if there are no rows or no labels.
    """
    n_right, total_nats, n_rows = 0, 0.0, 0
    heads = None if keep is None else keep.heads.float()
    neurons = None if keep is None else keep.neurons.float()
    with evaluating(model), gated(model, heads=heads, neurons=neurons, means=means):
        for batch in batches:
            if batch.labels is None:
                raise ShapeError("rows without labels", hint="pass labels with the batches")
            logits_BC = model(batch.input_ids, batch.attention_mask).logits
            total_nats += float(
                nn.functional.cross_entropy(logits_BC, batch.labels, reduction="sum")
            )
            n_right += int((logits_BC.argmax(dim=-1) == batch.labels).sum())
            n_rows += len(batch.labels)
    if n_rows == 0:
        raise ShapeError("no rows to measure on", hint="pass at least one non-empty batch")
    return Quality(n_right, total_nats / n_rows, n_rows)


def wilson_ci95(n_right: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share of `n` rows."""
    share, z2 = n_right / n, Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    # The interval holds the share itself, also after rounding.
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))


def _point(fraction: float, quality: Quality) -> RemovalPoint:
    """Put a measurement on a curve."""
    return RemovalPoint(
        fraction=fraction,
        accuracy=quality.n_right / quality.n,
        accuracy_ci95=wilson_ci95(quality.n_right, quality.n),
        nll_nats=quality.nll_nats,
        n=quality.n,
    )


def _without_top(
    present: Bool[Tensor, "layers units"],
    ranking: Float[Tensor, "layers units"],
    share: float,
) -> Bool[Tensor, "layers units"]:
    """Remove the highest of the present units."""
    n_gone = round(share * int(present.sum()))
    ranked = ranking.masked_fill(~present, -torch.inf).flatten()
    order = ranked.argsort(descending=True, stable=True)
    left = present.flatten().clone()
    left[order[:n_gone]] = False
    return left.view(present.shape)


def _negated(scores: UnitScores) -> UnitScores:
    """Turn the order round."""
    return UnitScores(-scores.heads, -scores.neurons)
