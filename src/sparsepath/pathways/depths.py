"""What every combination of layers is worth, by forward passes.

A layer costs a CPU more than its heads and neurons one by one suggest, so whole layers are dropped
first, and by measurement. What counts is not how badly a model does the moment its layers are gone,
but what it can still tell apart: the classifier is fitted again by least squares to the answers of
the whole model on some rows, and judged on others. Combinations that share their first layers share
the work.

Shape letters: N rows, D width of the residual stream, C labels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sparsepath.errors import ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_layers
from sparsepath.models.surgery import extract
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.pathways.refit import Affine, refit
from sparsepath.pathways.replay import Replay, pooled, run_layer, watch
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import evaluating

Pattern = tuple[int, ...]
"""Kept layers, ascending."""

MAX_EXHAUSTIVE = 6
"""Models of so many layers have every combination measured; deeper ones a choice of them."""

MIN_NATS = 1e-3
"""Least loss that is told apart from none when two losses are compared by their ratio."""


class Expected(NamedTuple):
    """What a combination of partly present layers is expected to do."""

    nll_nats: float
    """Its loss."""
    worth: Float[np.ndarray, " layers"]
    """Nats that each layer, from absent to whole, takes off the loss here; never below zero."""


@dataclass(frozen=True, kw_only=True)
class DepthTable:
    """Measured quality of layer combinations."""

    nll_nats: dict[Pattern, float]
    """Mean negative log-likelihood after fitting the classifier again."""

    accuracy: dict[Pattern, float]
    """Share of right rows, on the same rows."""

    n: int
    """Rows that were judged."""

    n_layers: int
    """Layers of the parent."""

    attention_share: float
    """Part of a layer's worth that its attention holds, 0 to 1; the rest is the MLP's."""

    def expected(self, kept: Pattern, present: Float[np.ndarray, " layers"]) -> Expected:
        """Estimate the loss of a model whose kept layers are only partly there.

        When every combination was measured, this is their multilinear interpolation: the mean over
        models in which layer `i` is there with probability `present[i]`. It is exact for whole
        layers, and narrowing many layers at once costs more than the sum of narrowing each.
        Otherwise each layer's own worth in `kept` is lost in proportion.

        Args:
            kept: a measured combination.
            present: how much of each layer is there, 0 to 1; 0 outside `kept`.
        """
        if len(self.nll_nats) == 2**self.n_layers:
            return self._interpolated(present)
        worth_L = np.zeros(self.n_layers)
        for layer in kept:
            worth_L[layer] = self._worth(kept, layer)
        lost = float((worth_L[list(kept)] * (1 - present[list(kept)])).sum())
        return Expected(self.nll_nats[kept] + lost, worth_L)

    def _interpolated(self, present: Float[np.ndarray, " layers"]) -> Expected:
        """Interpolate between all combinations; patterns P are rows."""
        is_in_PL, loss_P = self._corners
        factor_PL = np.where(is_in_PL, present, 1.0 - present)
        loss = float(factor_PL.prod(axis=1) @ loss_P)
        worth_L = np.empty(self.n_layers)
        for layer in range(self.n_layers):
            others_P = np.delete(factor_PL, layer, axis=1).prod(axis=1)
            sign_P = np.where(is_in_PL[:, layer], -1.0, 1.0)
            worth_L[layer] = others_P @ (sign_P * loss_P)
        return Expected(loss, worth_L.clip(min=0.0))

    @cached_property
    def _corners(
        self,
    ) -> tuple[Bool[np.ndarray, "patterns layers"], Float[np.ndarray, " patterns"]]:
        """Return the table as arrays."""
        layers = np.arange(self.n_layers)
        is_in_PL = np.array([np.isin(layers, pattern) for pattern in self.nll_nats])
        return is_in_PL, np.array(list(self.nll_nats.values()))

    def _worth(self, kept: Pattern, layer: int) -> float:
        """Return what `layer` is worth among `kept`, in nats; an even share where not measured."""
        without = tuple(i for i in kept if i != layer)
        if without in self.nll_nats:
            return max(self.nll_nats[without] - self.nll_nats[kept], 0.0)
        return max(self.nll_nats[()] - self.nll_nats[kept], 0.0) / len(kept)


def measure_depths(
    model: PathwayClassifier,
    fit: Sequence[Batch],
    judge: Sequence[Batch],
    *,
    means: UnitMeans | None = None,
) -> DepthTable:
    """Measure sensible combinations of layers, and how attention and MLPs share their worth.

    Up to `MAX_EXHAUSTIVE` layers: all combinations. Beyond: every single layer left out; the first
    n; those left when layers leave in the order of what they cost alone; evenly spaced ones.

    Args:
        model: the parent, in evaluation mode during the call.
        fit: rows on which classifiers are fitted; labels are not used.
        judge: labelled rows on which they are judged.
        means: what removed units contribute.

    Raises:
        ShapeError: if a set of rows is empty, or `judge` has no labels.
    """
    n_layers = len(encoder_layers(model.encoder))
    whole = tuple(range(n_layers))
    if n_layers <= MAX_EXHAUSTIVE:
        every = [p for k in range(n_layers + 1) for p in combinations(whole, k)]
        table = _measure(model, every, fit, judge)
    else:
        table = _measure_some(model, fit, judge)
    if n_layers == 0:
        return table
    full = UnitMask.full(model)
    no_heads = UnitMask(torch.zeros_like(full.heads), full.neurons)
    no_neurons = UnitMask(full.heads, torch.zeros_like(full.neurons))
    losses = measure_masks(model, [no_heads, no_neurons], fit, judge, means=means)
    lost = [max(loss - table.nll_nats[whole], MIN_NATS) for loss in losses]
    return replace(table, attention_share=lost[0] / (lost[0] + lost[1]))


def _measure_some(
    model: PathwayClassifier, fit: Sequence[Batch], judge: Sequence[Batch]
) -> DepthTable:
    """Measure a choice of combinations of a deep model."""
    n_layers = len(encoder_layers(model.encoder))
    whole = tuple(range(n_layers))
    single = [tuple(i for i in whole if i != gone) for gone in whole]
    first = [whole[:k] for k in range(n_layers)]
    spaced = [_spaced(n_layers, k) for k in range(2, n_layers)]
    start = _measure(model, list(dict.fromkeys([whole, *single, *first, *spaced])), fit, judge)
    cheap_first = sorted(whole, key=lambda gone: start.nll_nats[single[gone]])
    greedy = [tuple(sorted(cheap_first[k:])) for k in range(2, n_layers)]
    new = [p for p in greedy if p not in start.nll_nats]
    rest = _measure(model, new, fit, judge) if new else start
    return replace(
        start,
        nll_nats=start.nll_nats | rest.nll_nats,
        accuracy=start.accuracy | rest.accuracy,
    )


def measure_masks(
    model: PathwayClassifier,
    masks: Iterable[UnitMask],
    fit: Sequence[Batch],
    judge: Sequence[Batch],
    *,
    means: UnitMeans | None,
) -> list[float]:
    """Measure sub-models as `measure_depths` does: loss in nats after fitting the classifier again.

    Without repair, so for comparing sub-models roughly; `repair.repaired_losses` is the slow truth.

    Args:
        model: the parent.
        masks: units to keep, one sub-model each.
        fit: rows on which classifiers are fitted.
        judge: labelled rows on which they are judged.
        means: what removed units contribute.
    """
    answers = _answers(model, fit)
    labels = _labels(judge)
    losses = []
    for mask in masks:
        small = extract(model, mask, means=means)
        features = _features(small, [*fit, *judge])
        losses.append(_judge(model, features, answers, labels)[0])
    return losses


def _spaced(n_layers: int, n_kept: int) -> Pattern:
    """Choose evenly spaced layers, the first and the last among them."""
    return tuple(sorted({round(i * (n_layers - 1) / (n_kept - 1)) for i in range(n_kept)}))


@torch.no_grad()
def _measure(
    model: PathwayClassifier,
    patterns: Sequence[Pattern],
    fit: Sequence[Batch],
    judge: Sequence[Batch],
) -> DepthTable:
    """Run all combinations batch by batch, then fit and judge their classifiers."""
    labels = _labels(judge)
    parts: dict[Pattern, list[Tensor]] = {pattern: [] for pattern in patterns}
    answers = []
    with evaluating(model):
        for i, batch in enumerate([*fit, *judge]):
            replay = watch(model, batch)
            if i < len(fit):
                answers.append(replay.logits)
            _walk(model, replay, parts, replay.embedded, ())
    nll, accuracy = {}, {}
    for pattern, features in parts.items():
        nll[pattern], accuracy[pattern] = _judge(
            model, torch.cat(features), torch.cat(answers), labels
        )
    return DepthTable(
        nll_nats=nll,
        accuracy=accuracy,
        n=len(labels),
        n_layers=len(encoder_layers(model.encoder)),
        attention_share=0.5,
    )


def _walk(
    model: PathwayClassifier,
    replay: Replay,
    parts: dict[Pattern, list[Tensor]],
    hidden: Tensor,
    done: Pattern,
) -> None:
    """Visit all combinations that start with `done`, whose output is `hidden`."""
    if done in parts:
        parts[done].append(pooled(model, replay, hidden))
    depth = len(done)
    following = {p[depth] for p in parts if len(p) > depth and p[:depth] == done}
    layers = encoder_layers(model.encoder)
    for layer in sorted(following):
        onward_BTD = run_layer(layers[layer], replay.calls[layer], hidden)
        _walk(model, replay, parts, onward_BTD, (*done, layer))


def _judge(
    model: PathwayClassifier,
    features: Float[Tensor, "rows width"],
    answers: Float[Tensor, "fitted labels"],
    labels: Int[Tensor, " judged"],
) -> tuple[float, float]:
    """Fit a classifier to the parent's answers; return its loss in nats and its accuracy."""
    n_fit = len(answers)
    present = Affine(model.classifier.weight.detach(), model.classifier.bias.detach())
    head = refit(present, features[:n_fit], answers).affine
    logits_NC = nn.functional.linear(features[n_fit:], head.weight, head.bias)
    right_N = logits_NC.argmax(dim=-1) == labels
    return float(nn.functional.cross_entropy(logits_NC, labels)), float(right_N.float().mean())


@torch.no_grad()
def _answers(model: PathwayClassifier, batches: Sequence[Batch]) -> Float[Tensor, "rows labels"]:
    """Return the parent's logits."""
    with evaluating(model):
        return torch.cat([model(b.input_ids, b.attention_mask).logits for b in batches])


@torch.no_grad()
def _features(model: PathwayClassifier, batches: Sequence[Batch]) -> Float[Tensor, "rows width"]:
    """Return one vector per text."""
    with evaluating(model):
        return torch.cat([model.pool(b.input_ids, b.attention_mask) for b in batches])


def _labels(batches: Sequence[Batch]) -> Int[Tensor, " rows"]:
    """Collect labels.

    Raises:
        ShapeError: if there are no rows or no labels.
    """
    labels = [b.labels for b in batches if b.labels is not None]
    if not labels or len(labels) != len(batches):
        raise ShapeError(
            f"{len(batches)} batches of rows to judge on, {len(labels)} of them with labels",
            hint="pass at least one labelled row",
        )
    return torch.cat(labels)
