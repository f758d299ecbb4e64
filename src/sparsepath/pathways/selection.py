"""Choosing the pathway of one text: a tenth of the units that does what the whole model does.

Units are ranked by attribution. Taking only those that speak for the answer would keep several
times the model's margin, which explains another model than this one; so units that speak against
it belong to the pathway too. How much they count, and how margin and log-odds are blended, is
decided by forward passes on this text: the set whose answer is closest to the whole model's is
taken, then improved by a few exchanges that gradients at the set propose and forward passes
accept. The same share is taken of heads and of neurons, since one head does the work of many
neurons.

Shape letters: S sets, L layers, H heads, M neurons, U units of the widest layer, C labels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.pathways.attribution import (
    MAX_TOKENS_AT_ONCE,
    Question,
    UnitAttribution,
    margin,
)
from sparsepath.trace.gates import gated

BLENDS = (0.5, 0.75, 1.0)
"""Weights of log-odds against margin in the ranking; those tried."""

WEIGHTS_AGAINST = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""How much a unit that speaks against the answer counts in the ranking; those tried."""

SHORT_WEIGHT, OVER_WEIGHT = 1.0, 0.3
"""Nats that a logit of missing, or of surplus, margin costs beside the divergence of answers."""

N_EXCHANGES = 2
"""Rounds of exchanges."""

EXCHANGED_SHARES = ((0.15, 0.1), (0.0, 0.05), (0.15, 0.025), (0.0, 0.0125), (0.15, 0.0))
"""Shares of the kept heads and neurons that a round tries to exchange."""


class Case(NamedTuple):
    """One text under one question, and what the whole model says."""

    model: PathwayClassifier
    """In evaluation mode."""
    ids: Int[Tensor, " tokens"]
    """The text, special tokens included."""
    means: UnitMeans | None
    """What a unit becomes that is not at work. None: zero."""
    question: Question
    """The two labels."""
    logits: Float[Tensor, " labels"]
    """The whole model's answer."""

    @property
    def margin(self) -> float:
        """By how much the whole model prefers the target."""
        return float(margin(self.logits, self.question))


