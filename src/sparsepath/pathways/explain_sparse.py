"""Which neurons of a sparse classifier decided one text, with what each stands for.

Asked about are the neurons of the sparse sites that fire in the text. Each is scored along the
straight line from its mean to what it is (integrated gradients). Where the only sparse site is the
residual stream after the last layer and nothing but pooling and the linear classifier follows, the
margin is linear in the neurons, and the scores are its exact shares.

The test keeps only the named neurons, all others of the sparse sites at their means, then takes
only the named ones away, and does both with random sets of as many of the neurons that fire.

Shape letters: N neurons of all sparse sites, S sets or points on a line, C labels.
Read with: `selection.py` (how a set is chosen), `trace/sparse.py` (gates), `neurons.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparsepath.artifacts.neurons import NeuronsFile
from sparsepath.models.topk_classifier import sparse_sites
from sparsepath.pathways.attribution import MAX_TOKENS_AT_ONCE, N_STEPS, log_odds, margin
from sparsepath.pathways.controls import random_subset
from sparsepath.pathways.explain_check import ENOUGH, NO_MARGIN, share_between, test_of
from sparsepath.pathways.explain_units import MAX_UNITS, NamedScore, UnitFindings
from sparsepath.pathways.neurons import neuron_names
from sparsepath.pathways.selection import (
    BLENDS,
    WEIGHTS_AGAINST,
    Case,
    distance_of,
    strength_of,
    top_units,
)
from sparsepath.trace.sparse import gated_sparse, record_sparse

SHARE, LEAST_NAMED = 0.05, 3
"""Share of the neurons firing in a text that is named, and the fewest that are."""

SIZES = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 130, 200, 300)
"""Numbers of neurons tried to find the fewest that are enough."""


class _Neurons(NamedTuple):
    """The neurons of a case."""

    widths: list[int]
    """Entries of each sparse site."""
    means: list[Tensor]
    """By site, one entry for each of its entries."""
    active: Bool[Tensor, " neurons"]
    """Which fire in the text."""


def sparse_units(
    case: Case, neurons: NeuronsFile | None, n_random: int, generator: torch.Generator
) -> UnitFindings:
    """Score the neurons that fire in a text, name those that decided, and test them.

    Args:
        case: the text and a model with sparse sites.
        neurons: what neurons stand for, and their means. None: a neuron taken away is zero.
        n_random: random sets of the test.
        generator: draws them.
    """
    found = _neurons(case, neurons)
    by_margin, by_odds = _attribute(case, found)
    n_active = int(found.active.sum())
    n_named = min(n_active, max(LEAST_NAMED, round(SHARE * n_active)))
    named = _choose(case, found, by_margin, by_odds, n_named)
    everything = torch.ones_like(found.active)
    drawn = [random_subset(found.active, n_named, generator) for _ in range(n_random)]
    sets = [~everything, named, everything & ~named, *drawn, *(~mask for mask in drawn)]
    logits_SC = _run(case, found, sets)
    nothing = float(margin(logits_SC[0], case.question))
    order = (by_margin.abs() * named).argsort(descending=True, stable=True).tolist()
    listed = order[: min(n_named, MAX_UNITS)]
    names = neuron_names(case.model)
    return UnitFindings(
        units=[NamedScore(names[i], float(by_margin[i])) for i in listed],
        n_units=n_active,
        n_units_kept=n_named,
        n_units_enough=_count_enough(case, found, by_margin, nothing),
        test=test_of(case, logits_SC, n_random),
        neurons=[] if neurons is None else [neurons.neurons[i] for i in listed],
        is_exact=is_linear(case),
    )


def is_linear(case: Case) -> bool:
    """Say whether the margin is linear in the neurons."""
    has_norm = "final_norm" in dict(case.model.encoder.named_children())
    return _is_only_the_last(case) and not has_norm and case.model.config.head is None


def _is_only_the_last(case: Case) -> bool:
    """Say whether the only sparse site is the residual stream that pooling reads."""
    sites = [(site.site, site.layer) for site in sparse_sites(case.model)]
    return sites == [("block_out", len(case.model.config.layers) - 1)]


@torch.no_grad()
def _neurons(case: Case, neurons: NeuronsFile | None) -> _Neurons:
    """Find the neurons that fire, by tokens that the classifier may read."""
    sites = sparse_sites(case.model)
    widths = [site.topk.width for site in sites]
    with record_sparse(case.model) as values:
        case.model(case.ids.unsqueeze(0))
    reads_first = case.model.config.pooling == "cls" and _is_only_the_last(case)
    kept = [(x[0, :1] if reads_first else x[0]) for x in values]
    active = torch.cat([(x != 0).any(dim=0) for x in kept])
    if neurons is None:
        means = torch.zeros(len(active))
    else:
        means = torch.tensor([neuron.mean for neuron in neurons.neurons])
    return _Neurons(widths, list(means.split(widths)), active)


def _attribute(
    case: Case, found: _Neurons
) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"]]:
    """Attribute margin and log-odds to all neurons, those that are silent among them."""
    totals = []
    objectives: tuple[Callable[..., Tensor], ...] = (margin, log_odds)
    for objective in objectives:
        total_N = torch.zeros(len(found.active))
        for levels in ((torch.arange(N_STEPS) + 0.5) / N_STEPS).split(_at_once(case)):
            gates = [levels.view(-1, 1).repeat(1, w).requires_grad_() for w in found.widths]
            with torch.enable_grad(), gated_sparse(case.model, gates, found.means):
                logits_SC = case.model(case.ids.expand(len(levels), -1)).logits
                grads = torch.autograd.grad(objective(logits_SC, case.question).sum(), gates)
            total_N += torch.cat([grad.sum(dim=0) for grad in grads]) / N_STEPS
        totals.append(total_N)
    return totals[0], totals[1]


def _choose(
    case: Case,
    found: _Neurons,
    by_margin: Float[Tensor, " neurons"],
    by_odds: Float[Tensor, " neurons"],
    n_named: int,
) -> Bool[Tensor, " neurons"]:
    """Choose the set whose answer is closest to the whole model's, as for a pathway."""
    first, second = by_margin.unsqueeze(0), by_odds.unsqueeze(0)
    active = found.active.unsqueeze(0)
    candidates = [
        top_units(active, strength_of(first, second, blend, against), n_named)[0]
        for blend in BLENDS
        for against in WEIGHTS_AGAINST
    ]
    nothing = float(margin(_run(case, found, [torch.zeros_like(found.active)])[0], case.question))
    candidates += [
        _closer(mask, found.active, by_margin, case.margin - nothing) for mask in candidates
    ]
    distances = distance_of(_run(case, found, candidates), case)
    return candidates[int(distances.argmin())]


