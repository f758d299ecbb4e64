"""The test that comes with every explanation: does the named pathway do what is claimed?

Read with `explain.py`. What the residual stream carries without any unit, from word embeddings
straight to the classifier, is the zero of all shares; the whole model is their one.

Shape letters: S sets of units, C labels.
"""

from statistics import fmean
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sparsepath.models.units import UnitMask
from sparsepath.pathways.attribution import UnitAttribution, margin
from sparsepath.pathways.controls import random_subset
from sparsepath.pathways.selection import Case, n_kept, run_sets, top_units

ENOUGH = 0.9
"""Share of the margin that `count_enough` asks for."""

SIZES = (0.001, 0.002, 0.004, 0.006, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1)
"""Shares of the units tried by `count_enough`."""

NO_MARGIN = 1e-6
"""Logits below which all units together make no difference."""


LEAST_EFFECT = 0.2
"""Part of a margin that all units together must change, or shares of their change tell nothing."""


class ExplanationTest(NamedTuple):
    """What remains of the answer when only the pathway is kept, or when it is removed."""

    margin_kept: float
    """Share of what all units add to the margin that the pathway alone adds."""
    margin_kept_raw: float
    """Margin with only the pathway, over the whole model's."""
    margin_when_removed: float
    """Share, as `margin_kept`, that the model without the pathway still adds."""
    margin_of_nothing: float
    """Margin in logits with every unit at its mean: the zero of the shares."""
    confidence_kept: float
    """Probability of the target with only the pathway."""
    confidence_removed: float
    """Probability of the target without the pathway."""
    random_margin_kept: list[float]
    """As `margin_kept`, per random set."""
    random_confidence_kept: list[float]
    """As `confidence_kept`, per random set."""
    random_margin_when_removed: list[float]
    """As `margin_when_removed`, per random set."""


def do_units_decide(margin_logits: float, nothing_logits: float) -> bool:
    """Say whether the units change a margin enough for shares of that change to mean something.

    Where they do not, word embeddings decide with every unit at its mean, and a share divides by
    nearly nothing.

    Args:
        margin_logits: margin of the whole model.
        nothing_logits: margin with every unit at its mean.
    """
    largest = max(abs(margin_logits), abs(nothing_logits))
    return abs(margin_logits - nothing_logits) >= max(LEAST_EFFECT * largest, NO_MARGIN)


Verdict = Literal["good", "weak", "none"]
"""Whether an explanation held in its test; `none`: the test can say little about it."""

GOOD_KEPT, GOOD_RANDOM = 0.9, 0.3
"""Shares of the margin from which, and up to which, the test calls an explanation good."""
MOST_KEPT = 1.5
"""Share above which what is not named speaks against the answer too much to be left out."""


def verdict_of(margin_logits: float, test: ExplanationTest) -> Verdict:
    """Say whether an explanation held.

    Args:
        margin_logits: margin of the whole model.
        test: what its test found.
    """
    if not do_units_decide(margin_logits, test.margin_of_nothing):
        return "none"
    random = test.random_margin_kept
    is_kept = GOOD_KEPT <= test.margin_kept <= MOST_KEPT
    is_good = is_kept and random and fmean(random) <= GOOD_RANDOM
    return "good" if is_good else "weak"


def check_pathway(
    case: Case, pathway: UnitMask, n_random: int, generator: torch.Generator
) -> ExplanationTest:
    """Keep only the pathway, remove it, and do both with random sets of the same sizes.

    Args:
        case: the text and the model.
        pathway: the units that an explanation names.
        n_random: random sets, each of as many heads and as many neurons.
        generator: draws them.
    """
    full = UnitMask.full(case.model)
    drawn = [_random_set(full, pathway, generator) for _ in range(n_random)]
    sets = [full.without(full), pathway, full.without(pathway), *drawn]
    sets += [full.without(mask) for mask in drawn]
    return test_of(case, run_sets(case, sets), n_random)


def test_of(case: Case, logits: Float[Tensor, "sets labels"], n_random: int) -> ExplanationTest:
    """Put together what answers say.

    Args:
        case: the text and the model.
        logits: answers with nothing, with only the pathway, without it, with only each random
            set, and without each.
        n_random: random sets.
    """
    margins = margin(logits, case.question).tolist()
    confidences = logits.softmax(dim=-1)[:, case.question.target].tolist()
    whole, nothing = case.margin, margins[0]
    shares = [share_between(value, nothing, whole) for value in margins]
    return ExplanationTest(
        margin_kept=shares[1],
        margin_kept_raw=margins[1] / whole if abs(whole) >= NO_MARGIN else 1.0,
        margin_when_removed=shares[2],
        margin_of_nothing=nothing,
        confidence_kept=confidences[1],
        confidence_removed=confidences[2],
        random_margin_kept=shares[3 : 3 + n_random],
        random_confidence_kept=confidences[3 : 3 + n_random],
        random_margin_when_removed=shares[3 + n_random :],
    )


def count_enough(case: Case, by_margin: UnitAttribution, nothing: float) -> int | None:
    """Return the fewest units, those first that speak most for the target, that keep the margin.

    Args:
        case: the text and the model.
        by_margin: scores of the units.
        nothing: margin in logits without any unit.

    Returns:
        The smallest size tried that keeps `ENOUGH`; None where none does, or where the units
        together do not speak for the target.
    """
    full = UnitMask.full(case.model)
    if full.n_units == 0 or case.margin - nothing < NO_MARGIN:
        return None
    sets = []
    for size in SIZES:
        n_heads, n_neurons = n_kept(full, size)
        sets.append(
            UnitMask(
                heads=top_units(full.heads, by_margin.heads, n_heads),
                neurons=top_units(full.neurons, by_margin.neurons, n_neurons),
            )
        )
    margins = margin(run_sets(case, sets), case.question).tolist()
    for mask, value in zip(sets, margins, strict=True):
        if share_between(value, nothing, case.margin) >= ENOUGH:
            return mask.n_units
    return None


def _random_set(full: UnitMask, like: UnitMask, generator: torch.Generator) -> UnitMask:
    """Draw as many heads and as many neurons as `like` has, from all layers."""
    heads = random_subset(full.heads.flatten(), int(like.heads.sum()), generator)
    neurons = random_subset(full.neurons.flatten(), int(like.neurons.sum()), generator)
    return UnitMask(heads.view(full.heads.shape), neurons.view(full.neurons.shape))


def share_between(value: float, nothing: float, everything: float) -> float:
    """Return where a margin lies between nothing (0) and everything (1)."""
    if abs(everything - nothing) < NO_MARGIN:
        return 1.0
    return (value - nothing) / (everything - nothing)
