"""How much every unit matters, by several methods; one pass over some rows.

`gradient` asks what the loss does: the first-order change when a unit is replaced by its mean, per
example, without its sign (Michel et al. 2019, arXiv 1905.10650, equation 1, there with zero in
place of the mean). `activation` needs no labels and no gradients: how far the unit's contribution
to the residual stream strays from its mean, so also how much is lost when the mean is folded into
a bias (cf. An et al. 2023, FLAP, arXiv 2312.11983). `random` is the control.

Shape letters: B examples, T tokens, L layers, H heads, W width of a head, M neurons, D width of the
residual stream.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparsepath.errors import ConfigError, ShapeError
from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import LayerSites, encoder_sites
from sparsepath.models.units import UnitMask, UnitMeans, UnitScores
from sparsepath.trace.batches import Batch
from sparsepath.trace.gates import evaluating, gated, record

Method = Literal["gradient", "activation", "random"]
"""Ways to score units; `random` is the control of the other two."""


def score_units(
    model: PathwayClassifier,
    batches: Iterable[Batch],
    method: Method,
    *,
    means: UnitMeans | None = None,
    generator: torch.Generator | None = None,
) -> UnitScores:
    """Score every head and neuron of a classifier; higher matters more.

    Args:
        model: the classifier, in evaluation mode during the call; no gradient is left behind.
        batches: rows to score on, with labels for `gradient`; `random` does not look at them.
        method: see the module.
        means: what a removed unit would be replaced by, for `gradient`. None: zero.
        generator: source of the `random` scores; the other methods are deterministic.

    Returns:
        `gradient`: mean absolute change of the loss, in nats. `activation`: root mean square of the
        contribution's deviation, in units of the residual stream. `random`: uniform on 0 to 1.

    Raises:
        ConfigError: if `random` comes without a generator.
        ShapeError: if there are no rows, or no labels for `gradient`.
    """
    if method == "random":
        if generator is None:
            raise ConfigError("random scores without a generator", hint="pass generator=")
        full = UnitMask.full(model)
        heads_LH = torch.rand(full.heads.shape, generator=generator)
        return _only_present(model, heads_LH, torch.rand(full.neurons.shape, generator=generator))
    if method == "activation":
        return _score_by_activation(model, batches)
    return _score_by_gradient(model, batches, means)


def combine_scores(first: UnitScores, second: UnitScores) -> UnitScores:
    """Return the geometric mean of two methods, each scaled to mean 1 over its kind.

    The best order for cutting in our measurements: gradients know what the loss needs, activations
    what a bias cannot replace.

    Args:
        first: scores of at least zero.
        second: of the same model.
    """
    parts = []
    for a, b in ((first.heads, second.heads), (first.neurons, second.neurons)):
        product = _scaled(a) * _scaled(b)
        parts.append(product.sqrt().masked_fill(~a.isfinite(), -torch.inf))
    return UnitScores(*parts)


def layer_scores(scores: UnitScores) -> Float[Tensor, " layers"]:
    """Score layers by the sum over their units; what a layer is really worth is in `depths.py`."""
    return _finite(scores.heads).sum(dim=1) + _finite(scores.neurons).sum(dim=1)


def rank_agreement(first: UnitScores, second: UnitScores) -> float:
    """Return Spearman's rank correlation of two scores, -1 to 1, over heads and neurons apart.

    The two correlations are averaged, since scores of heads and neurons need not share a scale;
    ties share their mean rank. A kind with fewer than two units, or without differences, is left
    out.
    """
    pairs = ((first.heads, second.heads), (first.neurons, second.neurons))
    found = []
    for a, b in pairs:
        present = a.isfinite() & b.isfinite()
        ranks = torch.stack([_ranks(a[present]), _ranks(b[present])])
        if ranks.shape[1] >= 2 and bool((ranks.std(dim=1) > 0).all()):
            found.append(float(torch.corrcoef(ranks)[0, 1]))
    return sum(found) / len(found) if found else 0.0


def _score_by_gradient(
    model: PathwayClassifier, batches: Iterable[Batch], means: UnitMeans | None
) -> UnitScores:
    """Average over examples the absolute gradient of the loss with respect to every gate."""
    full = UnitMask.full(model)
    heads_LH = torch.zeros(full.heads.shape)
    neurons_LM = torch.zeros(full.neurons.shape)
    n_rows = 0
    with evaluating(model), torch.enable_grad():
        for batch in batches:
            if batch.labels is None:
                raise ShapeError("gradient scores need labels", hint="pass labels with the batches")
            n_examples = len(batch.labels)
            gate_BLH = torch.ones(n_examples, *heads_LH.shape, requires_grad=True)
            gate_BLM = torch.ones(n_examples, *neurons_LM.shape, requires_grad=True)
            with gated(model, heads=gate_BLH, neurons=gate_BLM, means=means):
                logits_BC = model(batch.input_ids, batch.attention_mask).logits
            loss = nn.functional.cross_entropy(logits_BC, batch.labels, reduction="sum")
            # The sum of the gates, times zero, ties a model without layers to its gates.
            loss = loss + 0.0 * (gate_BLH.sum() + gate_BLM.sum())
            grad_BLH, grad_BLM = torch.autograd.grad(loss, (gate_BLH, gate_BLM))
            heads_LH += grad_BLH.abs().sum(dim=0)
            neurons_LM += grad_BLM.abs().sum(dim=0)
            n_rows += n_examples
    _check_rows(n_rows)
    return _only_present(model, heads_LH / n_rows, neurons_LM / n_rows)


@torch.no_grad()
def _score_by_activation(model: PathwayClassifier, batches: Iterable[Batch]) -> UnitScores:
    """Measure how far each unit's contribution strays from its mean, over real tokens."""
    layers = encoder_sites(model.encoder).layers
    head_moments = [_HeadMoments(site) for site in layers]
    neuron_moments = [_NeuronMoments(site) for site in layers]
    n_tokens = 0
    with evaluating(model), record(model) as recording:
        for batch in batches:
            model(batch.input_ids, batch.attention_mask)
            real_BT = batch.attention_mask.bool()
            n_tokens += int(real_BT.sum())
            for i in range(len(layers)):
                head_moments[i].add(recording.attention[i][real_BT])
                neuron_moments[i].add(recording.mlp[i][real_BT])
    _check_rows(n_tokens)
    full = UnitMask.full(model)
    heads_LH, neurons_LM = torch.zeros(full.heads.shape), torch.zeros(full.neurons.shape)
    for i, site in enumerate(layers):
        heads_LH[i, : site.n_heads] = head_moments[i].score(n_tokens)
        neurons_LM[i, : site.n_neurons] = neuron_moments[i].score(n_tokens)
    return _only_present(model, heads_LH, neurons_LM)