def run_sets(case: Case, sets: Sequence[UnitMask]) -> Float[Tensor, "sets labels"]:
    """Answer one text once per set, with every other unit at its mean; no gradients.

    Args:
        case: the text and the model.
        sets: units at work.
    """
    at_once = max(1, MAX_TOKENS_AT_ONCE // max(len(case.ids), 1))
    logits = []
    for start in range(0, len(sets), at_once):
        part = sets[start : start + at_once]
        heads_SLH = torch.stack([mask.heads for mask in part]).float()
        neurons_SLM = torch.stack([mask.neurons for mask in part]).float()
        gates = gated(case.model, heads=heads_SLH, neurons=neurons_SLM, means=case.means)
        with torch.no_grad(), gates:
            logits.append(case.model(case.ids.expand(len(part), -1)).logits)
    return torch.cat(logits)


def n_kept(full: UnitMask, share: float) -> tuple[int, int]:
    """Return how many heads and neurons a share is; at least one of each kind there is."""
    counts = (int(full.heads.sum()), int(full.neurons.sum()))
    heads, neurons = (min(n, max(1, round(share * n))) for n in counts)
    return heads, neurons


def choose_pathway(
    case: Case, attributions: tuple[UnitAttribution, UnitAttribution], share: float
) -> UnitMask:
    """Choose the units whose answer is closest to the whole model's.

    Deterministic.

    Args:
        case: the text and the model.
        attributions: of margin and log-odds.
        share: of the heads and of the neurons, 0 to 1.
    """
    full = UnitMask.full(case.model)
    sizes = n_kept(full, share)
    by_margin, by_odds = attributions
    candidates = [
        UnitMask(
            top_units(full.heads, strength_of(by_margin.heads, by_odds.heads, b, w), sizes[0]),
            top_units(
                full.neurons, strength_of(by_margin.neurons, by_odds.neurons, b, w), sizes[1]
            ),
        )
        for b in BLENDS
        for w in WEIGHTS_AGAINST
    ]
    distances = distance_of(run_sets(case, candidates), case)
    best, distance = candidates[int(distances.argmin())], float(distances.min())
    for _ in range(N_EXCHANGES):
        proposals = _exchanges(case, best)
        distances = distance_of(run_sets(case, proposals), case)
        if float(distances.min()) >= distance:
            break
        best, distance = proposals[int(distances.argmin())], float(distances.min())
    return best


def distance_of(logits: Float[Tensor, "*sets labels"], case: Case) -> Float[Tensor, "*sets"]:
    """Return how far answers are from the whole model's, in nats."""
    log_p, log_q = case.logits.log_softmax(dim=-1), logits.log_softmax(dim=-1)
    divergence = (log_p.exp() * (log_p - log_q)).sum(dim=-1)
    surplus = (margin(logits, case.question) - case.margin) * (1 if case.margin >= 0 else -1)
    return divergence + torch.where(surplus < 0, -SHORT_WEIGHT * surplus, OVER_WEIGHT * surplus)


def top_units(
    present: Bool[Tensor, "layers units"], strength: Float[Tensor, "layers units"], n: int
) -> Bool[Tensor, "layers units"]:
    """Keep the `n` highest of the present units; of equal ones the lower number."""
    ranked = strength.masked_fill(~present, -torch.inf).flatten()
    kept = torch.zeros_like(present.flatten())
    kept[ranked.argsort(descending=True, stable=True)[:n]] = True
    return kept.view(present.shape)


def strength_of(
    first: Float[Tensor, "layers units"],
    second: Float[Tensor, "layers units"],
    blend: float,
    weight_against: float,
) -> Float[Tensor, "layers units"]:
    """Blend two attributions; units below zero count by `weight_against`."""
    blended = torch.lerp(first, second, blend)
    return torch.where(blended > 0, blended, -weight_against * blended)


def _exchanges(case: Case, mask: UnitMask) -> list[UnitMask]:
    """Propose sets of equal size that gradients expect to be closer to the whole model."""
    gate_LH = mask.heads.float().requires_grad_()
    gate_LM = mask.neurons.float().requires_grad_()
    gates = gated(case.model, heads=gate_LH, neurons=gate_LM, means=case.means)
    with torch.enable_grad(), gates:
        distance = distance_of(case.model(case.ids.unsqueeze(0)).logits[0], case)
        nothing = 0.0 * (gate_LH.sum() + gate_LM.sum())
        grad_LH, grad_LM = torch.autograd.grad(distance + nothing, (gate_LH, gate_LM))
    full = UnitMask.full(case.model)
    n_heads, n_neurons = int(mask.heads.sum()), int(mask.neurons.sum())
    return [
        UnitMask(
            heads=_exchange(mask.heads, full.heads, grad_LH, round(h * n_heads)),
            neurons=_exchange(mask.neurons, full.neurons, grad_LM, round(m * n_neurons)),
        )
        for h, m in EXCHANGED_SHARES
    ]


def _exchange(
    kept: Bool[Tensor, "layers units"],
    present: Bool[Tensor, "layers units"],
    grad: Float[Tensor, "layers units"],
    n: int,
) -> Bool[Tensor, "layers units"]:
    """Swap up to `n` kept units for others, each swap expected to lower the distance."""
    inside, flat_grad = kept.flatten(), grad.flatten()
    outside = present.flatten() & ~inside
    n = min(n, int(inside.sum()), int(outside.sum()))
    enter = flat_grad.masked_fill(~outside, torch.inf).topk(n, largest=False)
    leave = flat_grad.masked_fill(~inside, -torch.inf).topk(n)
    pays = leave.values > enter.values
    swapped = inside.clone()
    swapped[enter.indices[pays]] = True
    swapped[leave.indices[pays]] = False
    return swapped.view(kept.shape)