def _closer(
    mask: Bool[Tensor, " neurons"],
    active: Bool[Tensor, " neurons"],
    by_margin: Float[Tensor, " neurons"],
    wanted: float,
) -> Bool[Tensor, " neurons"]:
    """Exchange the one pair of neurons after which the scores add up best to what is wanted."""
    inside, outside = mask.nonzero().flatten(), (active & ~mask).nonzero().flatten()
    if not len(inside) or not len(outside):
        return mask
    gain = by_margin[outside].unsqueeze(0) - by_margin[inside].unsqueeze(1)
    gap = (float(by_margin[mask].sum()) + gain - wanted).abs()
    leaves, enters = divmod(int(gap.argmin()), len(outside))
    swapped = mask.clone()
    swapped[inside[leaves]], swapped[outside[enters]] = False, True
    return swapped


def _count_enough(
    case: Case, found: _Neurons, by_margin: Float[Tensor, " neurons"], nothing: float
) -> int | None:
    """Give the fewest neurons tried, those first that speak most for the target, that are enough.

    None where none is, or where the neurons together do not speak for the target.
    """
    if case.margin - nothing < NO_MARGIN:
        return None
    ranked = by_margin.masked_fill(~found.active, -torch.inf).unsqueeze(0)
    sizes = [size for size in SIZES if size <= int(found.active.sum())]
    sets = [top_units(found.active.unsqueeze(0), ranked, size)[0] for size in sizes]
    if not sets:
        return None
    margins = margin(_run(case, found, sets), case.question).tolist()
    for size, value in zip(sizes, margins, strict=True):
        if share_between(value, nothing, case.margin) >= ENOUGH:
            return size
    return None


@torch.no_grad()
def _run(
    case: Case, found: _Neurons, sets: list[Bool[Tensor, " neurons"]]
) -> Float[Tensor, "sets labels"]:
    """Answer the text once per set, with every other neuron at its mean."""
    logits = []
    for part in torch.stack(sets).float().split(_at_once(case)):
        with gated_sparse(case.model, part.split(found.widths, dim=1), found.means):
            logits.append(case.model(case.ids.expand(len(part), -1)).logits)
    return torch.cat(logits)


def _at_once(case: Case) -> int:
    """Give how many copies of the text go into one pass."""
    return max(1, MAX_TOKENS_AT_ONCE // max(len(case.ids), 1))
