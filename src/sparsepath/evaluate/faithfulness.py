"""Do explanations name what really decides? Figures over many explained rows.

A pathway is faithful if it alone keeps the margin between two labels, if the rest without it loses
it, and if random sets of its size do neither. Margins are summed over rows before shares are taken,
so that rows on which units make hardly a difference do not dominate, and a row whose pathway keeps
more than the whole margin is counted as keeping just that.

Read with `pathways.explain`. Source of intervals: percentile bootstrap over rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sparsepath.errors import ConfigError
from sparsepath.pathways.explain import Explanation

N_RESAMPLES = 2000
"""Bootstrap resamples."""

KEEPS = 0.9
"""Share of the margin from which a row counts as kept."""


class ShareFigure(NamedTuple):
    """A share with its uncertainty."""

    value: float
    """Dimensionless; 1 is the whole margin."""
    ci95: tuple[float, float]
    """Bootstrap interval over rows."""


class Faithfulness(NamedTuple):
    """The test of the explanations, over all rows."""

    margin_kept: ShareFigure
    """Share of the margin that the pathways keep; per row at most 1."""
    margin_kept_uncapped: ShareFigure
    """The same without the cap, to show overshooting."""
    margin_when_removed: ShareFigure
    """Share of the margin left without the pathways; below 0 where the other label wins."""
    random_margin_kept: ShareFigure
    """Share that random sets of the same sizes keep; mean over draws, no cap."""
    random_margin_when_removed: ShareFigure
    """Share left without random sets of the same sizes."""
    rows_kept: float
    """Share of the rows whose pathway keeps at least `KEEPS` of the margin."""
    median_distance: float
    """Median over rows of how far `margin_kept` is from 1, either way."""
    confidence: float
    """Mean probability of the target, whole model."""
    confidence_kept: float
    """The same with only the pathways."""
    confidence_removed: float
    """The same without the pathways."""
    random_confidence_kept: float
    """The same with only random sets."""
    share_units_kept: float
    """Mean size of the pathways, as a share of all units."""
    n: int
    """Rows."""
    n_random: int
    """Random sets per row."""


def faithfulness(explanations: Sequence[Explanation], *, seed: int = 0) -> Faithfulness:
    """Sum up the tests of many explanations.

    Args:
        explanations: of rows that were not chosen for how well they explain, of one model.
        seed: of the bootstrap.

    Raises:
        ConfigError: if there are none, or the model has no units.
    """
    if not explanations or any(item.n_units == 0 for item in explanations):
        raise ConfigError(
            f"{len(explanations)} explanations, of a model with units, are needed",
            hint="explain rows with a model that has heads or neurons",
        )
    tests = [item.test for item in explanations]
    # What all units together add to the margin of each row, in logits.
    effect_N = np.array([item.margin - item.test.margin_of_nothing for item in explanations])
    kept_N = np.array([test.margin_kept for test in tests])
    random_kept_N = np.array([np.mean(test.random_margin_kept) for test in tests])
    random_removed_N = np.array([np.mean(test.random_margin_when_removed) for test in tests])
    generator = np.random.default_rng(seed)
    pick_RN = generator.integers(0, len(tests), (N_RESAMPLES, len(tests)))

    def figure(share: Float[np.ndarray, " rows"]) -> ShareFigure:
        return _figure(share, effect_N, pick_RN)

    return Faithfulness(
        margin_kept=figure(_capped(kept_N, effect_N)),
        margin_kept_uncapped=figure(kept_N),
        margin_when_removed=figure(np.array([test.margin_when_removed for test in tests])),
        random_margin_kept=figure(random_kept_N),
        random_margin_when_removed=figure(random_removed_N),
        rows_kept=float((kept_N >= KEEPS).mean()),
        median_distance=float(np.median(np.abs(kept_N - 1))),
        confidence=float(np.mean([item.probability for item in explanations])),
        confidence_kept=float(np.mean([test.confidence_kept for test in tests])),
        confidence_removed=float(np.mean([test.confidence_removed for test in tests])),
        random_confidence_kept=float(np.mean([test.random_confidence_kept for test in tests])),
        share_units_kept=float(np.mean([item.share_units_kept for item in explanations])),
        n=len(tests),
        n_random=len(tests[0].random_margin_kept),
    )


def _capped(
    share: Float[np.ndarray, " rows"], effect: Float[np.ndarray, " rows"]
) -> Float[np.ndarray, " rows"]:
    """Give no credit beyond the whole model's margin.

    Where all units together lower the margin, there is none for lowering it less.
    """
    capped: Float[np.ndarray, " rows"] = np.where(
        effect >= 0, np.minimum(share, 1.0), np.maximum(share, 1.0)
    )
    return capped


def _figure(
    share: Float[np.ndarray, " rows"],
    effect: Float[np.ndarray, " rows"],
    pick: np.ndarray,
) -> ShareFigure:
    """Return the ratio of sums with its bootstrap interval."""
    kept_N = share * effect
    values_R = kept_N[pick].sum(axis=1) / effect[pick].sum(axis=1)
    low, high = np.quantile(values_R, [0.025, 0.975])
    return ShareFigure(float(kept_N.sum() / effect.sum()), (float(low), float(high)))
