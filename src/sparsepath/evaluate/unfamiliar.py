"""Whether a model notices texts of another kind than it learnt from.

Each row gets a score that should be higher for unfamiliar texts; the figure is the AUROC, the
probability that a foreign text has a higher score than one of the model's own kind (0.5: chance).

Shape letters: M members, N rows, C labels.

Source: Hendrycks and Gimpel 2017, arXiv 1610.02136 (highest probability); Gal and Ghahramani 2016,
arXiv 1506.02142 (dropout at inference); Houlsby et al. 2011, arXiv 1112.5745 (information that
members hold about each other's answers); Lakshminarayanan et al. 2017, arXiv 1612.01474 (deep
ensembles).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

Members = Float[np.ndarray, "members rows labels"]
OtherMembers = Float[np.ndarray, "members others labels"]
Scores = Float[np.ndarray, " rows"]
OtherScores = Float[np.ndarray, " others"]


class Noticed(NamedTuple):
    """How well one way to answer tells foreign texts apart, as AUROC, 0 to 1."""

    way: str
    """`dense`, `self-ensemble`, `dropout` or `deep ensemble of N`."""
    by_confidence: float
    """By one minus the highest probability."""
    by_disagreement: float | None
    """By what the members know beyond their mean; None for a single pass."""


def noticed(way: str, own: Members, foreign: OtherMembers) -> Noticed:
    """Measure one way to answer.

    Args:
        way: its name.
        own: probabilities of texts of the model's own kind; one member for a single pass.
        foreign: of texts of another kind.
    """
    confidence = auroc(_doubt(own), _doubt(foreign))
    if len(own) == 1:
        return Noticed(way, confidence, None)
    return Noticed(way, confidence, auroc(shared_information(own), shared_information(foreign)))


def auroc(low: Scores, high: OtherScores) -> float:
    """Give the probability that a score of `high` lies above one of `low`; ties count half.

    Args:
        low: scores that should be lower; at least one.
        high: scores that should be higher; at least one.
    """
    ranks = rankdata(np.concatenate([low, high]))
    n_low, n_high = len(low), len(high)
    above = ranks[n_low:].sum() - n_high * (n_high + 1) / 2
    return float(above / (n_low * n_high))


def shared_information(members: Members) -> Scores:
    """Give what knowing a member tells about its answer, in nats: 0 where all say the same."""
    mean_entropy = _entropy(members).mean(axis=0)
    shared: Scores = np.maximum(_entropy(members.mean(axis=0)) - mean_entropy, 0.0)
    return shared


def _doubt(members: Members) -> Scores:
    """Give one minus the highest mean probability."""
    doubt: Scores = 1.0 - members.mean(axis=0).max(axis=-1)
    return doubt


def _entropy(probabilities: Float[np.ndarray, "*rows labels"]) -> Float[np.ndarray, "*rows"]:
    """Give the entropy of answers in nats."""
    safe = np.clip(probabilities, 1e-12, 1.0)
    entropy: Float[np.ndarray, "*rows"] = -(safe * np.log(safe)).sum(axis=-1)
    return entropy
