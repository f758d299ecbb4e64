"""How well a steered text does, all at once: the concept, the language, and what was asked.

Each output gets 0, 1 or 2 for each of three things, and their harmonic mean, which is 0 where one
of them is 0. As in AxBench, but by judges that need no large language model, so figures are not
comparable with those of the paper:

- concept: 0, 1 or 2 of its words (two different places);
- fluency: bits per byte that the unsteered model needs for the output. 2 up to the 90 % quantile of
  its own outputs, 1 up to one and a half times that, else 0;
- relevance: how many other prompts make the output likelier, to the unsteered model, than its own:
  2 where none does, 1 where fewer than half do, else 0.

Source: Wu et al. 2025, "AxBench", arXiv 2501.17148, section 3 (three scores, harmonic mean).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsepath.errors import ConfigError

MOST = 2
"""The best that each of the three can be."""

USUAL, BROKEN = 0.9, 1.5
"""Quantile of the unsteered model's own bits per byte, and how many times as many are too many."""


class Scores(NamedTuple):
    """Means over outputs, each from 0 to 2."""

    concept: float
    fluency: float
    relevance: float
    together: float
    """Of the harmonic means of single outputs, not of the means above."""


def harmonic(concept: int, fluency: int, relevance: int) -> float:
    """Give the harmonic mean of three scores, 0 where one of them is 0.

    Raises:
        ConfigError: if one is not 0, 1 or 2.
    """
    given = (concept, fluency, relevance)
    if not set(given) <= {0, 1, 2}:
        raise ConfigError(f"scores {given}", hint="each is 0, 1 or 2")
    return 3 / sum(1 / score for score in given) if all(given) else 0.0


def concept_score(n_words: int) -> int:
    """Score an output that has so many words of the concept."""
    return min(n_words, MOST)


def fluency_score(bits: float, own_bits: Sequence[float]) -> int:
    """Score an output by how surprised the unsteered model is.

    Args:
        bits: per byte of the output, after its prompt.
        own_bits: the same of outputs of the unsteered model, at least one.
    """
    usual = float(np.quantile(own_bits, USUAL))
    if bits <= usual:
        return MOST
    return 1 if bits <= BROKEN * usual else 0


def relevance_score(nats: NDArray[np.float64], own: int) -> int:
    """Score an output by the prompts that it might have followed.

    Args:
        nats: that the unsteered model needs for it after each prompt, at least two.
        own: number of the prompt that it did follow.
    """
    better = int((np.delete(nats, own) < nats[own]).sum())
    if not better:
        return MOST
    return 1 if better < (len(nats) - 1) / 2 else 0


def together(scores: Sequence[tuple[int, int, int]]) -> Scores:
    """Sum outputs up.

    Args:
        scores: concept, fluency and relevance of each, at least one.
    """
    concept, fluency, relevance = np.mean(np.array(scores, dtype=np.float64), axis=0).tolist()
    return Scores(
        concept, fluency, relevance, float(np.mean([harmonic(*score) for score in scores]))
    )
