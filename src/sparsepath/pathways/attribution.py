"""How much every unit and every token of one text speaks for one label against another.

Both are integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365): along a straight line
from a neutral start to the text itself, so that the scores add up to what the whole line changes.
For units the line runs from every unit at its mean (gate 0) to the running model (gate 1); for
tokens, from the mean word embedding in place of every token that is not special, to the text.

Shape letters: S steps, T tokens, L layers, H heads, M neurons, D width, C labels.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sparsepath.models.classifier import PathwayClassifier
from sparsepath.models.families import encoder_sites
from sparsepath.models.units import UnitMask, UnitMeans
from sparsepath.trace.gates import gated

N_STEPS = 8
"""Points on the line for units, in the middle of equal parts."""

N_TOKEN_STEPS = 16
"""Points on the line for tokens, whose path is more curved."""

MAX_TOKENS_AT_ONCE = 4096
"""Tokens of one pass; more points are split into several, which bounds memory."""

FAR_BELOW = -1e9
"""A logit that leaves no probability."""


class Question(NamedTuple):
    """What an explanation is about: why this label and not that one."""

    target: int
    """Label that is asked about."""
    against: int
    """Label it is compared with."""


class UnitAttribution(NamedTuple):
    """Scores of all units by one question; padding places are zero."""

    heads: Float[Tensor, "layers heads"]
    """Change of the objective that each head brings, along the line."""
    neurons: Float[Tensor, "layers neurons"]
    """The same for each neuron."""


def margin(logits: Float[Tensor, "*batch labels"], question: Question) -> Float[Tensor, "*batch"]:
    """Return by how much the target's logit is above the other one."""
    return logits[..., question.target] - logits[..., question.against]


def log_odds(logits: Float[Tensor, "*batch labels"], question: Question) -> Float[Tensor, "*batch"]:
    """Return the target's log-odds against all other labels together, in nats."""
    is_target = torch.zeros(logits.shape[-1], dtype=torch.bool)
    is_target[question.target] = True
    others = logits.masked_fill(is_target, FAR_BELOW).logsumexp(dim=-1)
    return logits[..., question.target] - others


def attribute_units(
    model: PathwayClassifier,
    ids: Int[Tensor, " tokens"],
    question: Question,
    *,
    means: UnitMeans | None,
    n_steps: int = N_STEPS,
) -> tuple[UnitAttribution, UnitAttribution]:
    """Attribute the margin, and the log-odds, of one text to all units.

    Args:
        model: in evaluation mode.
        ids: the text, special tokens included.
        question: the two labels.
        means: what a unit is at gate 0. None: zero.
        n_steps: points on the line.

    Returns:
        First for `margin`, then for `log_odds`.
    """
    full = UnitMask.full(model)
    sums = [torch.zeros(full.heads.shape), torch.zeros(full.neurons.shape)] * 2
    for levels in ((torch.arange(n_steps) + 0.5) / n_steps).split(_points_at_once(ids)):
        gate_SLH = levels.view(-1, 1, 1).repeat(1, *full.heads.shape).requires_grad_()
        gate_SLM = levels.view(-1, 1, 1).repeat(1, *full.neurons.shape).requires_grad_()
        with torch.enable_grad(), gated(model, heads=gate_SLH, neurons=gate_SLM, means=means):
            logits_SC = model(ids.expand(len(levels), -1)).logits
            # The sum of the gates, times zero, ties a model without units to its gates.
            nothing = 0.0 * (gate_SLH.sum() + gate_SLM.sum())
            gates = (gate_SLH, gate_SLM)
            found = [
                *torch.autograd.grad(
                    margin(logits_SC, question).sum() + nothing, gates, retain_graph=True
                ),
                *torch.autograd.grad(log_odds(logits_SC, question).sum() + nothing, gates),
            ]
        sums = [total + grad.sum(dim=0) / n_steps for total, grad in zip(sums, found, strict=True)]
    return UnitAttribution(sums[0], sums[1]), UnitAttribution(sums[2], sums[3])


def attribute_tokens(
    model: PathwayClassifier,
    ids: Int[Tensor, " tokens"],
    is_special: Bool[Tensor, " tokens"],
    question: Question,
    *,
    n_steps: int = N_TOKEN_STEPS,
) -> Float[Tensor, " tokens"]:
    """Attribute the margin of one text to its tokens; special tokens get zero.

    The scores add up to the margin of the text minus that of a text as long whose words are blank,
    up to the coarseness of the steps.

    Args:
        model: in evaluation mode.
        ids: the text, special tokens included.
        is_special: True for tokens that the tokenizer added.
        question: the two labels.
        n_steps: points on the line.
    """
    embedding = encoder_sites(model.encoder).embedding
    blank_D = embedding.weight.detach().mean(dim=0)
    difference_TD = (embedding(ids).detach() - blank_D) * ~is_special.unsqueeze(-1)
    start_TD = embedding(ids).detach() - difference_TD
    total_TD = torch.zeros_like(difference_TD)
    for levels in ((torch.arange(n_steps) + 0.5) / n_steps).split(_points_at_once(ids)):
        line_STD = (start_TD + levels.view(-1, 1, 1) * difference_TD).requires_grad_()
        handle = embedding.register_forward_hook(_instead(line_STD))
        try:
            with torch.enable_grad():
                logits_SC = model(ids.expand(len(levels), -1)).logits
                (grad_STD,) = torch.autograd.grad(margin(logits_SC, question).sum(), line_STD)
        finally:
            handle.remove()
        total_TD += grad_STD.sum(dim=0) / n_steps
    scores_T: Tensor = (total_TD * difference_TD).sum(dim=-1)
    return scores_T


def _points_at_once(ids: Int[Tensor, " tokens"]) -> int:
    """Return how many copies of a text go into one pass."""
    return max(1, MAX_TOKENS_AT_ONCE // max(len(ids), 1))


def _instead(values: Tensor) -> Callable[[nn.Module, Sequence[Any], Tensor], Tensor]:
    """Return a hook that replaces what a module gives."""

    def replace(_module: nn.Module, _args: Sequence[Any], _output: Tensor) -> Tensor:
        return values

    return replace