class _HeadMoments:
    """Running first and second moments of every head of one layer, in float64."""

    def __init__(self, site: LayerSites) -> None:
        """Start with nothing seen."""
        self.site = site
        self.first_HW = torch.zeros(site.n_heads, site.head_dim, dtype=torch.float64)
        self.second_HWW = torch.zeros(
            site.n_heads, site.head_dim, site.head_dim, dtype=torch.float64
        )

    def add(self, values: Tensor) -> None:
        """Add some tokens."""
        values_NHW = values.reshape(-1, self.site.n_heads, self.site.head_dim)
        self.first_HW += values_NHW.sum(dim=0)
        self.second_HWW += torch.einsum("nhv,nhw->hvw", values_NHW, values_NHW)

    def score(self, n_tokens: int) -> Float[Tensor, " heads"]:
        """Return the root mean squared norm of each head's contribution about its mean."""
        mean_HW = self.first_HW / n_tokens
        covariance_HWW = self.second_HWW / n_tokens - torch.einsum("hv,hw->hvw", mean_HW, mean_HW)
        weight_DHW = self.site.attention_out.weight.double().unflatten(
            1, (self.site.n_heads, self.site.head_dim)
        )
        squared_H = torch.einsum("dhv,hvw,dhw->h", weight_DHW, covariance_HWW, weight_DHW)
        score_H: Tensor = squared_H.clamp_min(0).sqrt().float()
        return score_H


class _NeuronMoments:
    """Running first and second moments of every neuron of one layer, in float64."""

    def __init__(self, site: LayerSites) -> None:
        """Start with nothing seen."""
        self.site = site
        self.first_M = torch.zeros(site.n_neurons, dtype=torch.float64)
        self.second_M = torch.zeros(site.n_neurons, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Add some tokens."""
        self.first_M += values.sum(dim=0)
        self.second_M += values.pow(2).sum(dim=0)

    def score(self, n_tokens: int) -> Float[Tensor, " neurons"]:
        """Return the root mean squared norm of each neuron's contribution about its mean."""
        variance_M = (self.second_M / n_tokens - (self.first_M / n_tokens).pow(2)).clamp_min(0)
        norm_M: Tensor = self.site.mlp_out.weight.double().norm(dim=0)
        return (variance_M.sqrt() * norm_M).float()


def _only_present(
    model: PathwayClassifier,
    heads: Float[Tensor, "layers heads"],
    neurons: Float[Tensor, "layers neurons"],
) -> UnitScores:
    """Give the places without a unit minus infinity."""
    full = UnitMask.full(model)
    return UnitScores(
        heads.masked_fill(~full.heads, -torch.inf),
        neurons.masked_fill(~full.neurons, -torch.inf),
    )


def _check_rows(n_rows: int) -> None:
    """Check that something was seen.

    Raises:
        ShapeError: if not.
    """
    if n_rows == 0:
        raise ShapeError("no rows to score units on", hint="pass at least one non-empty batch")


def _finite(scores: Float[Tensor, "layers units"]) -> Float[Tensor, "layers units"]:
    """Replace the minus infinity of absent units by zero."""
    return scores.masked_fill(~scores.isfinite(), 0.0)


def _scaled(scores: Float[Tensor, "layers units"]) -> Float[Tensor, "layers units"]:
    """Divide by the mean over present units; absent ones become zero."""
    finite_LU = _finite(scores)
    n_present = max(int(scores.isfinite().sum()), 1)
    return finite_LU / (finite_LU.sum() / n_present).clamp_min(torch.finfo(finite_LU.dtype).tiny)


def _ranks(values: Float[Tensor, " units"]) -> Float[Tensor, " units"]:
    """Return ranks from 0, equal values sharing the mean of their places."""
    _, group, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    mean_rank: Tensor = last - (counts.double() + 1) / 2
    return mean_rank[group]
